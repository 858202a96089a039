"""A table whose columns are either the paper's or measured here, on one named data set.

A column that mixed both could be read as a comparison, which numbers from different data are not;
so a cell of the wrong kind is refused.
"""

import math
from dataclasses import dataclass, field

from nat.report.record import Record


@dataclass(frozen=True)
class Quoted:
    """A number of the paper, as printed."""

    text: str


@dataclass(frozen=True)
class Measured:
    """A number measured here, one value a seed, in percent unless its place says otherwise.

    Attributes:
        values: in the order of the seeds; at least one.
        data: the name of the data they were measured on.
        records: the files they were read from, in the same order.
        key: their name within those files.
        digits: decimals to show.
    """

    values: tuple[float, ...]
    data: str
    records: tuple[Record, ...] = field(default=(), repr=False, compare=False)
    key: str = ""
    digits: int = 1

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
        mean = f"{self.mean:,.{self.digits}f}"
        if self.deviation is None:
            return mean
        return f"{mean} ± {self.deviation:,.{self.digits}f}"


@dataclass(frozen=True)
class Difference:
    """A difference of two measured numbers, in points.

    Attributes:
        value: of the means.
        noise: what it has to exceed to mean something (see verdict.py); None where unknown.
        data: the name of the data both were measured on.
    """

    value: float
    noise: float | None
    data: str

    def __str__(self) -> str:
        known = "unknown" if self.noise is None else f"{self.noise:.1f}"
        return f"{signed(self.value)} (noise {known})"


@dataclass(frozen=True)
class Missing:
    """No number, and why: a dash (the paper has none), "not run", "not measured yet"."""

    why: str


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
    """A table of the paper's, or one in its manner, with its caption.

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
                if isinstance(cell, Measured | Difference) and cell.data != column.data:
                    raise ValueError(f"{row.name}: {cell.data} measured, in {column.heading!r}")


def joined(records: tuple[Record, ...], key: str, digits: int = 1) -> Measured:
    """One number of every seed.

    Raises:
        UserError: a record lacks it.
    """
    values = tuple(record.number(key) for record in records)
    return Measured(values, records[0].data, records, key, digits)


def signed(value: float, digits: int = 1) -> str:
    """With its sign, a minus as long as the plus; what rounds to nothing has none."""
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")  # noqa: RUF001 - a minus
