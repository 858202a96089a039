"""Tables as CSV and LaTeX (booktabs), and text that no format takes for its own marks."""

import re
from collections import Counter

import pandas as pd

from nat.report.table import HERE, Cell, Difference, Measured, Quoted, Table

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
    if isinstance(cell, Quoted):
        return [cell if cell[:1].isdigit() else ""]
    if isinstance(cell, Difference):
        return [f"{number:.2f}" for number in (cell.value, cell.error) if number is not None]
    if isinstance(cell, Measured):
        deviation = "" if cell.deviation is None else f"{cell.deviation:.2f}"
        return [f"{cell.mean:.2f}", deviation, str(cell.n)]
    return []


def latex(table: Table) -> str:
    r"""A table environment for a document with ``\usepackage{booktabs}``; it numbers itself."""
    frame = table.frame.map(_in_latex).rename(escape_latex, axis=1)
    frame.columns.names = "", escape_latex(table.frame.index.name)
    frame.index = [
        escape_latex(name) + (rf"$^{{{','.join(map(str, marks))}}}$" if marks else "")
        for name, marks in zip(frame.index, table.marks, strict=True)
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
