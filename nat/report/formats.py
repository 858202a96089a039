"""Tables as CSV and LaTeX (booktabs), and text that no format takes for its own marks."""

import re
from collections.abc import Iterator
from itertools import groupby

import pandas as pd

from nat.report.table import Cell, Column, Difference, Measured, Quoted, Row, Table

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


def raised(notes: tuple[int, ...]) -> str:
    """Numbers of notes, small and high."""
    return " ".join(map(str, notes)).translate(RAISED)


def spans(table: Table) -> list[tuple[str, int]]:
    """The groups of columns, and how many columns each has."""
    groups = groupby(table.columns, key=lambda column: column.group)
    return [(name, len(list(group))) for name, group in groups]


def comma_separated(table: Table) -> str:
    """One number a field: a measured column becomes mean, standard deviation and n.

    A column of differences becomes difference and twice its standard error. Where there is no
    number the field is empty, so that columns stay numeric.
    """
    cells = list(zip(*(row.cells for row in table.rows), strict=True))
    pairs = zip(table.columns, cells, strict=True)
    fields = {name: field for column, each in pairs for name, field in _fields(column, each)}
    names = pd.Index([row.name for row in table.rows], name=table.corner)
    return pd.DataFrame(fields, index=names).to_csv(lineterminator="\n")


def _fields(column: Column, cells: tuple[Cell, ...]) -> Iterator[tuple[str, list[str]]]:
    """The columns of a CSV that a table's column becomes, by their names."""
    heading, parts = f"{column.group}: {column.name}", [""]
    if column.data is not None:
        differences = any(isinstance(cell, Difference) for cell in cells)
        parts = ["", " (2 SE)"] if differences else ["", " (sd)", " (n)"]
    rows = [(*_parts(cell), "", "", "")[: len(parts)] for cell in cells]
    for part, field in zip(parts, zip(*rows, strict=True), strict=True):
        yield heading + part, list(field)


def _parts(cell: Cell) -> list[str]:
    """A cell's numbers; none of what is no number, such as the paper's "> 30"."""
    if isinstance(cell, Quoted):
        return [cell.text if cell.text[:1].isdigit() else ""]
    if isinstance(cell, Difference):
        return [f"{number:.2f}" for number in (cell.value, cell.error) if number is not None]
    if isinstance(cell, Measured):
        deviation = "" if cell.deviation is None else f"{cell.deviation:.2f}"
        return [f"{cell.mean:.2f}", deviation, str(len(cell.values))]
    return []


def latex(table: Table) -> str:
    r"""A table environment for a document with ``\usepackage{booktabs}``; it numbers itself."""
    heads = [(escape_latex(column.group), escape_latex(column.name)) for column in table.columns]
    frame = pd.DataFrame(
        [[_tex(cell) for cell in row.cells] for row in table.rows],
        index=[_tex_name(row) for row in table.rows],
        columns=pd.MultiIndex.from_tuples(heads, names=["", escape_latex(table.corner)]),
    )
    text = frame.style.to_latex(
        hrules=True,
        column_format="l" + "r" * len(heads),
        multicol_align="c",
        position_float="centering",
        caption=escape_latex(table.caption),
        label=f"tab:nat-{table.stem}",
    )
    rules, end = "", 1
    for _, count in spans(table):
        rules += rf"\cmidrule(lr){{{end + 1}-{end + count}}}"
        end += count
    notes = (
        rf"\par\smallskip\footnotesize $^{{{number}}}$ {escape_latex(note)}" + "\n"
        for number, note in enumerate(table.notes, start=1)
    )
    text = text.replace("\\\\\n", f"\\\\\n{rules}\n", 1)
    return text.replace("\\end{table}", f"{''.join(notes)}\\end{{table}}")


def _tex(cell: Cell) -> str:
    text = escape_latex(cell.text)
    return rf"\textit{{{text}}}" if isinstance(cell, Quoted) else text


def _tex_name(row: Row) -> str:
    mark = rf"$^{{{','.join(map(str, row.notes))}}}$" if row.notes else ""
    return escape_latex(row.name) + mark


def escape_markdown(text: str) -> str:
    """Text in which no character is taken for formatting or for a cell's end."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", text)


def escape_latex(text: str) -> str:
    """Text in which no character is taken for a command."""
    return "".join(TEX.get(character, character) for character in text)
