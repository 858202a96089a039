"""What a page is made of. Each rendering knows every kind of block, and nothing of what it says."""

from dataclasses import dataclass

from nat.report.page.graph import Graph
from nat.report.record import Record
from nat.report.table import Table
from nat.report.words import Words


@dataclass(frozen=True)
class Section:
    """A heading; ``anchor`` is its name in links."""

    title: str
    anchor: str


@dataclass(frozen=True)
class Paragraph:
    """Sentences."""

    words: Words


@dataclass(frozen=True)
class Bullets:
    """A list of sentences."""

    items: tuple[Words, ...]


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
    rows: tuple[tuple[Words, ...], ...]
    ends: tuple[int, ...] = ()
    stack: bool = False


@dataclass(frozen=True)
class Tabular:
    """A table and its files, ``path`` beside the page and without ending."""

    table: Table
    path: str


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        title: such as "Figure 1".
        alt: what is to be seen, for who cannot see it.
        caption: sentences.
        path: of its files, beside the page and without ending.
        svg: its bytes, for a page that has to hold it.
        sources: the records it shows.
    """

    title: str
    alt: str
    caption: str
    path: str
    svg: bytes
    sources: list[tuple[Record, ...]]


@dataclass(frozen=True)
class Pipeline:
    """The stages and what they hand on; ``caption`` tells how the drawing reads."""

    graph: Graph
    caption: Words


@dataclass(frozen=True)
class Sources:
    """Every file that numbers were read from, those that differ by the seed alone together."""

    groups: list[tuple[Record, ...]]


Block = Section | Paragraph | Bullets | Grid | Tabular | Picture | Pipeline | Sources
