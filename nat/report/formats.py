"""Tables as Markdown, CSV and LaTeX (booktabs). The paper's numbers are set in italics."""

import re
from collections.abc import Iterator
from itertools import groupby

import pandas as pd

from nat.report.table import Cell, Column, Difference, Measured, Quoted, Row, Table

RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
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
    return " ".join("".join(RAISED[int(digit)] for digit in str(note)) for note in notes)


def comma_separated(table: Table) -> str:
    """One number a field: a measured column becomes mean, standard deviation and n.

    A column of differences becomes difference and twice its standard error. Where there is no
    number the field is empty, so that columns stay numeric.
    """
    columns = dict(
        field
        for place, column in enumerate(table.columns)
        for field in _fields(column, [row.cells[place] for row in table.rows])
    )
    names = pd.Index([row.name for row in table.rows], name=table.corner)
    return pd.DataFrame(columns, index=names).to_csv(lineterminator="\n")


def _fields(column: Column, cells: list[Cell]) -> Iterator[tuple[str, list[str]]]:
    """The columns of a CSV that a table's column becomes, by their names."""
    heading = f"{column.group}: {column.name}"
    if column.data is None:  # "> 30" is the paper's too, but no number
        texts = [cell.text if isinstance(cell, Quoted) else "" for cell in cells]
        yield heading, [text if text[:1].isdigit() else "" for text in texts]
    elif any(isinstance(cell, Difference) for cell in cells):
        found = [cell if isinstance(cell, Difference) else None for cell in cells]
        yield heading, [f"{cell.value:.2f}" if cell else "" for cell in found]
        errors = [cell.error if cell else None for cell in found]
        yield f"{heading} (2 SE)", ["" if error is None else f"{error:.2f}" for error in errors]
    else:
        numbers = [cell if isinstance(cell, Measured) else None for cell in cells]
        yield heading, [f"{cell.mean:.2f}" if cell else "" for cell in numbers]
        deviations = [cell.deviation if cell else None for cell in numbers]
        yield f"{heading} (sd)", ["" if sd is None else f"{sd:.2f}" for sd in deviations]
        yield f"{heading} (n)", [str(len(cell.values)) if cell else "" for cell in numbers]


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
        start, end = end + 1, end + count
        rules += rf"\cmidrule(lr){{{start}-{end}}}"
    head, rows = text.split("\\\\\n", 1)
    text = f"{head}\\\\\n{rules}\n{rows}"
    notes = "".join(
        rf"\par\smallskip\footnotesize $^{{{number}}}$ {escape_latex(note)}" + "\n"
        for number, note in enumerate(table.notes, start=1)
    )
    return text.replace("\\end{table}", f"{notes}\\end{{table}}")


def spans(table: Table) -> list[tuple[str, int]]:
    """The groups of columns, and how many columns each has."""
    groups = groupby(table.columns, key=lambda column: column.group)
    return [(name, len(list(group))) for name, group in groups]


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
