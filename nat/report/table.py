"""A table whose columns are either the paper's or measured here, on one named data set.

A column that mixed both could be read as a comparison, which numbers from different data are not;
so a cell of the wrong kind is refused.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

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

    Attributes:
        values: in the order of the seeds; at least one.
        seeds: of the values.
        data: the name of the data they were measured on.
        anchor: of its row in the page's list of sources.
        digits: decimals to show.
        say_n: whether to show the number of seeds, as other numbers beside have another.
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
    """A difference of two measured numbers, in points.

    Attributes:
        value: of the means.
        error: twice its standard error (see verdict.py); None where unknown.
        data: the name of the data both were measured on.
    """

    value: float
    error: float | None
    data: str
    kind: ClassVar[str] = "difference"

    @property
    def text(self) -> str:
        """The difference and twice its standard error."""
        return f"{signed(self.value)} ({two_errors(self.error)})"


Cell = Quoted | Measured | Difference | Missing


@dataclass(frozen=True)
class Column:
    """What stands above a column.

    Attributes:
        name: the last line of the heading.
        group: the first line, shared by neighbouring columns; says whose numbers these are.
        data: of measured numbers; None marks a column of the paper's.
    """

    name: str
    group: str
    data: str | None = None


@dataclass(frozen=True)
class Row:
    """A method and its numbers; ``notes`` are 1-based numbers of notes below the table."""

    name: str
    cells: tuple[Cell, ...]
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of the paper's, or one in its manner, with its caption.

    Attributes:
        stem: its files' name without ending.
        title: such as "Table 3".
        caption: sentences.
        corner: what stands above the names of the rows.
        columns: the paper's and the measured ones.
        rows: one a method.
        notes: that rows refer to.

    Raises:
        ValueError: a row has too many or too few cells, or a cell is not its column's kind.
    """

    stem: str
    title: str
    caption: str
    corner: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            for column, cell in zip(self.columns, row.cells, strict=True):
                if isinstance(cell, Quoted) and column.data is not None:
                    raise ValueError(f"{row.name}: the paper's number in {column.name!r}")
                if isinstance(cell, Measured | Difference) and cell.data != column.data:
                    raise ValueError(f"{row.name}: {cell.data} measured, in {column.name!r}")

    @property
    def measured(self) -> list[Measured]:
        """All its measured numbers."""
        return [cell for row in self.rows for cell in row.cells if isinstance(cell, Measured)]


def signed(value: float, digits: int = 1) -> str:
    """With its sign, a minus as long as the plus; what rounds to nothing has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")  # noqa: RUF001 - a minus


def two_errors(error: float | None) -> str:
    """Twice a standard error, which may be unknown."""
    return "± 2 SE unknown" if error is None else f"± 2 SE: {error:.1f}"
