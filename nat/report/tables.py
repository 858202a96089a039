"""The tables: every row of the paper's, its numbers beside those measured here."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from nat.report import page, paper
from nat.report.frame import Report
from nat.report.names import PROBES, cited
from nat.report.results import ON_VOC
from nat.report.settings import Variant, get
from nat.report.table import HERE, NONE, PAPER, Cell, Measured, Missing, Quoted, Table
from nat.report.verdict import HELD, NOT_HELD, OPEN, above, of_accuracies

ADDED = "a row that the paper's table does not have"
ELSEWHERE = "the paper's k are 1e3, 1e4 and 1e5, of which it prints the best"
AVERAGED = "Sinkhorn draws an image to a mean of targets; its permutation P is the exact one"

# what is measured in a table's columns, by their names: a number, and the stage it is of
Columns = dict[str, tuple[str, str]]
ACCURACY: Columns = {"Acc@1": ("accuracy", "train")}
BY_PROBE: Columns = {name: (probe, "probe") for probe, name in PROBES.items()}
TASKS = ("classification fc6-8", "classification all", "detection all")
TRANSFER: Columns = {task: ("map", stage) for task, stage in zip(TASKS, ON_VOC, strict=True)}
COST, SPEED = ("alignment_ms", "train"), ("images_per_second", "train")

# what the paper prints, what is measured beside it, and a note on the latter
Line = tuple[paper.Row, Variant | None, str]


def table_1(report: Report) -> Table:
    """Training with labels, by loss."""
    return _of_labels(report, "Table 1", "Loss", "baselines.labels.loss", paper.TABLE_1)


def table_2(report: Report) -> Table:
    """Training with labels, by pre-processing."""
    return _of_labels(report, "Table 2", "Pre-processing", "model.preprocessing", paper.TABLE_2)


def _of_labels(
    report: Report, title: str, corner: str, factor: str, rows: tuple[paper.Row, ...]
) -> Table:
    variants = {variant.value: variant for variant in report.variants.of("labels", factor)}
    unlisted = report.variants.own("")  # of which there is no result
    lines = [(row, variants.get(row.key, unlisted), "") for row in rows]
    minus = lines[0][1], f"minus {rows[0].name}"
    return _table(report, (title, corner), lines, ACCURACY, *minus)


def table_3(report: Report) -> Table:
    """Classification on a frozen trunk."""
    remarks = {"random": "measured: this trunk, untrained, with its own random weights"}
    return _of_methods(report, "Table 3", paper.TABLE_3, BY_PROBE, remarks)


def table_4(report: Report) -> Table:
    """VOC classification and detection."""
    remarks = {"labels": f"measured: a trunk trained with the labels of {report.data}"}
    return _of_methods(report, "Table 4", paper.TABLE_4, TRANSFER, remarks)


def _of_methods(
    report: Report, title: str, rows: tuple[paper.Row, ...], columns: Columns,
    remarks: dict[str, str],
) -> Table:  # fmt: skip
    """The paper's rows, then every method of params.yaml that the paper lacks."""
    known, none = {row.key for row in rows}, (None,) * len(rows[0].numbers)
    others = [method for method in report.variants.methods if method not in known]
    added = [paper.Row(method, cited(method), none, ADDED) for method in others]
    own = report.variants.own
    lines = [(row, own(row.key), remarks.get(row.key, "")) for row in (*rows, *added)]
    return _table(report, (title, "Method"), lines, columns)


def periods(report: Report) -> Table:
    """Figure 2, right, in numbers."""
    quoted = {"never": paper.TEXT["fixed"], 3: paper.TEXT["nat"]}  # all that it prints
    lines: list[Line] = [
        (_row("P fixed (never)" if v.value == "never" else v.name, quoted.get(v.value)), v, "")
        for v in report.variants.of("nat", "permute_every")
    ]
    random = next(row for row in paper.TABLE_3 if row.key == "random")
    lines.append((_row("random trunk", random.numbers[0]), report.variants.own("random"), ""))
    return _of_nat(report, ("Periods", "P is updated"), lines)


def targets(report: Report) -> Table:
    """Targets and alignments: NAT's own run, then one setting changed at a time."""
    names = ("target_type", "alignment", "permute_every")
    is_papers = [report.used(name) for name in names] == ["sphere", "exact", 3]
    sphere, discrete = paper.TEXT["nat"], paper.TEXT["discrete"]
    own = _row(f"{report.setup} (reference)", sphere if is_papers else None)
    lines: list[Line] = [(own, report.variants.own("nat"), "")]
    if not is_papers:
        lines.append((_row("sphere, exact alignment", sphere), None, ""))
    found = compared(report)
    place = len(lines) + sum(variant.factor == "targets.dimension" for variant in found)
    for variant in found:
        note = AVERAGED if get(variant.in_use, "alignment") == "sinkhorn" else ""
        lines.append((_row(variant.name, None, note), variant, ""))
    lines.insert(place, (_row("discrete, best k", discrete, ELSEWHERE), None, ""))
    return _of_nat(report, ("Targets and alignments", "Targets and alignment"), lines)


def _row(name: str, number: str | None, note: str = "") -> paper.Row:
    return paper.Row("", name, (number,), note)


def _of_nat(report: Report, names: tuple[str, str], lines: Sequence[Line]) -> Table:
    """Probes and costs of NAT's variants, compared with NAT's own run."""
    columns = BY_PROBE | {"alignment, ms": COST, "images/s": SPEED}
    return _table(report, names, lines, columns, report.variants.own("nat"), "MLP minus reference")


def compared(report: Report) -> list[Variant]:
    """NAT's ablations but of the period: of the targets first, in the order of the tables."""
    order = ("targets.dimension", "targets.k", "target_type", "alignment")

    def place(variant: Variant) -> tuple[int, float]:
        known = order.index(variant.factor) if variant.factor in order else len(order)
        return known, variant.value if isinstance(variant.value, int) else 0

    ablations = [v for v in report.variants.all if v.method == "nat" and v.override]
    return sorted((v for v in ablations if v.factor != "permute_every"), key=place)


def what_helped(report: Report) -> dict[str, list[str]]:
    """Targets and alignments by whether they are better than the reference (``verdict.above``).

    Under ``costs``: how many times as long as the reference's the alignments take.
    """
    reference, usual = report.measured("nat", "mlp"), report.measured("nat", *COST)
    ways: dict[str, list[str]] = {HELD: [], NOT_HELD: [], OPEN: [], "costs": []}
    for variant in compared(report):
        mlp, cost = report.of(variant, "mlp"), report.of(variant, *COST)
        if reference and mlp:
            found = of_accuracies(mlp, reference, report.images("val")).difference
            ways[above(found.value, found.error or 0)].append(variant.name)
        if variant.factor == "alignment" and cost and usual:
            ways["costs"].append(f"{variant.name} {cost.mean / usual.mean:.1f} times")
    return ways


def _table(
    report: Report, names: tuple[str, str], lines: Sequence[Line], columns: Columns,
    reference: Variant | None = None, minus: str = "",
) -> Table:  # fmt: skip
    """The paper's numbers, and beside them what was measured.

    Args:
        report: what was measured.
        names: the title, and what stands above the names of the rows.
        lines: the rows.
        columns: the measured ones.
        reference: a last column has the differences of the first number to that of this one.
        minus: that column's name.
    """
    title, corner = names
    stem = title.replace("Table ", "table").split()[0].lower()
    papers, data = ("VOC 2007", report.voc) if columns is TRANSFER else ("ImageNet", report.data)
    heads = [(papers + PAPER, name) for name in (TASKS if columns is TRANSFER else ACCURACY)]
    heads += [(data + HERE, name) for name in (*columns, minus) if name]
    first, *_ = columns.values()
    notes: list[str] = []
    rows, marks = [], []
    for row, variant, remark in lines:
        cells = [_cell(report, variant, *column) for column in columns.values()]
        if reference:
            cells.append(_minus(report, cells[0], _cell(report, reference, *first)))
        measured = any(isinstance(cell, Measured) for cell in cells)
        own = [note for note in (row.note, remark if measured else "") if note]
        notes += [note for note in own if note not in notes]
        marks.append(tuple(notes.index(note) + 1 for note in own))
        rows.append([*(Quoted(n) if n else Missing(NONE) for n in row.numbers), *cells])
    counts = {cell.n for row in rows for cell in row if isinstance(cell, Measured)}
    frame = pd.DataFrame(
        rows,
        index=pd.Index([row.name for row, *_ in lines], name=corner),
        columns=pd.MultiIndex.from_tuples(heads),
        dtype=object,
    ).map(lambda c: replace(c, say_n=c.n < max(counts)) if isinstance(c, Measured) else c)
    return Table(stem, title, page.caption(stem, report=report, counts=counts), frame, notes, marks)


def _cell(report: Report, variant: Variant | None, metric: str, stage: str) -> Cell:
    """A number, or why there is none."""
    if variant is None:
        return Missing(NONE)
    if found := report.of(variant, metric, stage):
        return found
    if (metric, stage) not in (COST, SPEED):
        return Missing("not run")
    never = variant.method == "nat" and get(variant.in_use, "permute_every") == "never"
    return Missing("never" if never and metric == COST[0] else NONE)


def _minus(report: Report, cell: Cell, other: Cell) -> Cell:
    """The difference to a reference; none of the reference to itself."""
    if cell is other or not (isinstance(cell, Measured) and isinstance(other, Measured)):
        return Missing(NONE)
    return of_accuracies(cell, other, report.images("val")).difference


TABLES = (table_1, table_2, table_3, table_4, periods, targets)
