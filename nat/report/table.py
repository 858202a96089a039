"""A table whose columns are either the paper's or measured here, on one named data set.

A column that mixed both could be read as a comparison, which numbers from different data are not;
so a cell of the wrong kind is refused.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

NONE = "–"  # noqa: RUF001 - a dash, as the paper has it


@dataclass(frozen=True)
class Quoted:
    """A number of the paper, as printed."""

    text: str
    kind: ClassVar[str] = "quoted"


@dataclass(frozen=True)
class Missing:
    """No number, and why: a dash (the paper has none), "not run"."""

    text: str = NONE
    kind: ClassVar[str] = "missing"


@dataclass(frozen=True)
class Measured:
    """A number measured here, one value a seed, in percent unless its place says otherwise.

    ``anchor`` names its row in the page's list of sources. It is shown with ``digits`` decimals,
    and with its number of seeds (``say_n``) where other numbers beside have another.
    """

    values: tuple[float, ...]
    seeds: tuple[int, ...]
    data: str
    anchor: str = ""
    digits: int = 1
    say_n: bool = False
    kind: ClassVar[str] = "measured"

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return math.fsum(self.values) / len(self.values)

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation (n - 1) over the seeds; None for a single one."""
        if len(self.values) == 1:
            return None
        squares = math.fsum((value - self.mean) ** 2 for value in self.values)
        return math.sqrt(squares / (len(self.values) - 1))

    @property
    def text(self) -> str:
        """Mean, and standard deviation if there is one."""
        parts = [self.mean] if self.deviation is None else [self.mean, self.deviation]
        text = " ± ".join(f"{part:,.{self.digits}f}" for part in parts)
        return f"{text} (n = {len(self.values)})" if self.say_n else text


@dataclass(frozen=True)
class Difference:
    """A difference of two means in points, and twice its standard error; None where unknown."""

    value: float
    error: float | None
    data: str
    kind: ClassVar[str] = "difference"

    @property
    def text(self) -> str:
        """Both."""
        known = " unknown" if self.error is None else f": {self.error:.1f}"
        return f"{signed(self.value)} (± 2 SE{known})"


Cell = Quoted | Measured | Difference | Missing


class Column(NamedTuple):
    """What stands above a column: a group shared with its neighbours, and a name of its own.

    ``data`` is what its numbers were measured on; None marks a column of the paper's.
    """

    group: str
    name: str
    data: str | None = None


class Row(NamedTuple):
    """A method and its numbers; ``notes`` are 1-based numbers of notes below the table."""

    name: str
    cells: tuple[Cell, ...]
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of the paper's, or one in its manner.

    ``stem`` is its files' name without ending, ``corner`` stands above the names of the rows.

    Raises:
        ValueError: a row has too many or too few cells, or a cell is not its column's kind.
    """

    stem: str
    title: str
    corner: str
    caption: str
    columns: list[Column]
    rows: list[Row]
    notes: list[str]

    def __post_init__(self) -> None:
        for row in self.rows:
            for column, cell in zip(self.columns, row.cells, strict=True):
                if isinstance(cell, Quoted) and column.data is not None:
                    raise ValueError(f"{row.name}: the paper's number in {column.name!r}")
                if isinstance(cell, Measured | Difference) and cell.data != column.data:
                    raise ValueError(f"{row.name}: {cell.data} measured, in {column.name!r}")

    def quoted_only(self) -> list[str]:
        """Names of the rows without any measured number."""
        rows = (r for r in self.rows if not any(isinstance(c, Measured) for c in r.cells))
        return [row.name for row in rows]


def signed(value: float, digits: int = 1) -> str:
    """With its sign, a minus as long as the plus; what rounds to nothing has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")  # noqa: RUF001 - a minus


def several(counts: set[int], one: str = "one seed") -> str:
    """How many seeds, of numbers that may differ in it: ``3 seeds``, ``2 to 3 seeds``."""
    if counts <= {1}:
        return one
    return f"{' to '.join(map(str, sorted({min(counts), max(counts)})))} seeds"
