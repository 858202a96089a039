"""A table: a pandas frame of cells, whose columns are either the paper's or measured here.

A column that mixed both could be read as a comparison, which numbers from different data are not;
so a cell of the wrong kind is refused. Tables are written as CSV and LaTeX here, and as Markdown
and HTML by the templates.
"""

import math
import re
import statistics
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

NONE = "–"  # noqa: RUF001 - a dash, as the paper has it
PAPER, HERE = " (paper)", ", measured"  # behind the name of the data, above a column
RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": "$-$",  # noqa: RUF001 - a minus
    ">": "$>$",
    "<": "$<$",
    "–": "--",  # noqa: RUF001 - the dash that stands for "no number"
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


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
        return f"{text} (n = {self.n})" if self.say_n and self.n > 1 else text


@dataclass(frozen=True)
class Difference:
    """A difference of two means in points, and twice its standard error; NaN where unknown."""

    value: float
    error: float
    data: str

    def __str__(self) -> str:
        known = " unknown" if math.isnan(self.error) else f": {self.error:.1f}"
        return f"{signed(self.value)} (± 2 SE{known})"


Cell = Quoted | Measured | Difference | Missing


@dataclass(frozen=True)
class Table:
    """A table of the paper's, or one in its manner; ``stem`` is its files' name without ending.

    A column of ``frame`` has two names: the data, with PAPER or HERE behind, and its own.
    ``marks`` are of each row the 1-based numbers of its ``notes``. The row number ``own``, counted
    from 0, is in bold.

    Raises:
        ValueError: a cell is not of its column's kind.
    """

    stem: str
    title: str
    caption: str
    frame: pd.DataFrame
    notes: list[str]
    marks: list[tuple[int, ...]]
    own: int = -1

    def __post_init__(self) -> None:
        for (group, name), cells in self.frame.items():
            for row, cell in cells.items():
                right = not isinstance(cell, Quoted) or group.endswith(PAPER)
                if isinstance(cell, Measured | Difference):
                    right = group == f"{cell.data}{HERE}"
                if not right:
                    raise ValueError(f"{row}: {cell!r} stands under {group}, {name}")

    def quoted_only(self) -> list[str]:
        """Names of the rows in which the paper has a number, and nothing was measured."""
        kinds = {name: {*map(type, cells)} for name, cells in self.frame.T.items()}
        return [name for name, kind in kinds.items() if Quoted in kind and Measured not in kind]


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


def raised(notes: tuple[int, ...]) -> str:
    """Numbers of notes, small and high."""
    return " ".join(map(str, notes)).translate(RAISED)


def spans(table: Table) -> list[tuple[str, int]]:
    """The groups of columns, and how many columns each has."""
    return list(Counter(table.frame.columns.get_level_values(0)).items())


def comma_separated(table: Table) -> str:
    """One number a field: a measured column becomes mean, standard deviation and n.

    A column of differences becomes difference and twice its standard error. Where there is no
    number the field is empty, so that columns stay numeric.
    """
    fields = {}
    for (group, name), cells in table.frame.items():
        parts = ["", " (sd)", " (n)"] if group.endswith(HERE) else [""]
        if any(isinstance(cell, Difference) for cell in cells):
            parts = ["", " (2 SE)"]
        numbers = [(*_numbers(cell), "", "", "") for cell in cells]
        for place, part in enumerate(parts):
            fields[f"{group}: {name}{part}"] = [each[place] for each in numbers]
    return pd.DataFrame(fields, index=table.frame.index).to_csv(lineterminator="\n")


def _numbers(cell: Cell) -> list[str]:
    """A cell's numbers; none of what is no number, such as the paper's "> 30"."""
    match cell:
        case Quoted() if cell[:1].isdigit():
            return [cell]
        case Difference(value, error):
            return [f"{value:.2f}", "" if math.isnan(error) else f"{error:.2f}"]
        case Measured():
            deviation = "" if cell.deviation is None else f"{cell.deviation:.2f}"
            return [f"{cell.mean:.2f}", deviation, str(cell.n)]
    return []


def latex(table: Table) -> str:
    r"""A table environment for a document with ``\usepackage{booktabs}``; it numbers itself."""
    frame = table.frame.map(_in_latex).rename(escape_latex, axis=1)
    names = [escape_latex(name) for name in frame.index]
    if table.own >= 0:
        frame.iloc[table.own] = [rf"\textbf{{{cell}}}" for cell in frame.iloc[table.own]]
        names[table.own] = rf"\textbf{{{names[table.own]}}}"
    frame.columns.names = "", escape_latex(table.frame.index.name)
    frame.index = [
        name + (rf"$^{{{','.join(map(str, marks))}}}$" if marks else "")
        for name, marks in zip(names, table.marks, strict=True)
    ]
    text = frame.style.to_latex(
        hrules=True,
        column_format="l" + "r" * frame.shape[1],
        multicol_align="c",
        position_float="centering",
        caption=escape_latex(table.caption),
        label=f"tab:nat-{table.stem}",
    )
    rules, end = "", 1
    for _, width in spans(table):
        rules += rf"\cmidrule(lr){{{end + 1}-{end + width}}}"
        end += width
    notes = (
        rf"\par\smallskip\footnotesize $^{{{number}}}$ {escape_latex(note)}" + "\n"
        for number, note in enumerate(table.notes, start=1)
    )
    text = text.replace("\\\\\n", f"\\\\\n{rules}\n", 1)
    return text.replace("\\end{table}", f"{''.join(notes)}\\end{{table}}")


def _in_latex(cell: Cell) -> str:
    text = escape_latex(str(cell))
    return rf"\textit{{{text}}}" if isinstance(cell, Quoted) else text


def escape_markdown(text: str) -> str:
    """Text in which no character is taken for formatting or for a cell's end."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", text)


def escape_latex(text: str) -> str:
    """Text in which no character is taken for a command."""
    return "".join(TEX.get(character, character) for character in text)
