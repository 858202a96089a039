"""Tables as Markdown, CSV and LaTeX (booktabs). The paper's numbers are set in italics."""

import csv
import io
import re
from collections.abc import Callable, Iterable
from itertools import groupby

from nat.report.table import Cell, Difference, Measured, Missing, Quoted, Table

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


def markdown(table: Table) -> str:
    """A pipe table, its caption above and its notes below."""
    head = [table.corner, *(column.heading for column in table.columns)]
    title = f"**{escape_markdown(table.title)}.** {escape_markdown(table.caption)}"
    lines = [title, "", _pipes(map(escape_markdown, head))]
    lines.append(_pipes(["---", *["---:"] * len(table.columns)]))
    for row in table.rows:
        mark = " ".join(RAISED[note] for note in row.notes)
        cells = (_cell(cell, escape_markdown, "*{}*") for cell in row.cells)
        lines.append(_pipes([escape_markdown(row.name) + mark, *cells]))
    notes = (f"{RAISED[i]} {escape_markdown(note)}" for i, note in enumerate(table.notes, start=1))
    return "\n".join(lines) + "\n" + "".join(f"\n{note}\n" for note in notes)


def comma_separated(table: Table) -> str:
    """One number a field: a measured column becomes mean, standard deviation and n.

    A column of differences becomes difference and noise. Where there is no number the field is
    empty, so that columns stay numeric.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    head = [table.corner]
    for place, column in enumerate(table.columns):
        head += [column.heading, *(f"{column.heading} ({part})" for part in _parts(table, place))]
    writer.writerow(head)
    for row in table.rows:
        fields: list[str | int] = [row.name]
        for place, cell in enumerate(row.cells):
            if isinstance(cell, Measured):
                deviation = "" if cell.deviation is None else f"{cell.deviation:.2f}"
                fields += [f"{cell.mean:.2f}", deviation, len(cell.values)]
            elif isinstance(cell, Difference):
                noise = "" if cell.noise is None else f"{cell.noise:.2f}"
                fields += [f"{cell.value:.2f}", noise]
            else:
                # "> 30" is the paper's too, but no number
                text = cell.text if isinstance(cell, Quoted) else ""
                fields.append(text if text[:1].isdigit() else "")
                fields += [""] * len(_parts(table, place))
        writer.writerow(fields)
    return file.getvalue()


def _parts(table: Table, place: int) -> tuple[str, ...]:
    """What stands behind the number itself, in the CSV fields of a column."""
    if table.columns[place].data is None:
        return ()
    differences = any(isinstance(row.cells[place], Difference) for row in table.rows)
    return ("noise",) if differences else ("sd", "n")


def latex(table: Table, label: str) -> str:
    r"""A table environment for a document with ``\usepackage{booktabs}``; it numbers itself."""
    groups = [(name, len(list(run))) for name, run in groupby(c.group for c in table.columns)]
    spans = [rf"\multicolumn{{{n}}}{{c}}{{{escape_latex(name)}}}" for name, n in groups]
    ends = [1 + sum(n for _, n in groups[: i + 1]) for i in range(len(groups))]
    rules = "".join(
        rf"\cmidrule(lr){{{end - n + 1}-{end}}}" for (_, n), end in zip(groups, ends, strict=True)
    )
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escape_latex(table.caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{l{'r' * len(table.columns)}}}",
        r"\toprule",
        _ampersands(["", *spans]),
        rules,
        _ampersands([escape_latex(table.corner), *(escape_latex(c.name) for c in table.columns)]),
        r"\midrule",
    ]
    for row in table.rows:
        mark = rf"$^{{{','.join(map(str, row.notes))}}}$" if row.notes else ""
        cells = (_cell(cell, escape_latex, r"\textit{{{}}}") for cell in row.cells)
        lines.append(_ampersands([escape_latex(row.name) + mark, *cells]))
    lines += [r"\bottomrule", r"\end{tabular}"]
    for number, note in enumerate(table.notes, start=1):
        lines.append(rf"\par\smallskip\footnotesize $^{{{number}}}$ {escape_latex(note)}")
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def escape_markdown(text: str) -> str:
    """Text in which no character is taken for formatting or for a cell's end."""
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", text)


def escape_latex(text: str) -> str:
    """Text in which no character is taken for a command."""
    return "".join(TEX.get(character, character) for character in text)


def _cell(cell: Cell, escape: Callable[[str], str], quoted: str) -> str:
    if isinstance(cell, Quoted):
        return quoted.format(escape(cell.text))
    return escape(cell.why if isinstance(cell, Missing) else str(cell))


def _pipes(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _ampersands(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
