"""What a page is made of. Each template knows every kind of block, and nothing of what it says."""

from dataclasses import dataclass
from typing import ClassVar

from nat.report.results import OF_CLASS
from nat.report.table import Table
from nat.report.verdict import Words


@dataclass(frozen=True)
class Section:
    """A heading; ``anchor`` is its name in links."""

    title: str
    anchor: str
    kind: ClassVar[str] = "section"


@dataclass(frozen=True)
class Paragraph:
    """Sentences."""

    words: Words
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: list[Words]
    kind: ClassVar[str] = "bullets"


@dataclass(frozen=True)
class Grid:
    """Rows of words.

    Attributes:
        head: names of the columns.
        rows: a cell for each column.
        ends: columns that are aligned to their end.
        stack: whether cells go below each other where the window is narrow.
    """

    head: tuple[str, ...]
    rows: list[tuple[Words, ...]]
    ends: tuple[int, ...] = ()
    stack: bool = False
    kind: ClassVar[str] = "grid"


@dataclass(frozen=True)
class Tabular:
    """A table and its files, tables/ and its stem."""

    table: Table
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Image:
    """A figure.

    Attributes:
        stem: its files' name in figures/, without ending.
        title: such as "Figure 1".
        alt: what is to be seen, for who cannot see it.
        caption: sentences.
        svg: its bytes, for a page that has to hold it.
        sources: stage, method and override of the results that it shows.
    """

    stem: str
    title: str
    alt: str
    caption: str
    svg: bytes
    sources: list[tuple[str, str, str]]
    kind: ClassVar[str] = "figure"


@dataclass(frozen=True)
class Fact:
    """A name, its value in each file, and its anchor if numbers link to it."""

    name: str
    values: list[str]
    anchor: str = ""

    @property
    def alike(self) -> bool:
        """Whether one cell across says it for all files."""
        return len(self.values) > 1 and len(set(self.values)) == 1


@dataclass(frozen=True)
class Source:
    """The files of one run, those that differ by the seed alone together.

    Attributes:
        anchor: its name in links.
        stage: that wrote them.
        subject: whose numbers they hold, for people.
        files: their names in one, as a shell would write them.
        seeds: of the files.
        numbers: measured ones, those of classes apart in ``of_class``.
        facts: where the numbers come from.
        parameters: the settings.
    """

    anchor: str
    stage: str
    subject: str
    files: str
    seeds: list[int]
    numbers: list[Fact]
    facts: list[Fact]
    parameters: list[Fact]
    kind: ClassVar[str] = "source"

    @property
    def own(self) -> list[Fact]:
        """The numbers but those of classes."""
        return [fact for fact in self.numbers if OF_CLASS not in fact.name]

    @property
    def of_class(self) -> list[Fact]:
        """The numbers of classes."""
        return [fact for fact in self.numbers if OF_CLASS in fact.name]


@dataclass(frozen=True)
class Sources:
    """Every file that numbers were read from."""

    groups: list[Source]
    kind: ClassVar[str] = "sources"


Block = Section | Paragraph | Bullets | Grid | Tabular | Image | Sources
