"""The tables: every row of the paper's, its numbers beside those measured here."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from nat.report import page, paper
from nat.report.against import against
from nat.report.claims import HELD, NOT_HELD, OPEN, judge, of_accuracies
from nat.report.frame import Report
from nat.report.names import PROBES, TRANSFERS, cited, said
from nat.report.results import Run
from nat.report.settings import Variant, get
from nat.report.table import HERE, NONE, PAPER, Cell, Difference, Measured, Missing, Quoted, Table
from nat.runtime.settings.params import NAT, SIFT_FISHER

ADDED = {
    "compared": "a row that the paper's table does not have",
    "cited": "related work that the paper cites; its table has no such row",
    "later": "later than the paper",
}
COMPOSED = "composed motion: sequences made of the images, in place of film"
ELSEWHERE = "the paper's k are 1e3, 1e4 and 1e5, of which it prints the best"
AVERAGED = "Sinkhorn draws an image to a mean of targets; its permutation P is the exact one"

# what is measured in a table's columns, by their names: a number, and the stage it is of
Columns = dict[str, tuple[str, str]]
ACCURACY: Columns = {"Acc@1": ("accuracy", "train")}
BY_PROBE: Columns = {name: (probe, "probe") for probe, name in PROBES.items()}
TRANSFER: Columns = {task: ("map", stage) for stage, task in TRANSFERS.items()}
COST, SPEED = ("alignment_ms", "train"), ("images_per_second", "train")
TABLE_3 = BY_PROBE | {"training, s": ("seconds", "train"), "images/s": SPEED}
MINUS = "MLP minus reference"
OF_NAT = BY_PROBE | {"alignment, ms": COST, "images/s": SPEED}

# notes on what was measured
REMARKS = {
    ("table3", "random"): "measured: this trunk, untrained, with its own random weights",
    ("table4", "labels"): "measured: a trunk trained with the labels of {data}",
}

# what the paper prints, and what is measured beside it on each data set
Line = tuple[paper.Row, list[Variant | None]]


def of_labels(report: Report, title: str, corner: str, factor: str) -> Table:
    """Training with labels, by loss (Table 1) or pre-processing (Table 2)."""
    found = [{v.value: v for v in each.variants.of("labels", factor)} for each in report.all]
    # one that is not listed has no result
    own: list[Variant | None] = [each.variants.own("") for each in report.all]
    lines = [
        (row, [v.get(row.key, none) for v, none in zip(found, own, strict=True)])
        for row in paper.TABLES[title]
    ]
    first, reference = lines[0]
    return _table(report, title, corner, lines, ACCURACY, reference, f"minus {first.name}")


def of_methods(report: Report, title: str, columns: Columns) -> Table:
    """The paper's rows of Table 3 or 4, then every method of params.yaml that was tried here.

    These are in the order of ADDED; what was measured stands before what is quoted alone.
    """
    rows = paper.TABLES[title]
    known, none = {row.key for row in rows}, ["-"] * len(rows[0].numbers)
    tried = {
        m: None for each in report.all for m in each.variants.methods if m not in each.not_tried
    }
    whens = {method: said(method, "WHEN", "compared") for method in tried}
    places = {when: place for place, when in enumerate(ADDED)}
    others = sorted((m for m in whens if m not in known), key=lambda m: places.get(whens[m], 0))
    if columns is TRANSFER:
        others = [method for method in others if method != SIFT_FISHER]  # which has no trunk
    rows = [
        *rows,
        *(paper.Row(m, cited(m), none, ADDED.get(whens[m], ADDED["compared"])) for m in others),
    ]
    lines: list[Line] = [(row, _own(report, row.key)) for row in rows]
    tested = [column for column in columns.values() if column[1] != "train"]

    def quoted_alone(line: Line) -> bool:
        return not any(each.measured(line[0].key, *c) for each in report.all for c in tested)

    return _table(report, title, "Method", sorted(lines, key=quoted_alone), columns)


def periods(report: Report) -> Table:
    """Figure 2, right, in numbers."""
    quoted = {"never": paper.TEXT["fixed"], 3: paper.TEXT["nat"]}  # all that it prints
    found = [{v.value: v for v in e.variants.of("nat", "permute_every")} for e in report.all]
    values = {value: variant for each in reversed(found) for value, variant in each.items()}
    lines: list[Line] = []
    for value in sorted(values, key=lambda v: v if isinstance(v, int) else float("inf")):
        name = "P fixed (never)" if value == "never" else values[value].name
        row = paper.Row("", name, [quoted.get(value, "-")])
        lines.append((row, [each.get(value) for each in found]))
    random = next(row for row in paper.TABLES["Table 3"] if row.key == "random")
    lines.append((paper.Row("", "random trunk", random.numbers), _own(report, "random")))
    return _table(report, "Periods", "P is updated", lines, OF_NAT, _own(report, NAT), MINUS)


def _own(report: Report, method: str) -> list[Variant | None]:
    """A method's own runs on every data set; None where a profile beside does not list it."""
    return [
        each.variants.own(method) if each is report or method in each.variants.methods else None
        for each in report.all
    ]


def targets(report: Report) -> Table:
    """Targets and alignments: NAT's own run, then one setting changed at a time."""
    names = ("target_type", "alignment", "permute_every")
    is_papers = [report.used(name) for name in names] == ["sphere", "exact", 3]
    sphere, found = paper.TEXT["nat"], [_changed(each) for each in report.all]
    # rows are what is listed of the profile in use and what was run of others, which have columns
    # if anything was
    run = [
        changed if each is report else {n: v for n, v in changed.items() if _was_run(each, v)}
        for each, changed in zip(report.all, found, strict=True)
    ]
    own = [
        each.variants.own(NAT) if each is report or rows else None
        for each, rows in zip(report.all, run, strict=True)
    ]
    setups = {each.setup for each, variant in zip(report.all, own, strict=True) if variant}
    reference = f"{report.setup if len(setups) == 1 else 'NAT as in Table 3'} (reference)"
    lines: list[Line] = [(paper.Row("", reference, [sphere if is_papers else "-"]), own)]
    none: list[Variant | None] = [None] * len(own)
    if not is_papers:
        lines.append((paper.Row("", "sphere, exact alignment", [sphere]), none))
    every = {name: variant for each in reversed(run) for name, variant in each.items()}
    ordered = sorted(every.values(), key=_place)
    place = len(lines) + sum(variant.factor == "targets.dimension" for variant in ordered)
    for variant in ordered:
        note = AVERAGED if get(variant.in_use, "alignment") == "sinkhorn" else ""
        row = paper.Row("", variant.name, ["-"], note)
        lines.append((row, [each.get(variant.name) for each in found]))
    best = paper.Row("", "discrete, best k", [paper.TEXT["discrete"]], ELSEWHERE)
    lines.insert(place, (best, none))
    title, corner = "Targets and alignments", "Targets and alignment"
    return _table(report, title, corner, lines, OF_NAT, own, MINUS)


def _changed(report: Report) -> dict[str, Variant]:
    """NAT's ablations but for its periods, by what tables call them."""
    ablations = (v for v in report.variants.all if v.method == NAT and v.override)
    return {v.name: v for v in ablations if v.factor != "permute_every"}


def _was_run(report: Report, variant: Variant) -> bool:
    return any(report.of(variant, metric) for metric in PROBES)


def _place(variant: Variant) -> tuple[int, float]:
    """Targets first, in the order of the tables, then what else was changed."""
    order = ("targets.dimension", "targets.k", "target_type", "alignment", variant.factor)
    return order.index(variant.factor), variant.value if isinstance(variant.value, int) else 0


def what_helped(table: Table) -> dict[str, list[str]]:
    """Targets and alignments of the table ``targets``, by whether they are better than its first.

    Under ``costs``: how many times as long as the first's the other alignments take.
    """
    ways: dict[str, list[str]] = {HELD: [], NOT_HELD: [], OPEN: [], "costs": []}
    first = next(head for head, column in table.frame.columns if column == MINUS)
    frame = table.frame[first]
    usual, *_ = frame["alignment, ms"]
    for name, cost, difference in frame[["alignment, ms", MINUS]].itertuples():
        if isinstance(difference, Difference):
            ways[judge(difference)].append(name)
        known = isinstance(cost, Measured) and isinstance(usual, Measured)
        if known and name.endswith(" alignment"):
            ways["costs"].append(f"{name} {cost.mean / usual.mean:.1f} times")
    return ways


def _table(
    report: Report, title: str, corner: str, lines: Sequence[Line], columns: Columns,
    reference: Sequence[Variant | None] = (), minus: str = "",
) -> Table:  # fmt: skip
    """The paper's numbers, and beside them what was measured on each data set.

    ``corner`` is above the names of the rows. With a ``reference`` of each, a last column,
    ``minus``, has the differences of the first number to that of it. Of other profiles than the one
    in use there are accuracies alone, and only where there are any.
    """
    is_voc = columns is TRANSFER
    heads = [(("VOC 2007" if is_voc else "ImageNet") + PAPER, name)
             for name in (TRANSFER if is_voc else ACCURACY)]  # fmt: skip
    stem = title.replace("Table ", "table").split()[0].lower()
    rows: list[list[Cell]] = [
        [Missing(NONE) if n == "-" else Quoted(n) for n in row.numbers] for row, _ in lines
    ]
    for place, each in enumerate(report.all[: len(lines[0][1])]):
        found = [variants[place] for _, variants in lines]
        shown = columns if each is report else _accuracies(columns)
        of_each = [_cells(each, variant, shown, each.heads[is_voc]) for variant in found]
        if each is not report and not any(map(_is_measured, of_each)):
            continue
        if reference:
            usual = _cells(each, reference[place], shown, each.heads[is_voc])[0]
            of_each = [[*cells, _minus(each, cells[0], usual)] for cells in of_each]
        heads += [(each.heads[is_voc] + HERE, name) for name in (*shown, minus) if name]
        rows = [[*row, *cells] for row, cells in zip(rows, of_each, strict=True)]
    notes: list[str] = []
    marks = []
    for (row, _), cells in zip(lines, rows, strict=True):
        measured = _is_measured(cells)
        remark = REMARKS.get((stem, row.key), "").format(data=report.data) if measured else ""
        is_composed = measured and any(each.is_composed(row.key) for each in report.all)
        own = [note for note in (row.note, remark, COMPOSED if is_composed else "") if note]
        notes += [note for note in own if note not in notes]
        marks.append(tuple(notes.index(note) + 1 for note in own))
    counts = {cell.n for row in rows for cell in row if isinstance(cell, Measured)}
    frame = pd.DataFrame(
        rows,
        index=pd.Index([row.name for row, _ in lines], name=corner),
        columns=pd.MultiIndex.from_tuples(heads),
        dtype=object,
    ).map(lambda c: replace(c, say_n=c.n < max(counts)) if isinstance(c, Measured) else c)
    caption = page.caption(stem, report=report, counts=counts)
    keys = [row.key for row, _ in lines]
    return Table(stem, title, caption, frame, notes, marks, keys.index(NAT) if NAT in keys else -1)


def _accuracies(columns: Columns) -> Columns:
    return {n: column for n, column in columns.items() if column[1] != "train" or n in ACCURACY}


def _is_measured(cells: Sequence[Cell]) -> bool:
    return any(isinstance(cell, Measured) for cell in cells)


def _cells(report: Report, variant: Variant | None, columns: Columns, head: str) -> list[Cell]:
    """The numbers of a variant; why there is none is told once."""
    cells: list[Cell] = []
    for column in columns.values():
        cell = _cell(report, variant, *column)
        if isinstance(cell, Measured):
            cell = replace(cell, data=head)
        elif cells and isinstance(cell, Missing):
            cell = Missing(cell.partition(":")[0])
        cells.append(cell)
    return cells


def _cell(report: Report, variant: Variant | None, metric: str, stage: str) -> Cell:
    """A number, or why there is none."""
    if variant is None:
        return Missing(NONE)
    if found := report.of(variant, metric, stage):
        return found
    if stage != "train" or metric == "accuracy":
        why = report.not_run.get(Run(stage, variant.method, variant.override), "")
        return Missing(f"not run: {why.partition(':')[0]}" if why else "not run")
    never = variant.method == "nat" and get(variant.in_use, "permute_every") == "never"
    return Missing("never" if never and metric == COST[0] else NONE)


def _minus(report: Report, cell: Cell, other: Cell) -> Cell:
    """The difference to a reference; none of the reference to itself."""
    if not (isinstance(cell, Measured) and isinstance(other, Measured)) or cell == other:
        return Missing(NONE)
    return of_accuracies(cell, other, report.images("test")).difference


def tables(report: Report) -> dict[str, Table]:
    """All of them, by the names of their files."""
    made = (
        of_labels(report, "Table 1", "Loss", "baselines.labels.loss"),
        of_labels(report, "Table 2", "Pre-processing", "model.preprocessing"),
        of_methods(report, "Table 3", TABLE_3),
        of_methods(report, "Table 4", TRANSFER),
        against(report),
        periods(report),
        targets(report),
    )
    return {table.stem: table for table in made if table}
