"""The tables: every row of the paper's, its numbers beside those measured here."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nat.report import paper
from nat.report.frame import Report
from nat.report.names import PROBES, cited, pace
from nat.report.results import ON_VOC, Run
from nat.report.settings import Variant, get
from nat.report.table import NONE, Cell, Column, Measured, Missing, Quoted, Row, Table, several
from nat.report.verdict import HELD, NOT_HELD, OPEN, above, of_accuracies

ADDED = "a row that the paper's table does not have"
ELSEWHERE = "the paper's k are 1e3, 1e4 and 1e5, of which it prints the best"
AVERAGED = "Sinkhorn draws an image to a mean of targets; its permutation P is the exact one"
NOT_RUN, IMAGENET = Missing("not run"), [Column("ImageNet (paper)", "Acc@1")]
Cells = list[Cell]


def table_3(report: Report) -> Table:
    """Classification on a frozen trunk."""
    caption = (
        "Accuracy in percent of classifiers on frozen features. The MLP is the paper's classifier; "
        "linear and kNN are added."
    )
    columns = [*IMAGENET, *_columns(report.data, *PROBES.values())]
    remarks = {"random": "measured: this trunk, untrained, with its own random weights"}
    metrics = [("probe", probe) for probe in PROBES]
    return _of_methods(report, "3", caption, columns, paper.TABLE_3, metrics, remarks)


def table_4(report: Report) -> Table:
    """VOC classification and detection."""
    caption = (
        "Mean average precision in percent, by the layers trained: fc6-8 (convolutions frozen) or "
        f"all. Trunks measured here were trained on {report.data}, the paper's on ImageNet."
    )
    tasks = ("classification fc6-8", "classification all", "detection all")
    columns = [*(Column("VOC 2007 (paper)", task) for task in tasks), *_columns(report.voc, *tasks)]
    remarks = {"labels": f"measured: a trunk trained with the labels of {report.data}"}
    metrics = [(stage, "map") for stage in ON_VOC]
    return _of_methods(report, "4", caption, columns, paper.TABLE_4, metrics, remarks)


def _of_methods(
    report: Report, number: str, caption: str, columns: list[Column], rows: tuple[paper.Row, ...],
    metrics: list[tuple[str, str]], remarks: dict[str, str],
) -> Table:  # fmt: skip
    """The paper's rows, then every method of params.yaml that the paper lacks."""
    known, none = {row.key for row in rows}, (None,) * len(rows[0].numbers)
    others = [method for method in report.variants.methods if method not in known]
    added = [paper.Row(method, cited(method), none, ADDED) for method in others]

    def measure(method: str) -> Cells:
        return [report.measured(Run(stage, method), name) or NOT_RUN for stage, name in metrics]

    names = (f"table{number}", f"Table {number}", "Method")
    return side_by_side(names, caption, columns, [*rows, *added], measure, remarks)


def table_1(report: Report) -> Table:
    """Training with labels, by loss."""
    words = f"loss, with {get(report.settings, 'model.preprocessing')} pre-processing"
    names = ("table1", "Table 1", "Loss")
    return _of_labels(report, names, "baselines.labels.loss", words, paper.TABLE_1)


def table_2(report: Report) -> Table:
    """Training with labels, by pre-processing."""
    names = ("table2", "Table 2", "Pre-processing")
    return _of_labels(report, names, "model.preprocessing", "pre-processing", paper.TABLE_2)


def _of_labels(
    report: Report, names: tuple[str, str, str], factor: str, words: str, rows: Any
) -> Table:
    cells = {
        variant.value: report.of(variant, "accuracy", "train")
        for variant in report.variants.of("labels", factor)
    }
    caption = (
        f"Accuracy in percent of the network trained with labels, by {words}. The last column is "
        f"the difference to {rows[0].name}, in points."
    )

    def measure(value: str) -> Cells:
        cell = cells.get(value) or NOT_RUN
        return [cell, _minus(report, cell, cells.get(rows[0].key))]

    columns = [*IMAGENET, *_columns(report.data, "Acc@1", f"minus {rows[0].name}")]
    return side_by_side(names, caption, columns, list(rows), measure)


def _minus(report: Report, cell: Cell, other: Measured | None) -> Cell:
    """The difference to a reference; none of the reference to itself."""
    if other is None or cell is other or not isinstance(cell, Measured):
        return Missing()
    return of_accuracies(cell, other, report.images("val")).difference


def periods(report: Report) -> Table:
    """Figure 2, right, in numbers."""
    caption = (
        "Accuracy in percent of classifiers on frozen features, by how often the assignment P is "
        f"updated. The paper prints its best and P fixed, and that every period that it tried is "
        f"above {paper.IN_TEXT['frequencies']} %."
    )
    quoted = {"never": paper.IN_TEXT["fixed"], 3: paper.IN_TEXT["nat"]}  # all that it prints
    variants = {str(v.value): v for v in report.variants.of("nat", "permute_every")}
    rows = [
        paper.Row(key, "P fixed (never)" if key == "never" else v.name, (quoted.get(v.value),))
        for key, v in variants.items()
    ]
    random = next(row for row in paper.TABLE_3 if row.key == "random")
    rows.append(replace(random, name="random trunk"))
    variants["random"] = report.variants.own("random")
    return _of_nat(report, ("periods", "Periods", "P is updated"), caption, rows, variants)


def targets(report: Report) -> Table:
    """Targets and alignments: NAT's own run, then one setting changed at a time."""
    caption = (
        "Accuracy in percent of classifiers on frozen features, and the cost of training, by the "
        "noise that is predicted and the way it is assigned; all else as in the reference."
    )
    names = ("target_type", "alignment", "permute_every")
    is_papers = [get(report.settings, name) for name in names] == ["sphere", "exact", 3]
    sphere, best = paper.IN_TEXT["nat"], paper.IN_TEXT["discrete"]
    rows = [paper.Row("", f"{setup(report)} (reference)", (sphere if is_papers else None,))]
    if not is_papers:
        rows.append(paper.Row("paper", "sphere, exact alignment", (sphere,)))
    found = compared(report)
    place = sum(variant.factor == "targets.dimension" for variant in found)
    for variant in found:
        note = AVERAGED if get(variant.in_use, "alignment") == "sinkhorn" else ""
        rows.append(paper.Row(variant.override, variant.name, (None,), note))
    discrete = paper.Row("best", "discrete, best k", (best,), ELSEWHERE)
    rows.insert(len(rows) - len(found) + place, discrete)
    variants = {variant.override: variant for variant in [report.variants.own("nat"), *found]}
    titles = ("targets", "Targets and alignments", "Targets and alignment")
    return _of_nat(report, titles, caption, rows, variants)


def compared(report: Report) -> list[Variant]:
    """NAT's ablations but of the period: of the targets first, in the order of the tables."""
    order = ("targets.dimension", "targets.k", "target_type", "alignment")

    def place(variant: Variant) -> tuple[int, float]:
        known = order.index(variant.factor) if variant.factor in order else len(order)
        return known, variant.value if isinstance(variant.value, int) else 0

    ablations = [v for v in report.variants.all if v.method == "nat" and v.override]
    return sorted((v for v in ablations if v.factor != "permute_every"), key=place)


def setup(report: Report) -> str:
    """NAT's own run in words: its targets and how they are assigned."""
    discrete = get(report.settings, "target_type") == "onehot"
    names = ("targets.k" if discrete else "targets.dimension", "alignment")
    own = (report.variants.own("nat", name) for name in names)
    return ", ".join(variant.name for variant in own if variant.value is not None)


def _of_nat(
    report: Report, names: tuple[str, str, str], caption: str, rows: list[paper.Row],
    variants: dict[str, Variant],
) -> Table:  # fmt: skip
    """Probes and costs of NAT's variants, compared with NAT's own run."""
    reference = report.measured(Run("probe", "nat"), "mlp")
    caption = (
        f"{caption} Alignment: milliseconds a reassigned batch; images/s: of the whole training, "
        "with what is measured and saved on its way. Both are as each run found the machine named "
        "below, busy with other runs or not; the benchmarks compare costs side by side. The last "
        f"column is the MLP's difference to the reference, the run of Table 3 ({setup(report)}, P "
        f"updated {pace(get(report.settings, 'permute_every'))}), in points."
    )

    def measure(row: str) -> Cells:
        if row not in variants:
            return [Missing()] * (len(PROBES) + 3)
        variant = variants[row]
        probes: Cells = [report.of(variant, probe) or NOT_RUN for probe in PROBES]
        fixed = variant.method == "nat" and get(variant.in_use, "permute_every") == "never"
        cost = report.of(variant, "alignment_ms", "train") or Missing("never" if fixed else NONE)
        speed = report.of(variant, "images_per_second", "train")
        last = _minus(report, probes[0], reference)
        return [*probes, cost, replace(speed, digits=0) if speed else Missing(), last]

    measured = (*PROBES.values(), "alignment, ms", "images/s", "MLP minus reference")
    columns = [*IMAGENET, *_columns(report.data, *measured)]
    return side_by_side(names, caption, columns, rows, measure)


def what_helped(report: Report) -> str:
    """Which targets and alignments are better than the reference, which worse; what they cost."""
    reference = report.measured(Run("probe", "nat"), "mlp")
    usual = report.measured(Run("train", "nat"), "alignment_ms")
    ways: dict[str, list[str]] = {HELD: [], NOT_HELD: [], OPEN: []}
    costs = []
    for variant in compared(report):
        mlp, cost = report.of(variant, "mlp"), report.of(variant, "alignment_ms", "train")
        if reference and mlp:
            found = of_accuracies(mlp, reference, report.images("val")).difference
            ways[above(found.value, found.error or 0)].append(variant.name)
        if variant.factor == "alignment" and cost and usual:
            costs.append(f"{variant.name} {cost.mean / usual.mean:.1f} times")
    better, worse, within = ("; ".join(names) or "none" for names in ways.values())
    words = f"Better than the reference by more than ± 2 SE: {better}. "
    words += f"Worse by more than ± 2 SE: {worse}. Within ± 2 SE: {within}."
    took = f" Reassigning a batch took {'; '.join(costs)} as long as the reference's."
    return words + (took if costs else "")


def _columns(data: str, *names: str) -> list[Column]:
    return [Column(f"{data}, measured", name, data) for name in names]


def side_by_side(
    names: tuple[str, str, str], caption: str, columns: list[Column], rows: list[paper.Row],
    measure: Callable[[str], Cells], remarks: dict[str, str] | None = None,
) -> Table:  # fmt: skip
    """The paper's rows with what was measured for each.

    Args:
        names: of the files, of the table, and of what stands above the names of the rows.
        caption: sentences; one on the seeds is added.
        columns: the paper's, then the measured ones.
        rows: in the order of the table.
        measure: from a row's key to its measured cells.
        remarks: from a row's key to a note on what was measured.
    """
    measured = [measure(row.key) for row in rows]
    counts = {
        len(cell.values) for cells in measured for cell in cells if isinstance(cell, Measured)
    }
    notes: list[str] = []
    made = []
    for row, cells in zip(rows, measured, strict=True):
        known = any(isinstance(cell, Measured) for cell in cells)
        own = [row.note, (remarks or {}).get(row.key, "") if known else ""]
        notes += [note for note in own if note and note not in notes]
        quoted = (Missing() if text is None else Quoted(text) for text in row.numbers)
        told = (
            replace(c, say_n=len(c.values) < max(counts)) if isinstance(c, Measured) else c
            for c in cells
        )
        marks = tuple(notes.index(note) + 1 for note in own if note)
        made.append(Row(row.name, (*quoted, *told), marks))
    spread = several(counts and {max(counts)})
    if max(counts, default=1) > 1:
        spread = f"mean ± standard deviation over {spread}"
    if len(counts) > 1:
        spread += ", but for those that say their number n of seeds"
    end = f"Italics: quoted from the paper. Measured: {spread if counts else 'nothing'}."
    stem, title, corner = names
    return Table(stem, title, corner, f"{caption} {end}", columns, made, notes)


TABLES = (table_1, table_2, table_3, table_4, periods, targets)
