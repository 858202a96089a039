"""A table: a pandas frame of cells, whose columns are either the paper's or measured here.

A column that mixed both could be read as a comparison, which numbers from different data are not;
so a cell of the wrong kind is refused.
"""

import math
import statistics
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

NONE = "–"  # noqa: RUF001 - a dash, as the paper has it
PAPER, HERE = " (paper)", ", measured"  # behind the name of the data, above a column


class Quoted(str):
    """A number of the paper, as printed."""


class Missing(str):
    """No number, and why: a dash (the paper has none), "not run"."""


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

    @property
    def n(self) -> int:
        """How many seeds."""
        return len(self.values)

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return math.fsum(self.values) / self.n

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation (n - 1) over the seeds; None for a single one."""
        return statistics.stdev(self.values) if self.n > 1 else None

    def __str__(self) -> str:
        known = [part for part in (self.mean, self.deviation) if part is not None]
        text = " ± ".join(f"{part:,.{self.digits}f}" for part in known)
        return f"{text} (n = {self.n})" if self.say_n else text


@dataclass(frozen=True)
class Difference:
    """A difference of two means in points, and twice its standard error; None where unknown."""

    value: float
    error: float | None
    data: str

    def __str__(self) -> str:
        known = " unknown" if self.error is None else f": {self.error:.1f}"
        return f"{signed(self.value)} (± 2 SE{known})"


Cell = Quoted | Measured | Difference | Missing


@dataclass(frozen=True)
class Table:
    """A table of the paper's, or one in its manner.

    Attributes:
        stem: its files' name without ending.
        title: what the page calls it.
        caption: plain text.
        frame: a row a method; of each column the data, with PAPER or HERE behind, and a name.
        notes: below the table.
        marks: of each row, the 1-based numbers of its notes.

    Raises:
        ValueError: a cell is not of its column's kind.
    """

    stem: str
    title: str
    caption: str
    frame: pd.DataFrame
    notes: list[str]
    marks: list[tuple[int, ...]]

    def __post_init__(self) -> None:
        for (group, name), cells in self.frame.items():
            for row, cell in cells.items():
                measured = isinstance(cell, Measured | Difference)
                if (isinstance(cell, Quoted) and not group.endswith(PAPER)) or (
                    measured and group != f"{cell.data}{HERE}"
                ):
                    raise ValueError(f"{row}: {cell!r} stands under {group}, {name}")

    def quoted_only(self) -> list[str]:
        """Names of the rows without any measured number."""
        measured = self.frame.map(lambda cell: isinstance(cell, Measured)).any(axis=1)
        return self.frame.index[~measured].tolist()


def signed(value: float) -> str:
    """With its sign, a minus as long as the plus; what rounds to nothing has none."""
    text = f"{value:+.1f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")  # noqa: RUF001 - a minus


def count(seeds: Collection[int]) -> str:
    """How many seeds, of numbers that may differ in it: ``3``, ``2 to 3``."""
    ends = {min(seeds, default=1), max(seeds, default=1)}
    return " to ".join(map(str, sorted(ends)))


def several(seeds: Collection[int]) -> str:
    """The same in words: ``one seed``, ``2 to 3 seeds``."""
    return "one seed" if count(seeds) == "1" else f"{count(seeds)} seeds"
