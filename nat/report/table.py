"""A table whose columns are either the paper's or measured here, on one named data set.

A column that mixed both could be read as a comparison, which numbers from different data are not;
so a cell of the wrong kind is refused.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Quoted:
    """A number of the paper, as printed."""

    text: str


@dataclass(frozen=True)
class Measured:
    """A number measured here, one value a seed, in percent.

    Attributes:
        values: in the order of the seeds; at least one.
        data: the name of the data they were measured on.
    """

    values: tuple[float, ...]
    data: str

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

    def __str__(self) -> str:
        if self.deviation is None:
            return f"{self.mean:.1f}"
        return f"{self.mean:.1f} ± {self.deviation:.1f}"


@dataclass(frozen=True)
class Missing:
    """No number, and why: a dash (the paper has none), "not run", "not measured yet"."""

    why: str


Cell = Quoted | Measured | Missing


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

    @property
    def heading(self) -> str:
        """Both lines in one, for formats without joined cells."""
        return f"{self.group}: {self.name}"


@dataclass(frozen=True)
class Row:
    """A method and its numbers; ``notes`` are 1-based numbers of notes below the table."""

    name: str
    cells: tuple[Cell, ...]
    notes: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table of the paper's, with its caption.

    Attributes:
        title: such as "Table 3".
        caption: sentences.
        corner: what stands above the names of the rows.
        columns: the paper's and the measured ones.
        rows: one a method.
        notes: that rows refer to.

    Raises:
        ValueError: a row has too many or too few cells, or a cell is not its column's kind.
    """

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
                    raise ValueError(f"{row.name}: the paper's number in {column.heading!r}")
                if isinstance(cell, Measured) and cell.data != column.data:
                    raise ValueError(f"{row.name}: {cell.data} measured, in {column.heading!r}")
