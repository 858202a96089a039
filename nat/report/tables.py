"""The tables: every row of the paper's, its numbers beside those measured here."""

from collections.abc import Callable
from dataclasses import replace

from nat.report import paper
from nat.report.frame import Report
from nat.report.names import PROBES, cited, pace
from nat.report.results import ON_VOC
from nat.report.settings import Variant, get
from nat.report.table import NONE, Cell, Column, Measured, Missing, Quoted, Row, Table
from nat.report.verdict import HELD, NOT_HELD, OPEN, above, of_accuracies

ADDED = "a row that the paper's table does not have"
ELSEWHERE = "the paper's k are 1e3, 1e4 and 1e5, of which it prints the best"
AVERAGED = "Sinkhorn draws an image to a mean of targets; its permutation P is the exact one"
NOT_RUN = Missing("not run")


def table_3(report: Report) -> Table:
    """Classification on a frozen trunk."""

    def measure(method: str) -> list[Cell]:
        return [report.probe(method, probe) or NOT_RUN for probe in PROBES]

    return side_by_side(
        ("table3", "Table 3", "Method"),
        "Accuracy in percent of classifiers on frozen features. The MLP is the paper's classifier; "
        "linear and kNN are added.",
        [Column("Acc@1", "ImageNet (paper)"), *_columns(report.data, *PROBES.values())],
        _with_methods(report, paper.TABLE_3),
        measure,
        {"random": "measured: this trunk, untrained, with its own random weights"},
    )


def table_4(report: Report) -> Table:
    """VOC classification and detection."""

    def measure(method: str) -> list[Cell]:
        return [report.measured(stage, method, "map") or NOT_RUN for stage in ON_VOC]

    names = ("classification fc6-8", "classification all", "detection all")
    return side_by_side(
        ("table4", "Table 4", "Method"),
        "Mean average precision in percent, by the layers trained: fc6-8 (convolutions frozen) or "
        f"all. Trunks measured here were trained on {report.data}, the paper's on ImageNet.",
        [*(Column(name, "VOC 2007 (paper)") for name in names), *_columns(report.voc, *names)],
        _with_methods(report, paper.TABLE_4),
        measure,
        {"labels": f"measured: a trunk trained with the labels of {report.data}"},
    )


def _with_methods(report: Report, rows: tuple[paper.Row, ...]) -> list[paper.Row]:
    """The paper's rows, then every method of params.yaml that the paper lacks."""
    known, none = {row.key for row in rows}, (None,) * len(rows[0].numbers)
    others = [method for method in report.variants.methods if method not in known]
    return [*rows, *(paper.Row(method, cited(method), none, ADDED) for method in others)]


def table_1(report: Report) -> Table:
    """Training with labels, by loss."""
    behind = f", with {get(report.settings, 'model.preprocessing')} pre-processing"
    factor = "baselines.labels.loss"
    return _supervised(report, "1", factor, f"loss{behind}", "Loss", paper.TABLE_1)


def table_2(report: Report) -> Table:
    """Training with labels, by pre-processing."""
    corner = "Pre-processing"
    return _supervised(report, "2", "model.preprocessing", corner.lower(), corner, paper.TABLE_2)


def _supervised(
    report: Report, number: str, factor: str, words: str, corner: str, rows: tuple[paper.Row, ...]
) -> Table:
    variants = {v.value: v for v in report.variants.of("labels", factor)}
    base = rows[0]

    def accuracy(value: str) -> Measured | None:
        return report.of(variants[value], "accuracy", "train") if value in variants else None

    def measure(value: str) -> list[Cell]:
        cell, first = accuracy(value), accuracy(base.key)
        if cell is None:
            return [NOT_RUN, Missing()]
        return [cell, _minus(report, cell, first)]

    return side_by_side(
        (f"table{number}", f"Table {number}", corner),
        f"Accuracy in percent of the network trained with labels, by {words}. The last column is "
        f"the difference to {base.name}, in points.",
        [
            Column("Acc@1", "ImageNet (paper)"),
            *_columns(report.data, "Acc@1", f"minus {base.name}"),
        ],
        list(rows),
        measure,
    )


def _minus(report: Report, cell: Cell, other: Measured | None) -> Cell:
    """The difference to a reference; none of the reference to itself."""
    if other is None or cell is other or not isinstance(cell, Measured):
        return Missing()
    return of_accuracies(cell, other, report.images("val")).difference


def periods(report: Report) -> Table:
    """Figure 2, right, in numbers."""
    quoted = {"never": paper.IN_TEXT["fixed"], 3: paper.IN_TEXT["nat"]}  # all that it prints
    variants = {str(v.value): v for v in report.variants.of("nat", "permute_every")}
    rows = [
        paper.Row(key, "P fixed (never)" if key == "never" else v.name, (quoted.get(v.value),))
        for key, v in variants.items()
    ]
    random = next(row for row in paper.TABLE_3 if row.key == "random")
    return side_by_side(
        ("periods", "Periods", "P is updated"),
        "Accuracy in percent of classifiers on frozen features, by how often the assignment P is "
        f"updated. The paper prints its best and P fixed, and that every period that it tried is "
        f"above {paper.IN_TEXT['frequencies']} %. {_reference(report)}",
        _of_nat(report),
        [*rows, paper.Row("random", "random trunk", random.numbers)],
        _measure(report, variants),
    )


def targets(report: Report) -> Table:
    """Targets and alignments: NAT's own run, then one setting changed at a time."""
    own = paper.IN_TEXT["nat"] if _is_papers(report) else None
    variants = {"reference": Variant("nat", "", "", None, report.settings)}
    rows = [paper.Row("reference", f"{setup(report)} (reference)", (own,))]
    if own is None:
        rows.append(paper.Row("paper", "sphere, exact alignment", (paper.IN_TEXT["nat"],)))
    best = paper.Row("best", "discrete, best k", (paper.IN_TEXT["discrete"],), ELSEWHERE)
    for variant in compared(report):
        if variant.factor != "targets.dimension" and best not in rows:
            rows.append(best)
        variants[variant.override] = variant
        note = AVERAGED if get(variant.in_use, "alignment") == "sinkhorn" else ""
        rows.append(paper.Row(variant.override, variant.name, (None,), note))
    return side_by_side(
        ("targets", "Targets and alignments", "Targets and alignment"),
        "Accuracy in percent of classifiers on frozen features, and the cost of training, by the "
        "noise that is predicted and the way it is assigned; all else as in the reference. "
        f"{_reference(report)}",
        _of_nat(report),
        rows if best in rows else [*rows, best],
        _measure(report, variants),
    )


def compared(report: Report) -> list[Variant]:
    """NAT's ablations but of the period: of the targets first, in the order of the tables."""
    order = ("targets.dimension", "targets.k", "target_type", "alignment")
    found = [v for v in report.variants.others("nat") if v.factor != "permute_every"]

    def place(variant: Variant) -> tuple[int, float]:
        known = order.index(variant.factor) if variant.factor in order else len(order)
        return known, variant.value if isinstance(variant.value, int) else 0

    return sorted(found, key=place)


def setup(report: Report) -> str:
    """NAT's own run in words: its targets and how they are assigned."""
    kind, used = get(report.settings, "target_type"), report.settings
    factor = "targets.k" if kind == "onehot" else "targets.dimension"
    words = [
        Variant("nat", "", name, get(used, name), used).name
        for name in (factor, "alignment")
        if get(used, name) is not None
    ]
    return ", ".join(words)


def _is_papers(report: Report) -> bool:
    """Whether NAT's own run is the paper's method: sphere, exact, every 3 epochs."""
    names = ("target_type", "alignment", "permute_every")
    return [get(report.settings, name) for name in names] == ["sphere", "exact", 3]


def _reference(report: Report) -> str:
    period = pace(get(report.settings, "permute_every"))
    return (
        "Alignment: milliseconds a reassigned batch; images/s: of the whole training, with what is "
        "measured and saved on its way. Both are as each run found the machine named below, busy "
        "with other runs or not; the benchmarks compare costs side by side. The last column is the "
        "MLP's difference to the reference, the run of Table 3 "
        f"({setup(report)}, P updated {period}), in points."
    )


def _of_nat(report: Report) -> list[Column]:
    names = (*PROBES.values(), "alignment, ms", "images/s", "MLP minus reference")
    return [Column("Acc@1", "ImageNet (paper)"), *_columns(report.data, *names)]


def _measure(report: Report, variants: dict[str, Variant]) -> Callable[[str], list[Cell]]:
    reference = report.probe("nat", "mlp")

    def measure(row: str) -> list[Cell]:
        variant = variants.get(row)
        if variant is None and row != "random":
            return [Missing()] * (len(PROBES) + 3)
        found = variant or Variant("random", "", "", None, report.settings)
        probes: list[Cell] = [report.of(found, probe) or NOT_RUN for probe in PROBES]
        cost, speed = (
            None if variant is None else report.of(variant, name, "train")
            for name in ("alignment_ms", "images_per_second")
        )
        fixed = variant is not None and get(variant.in_use, "permute_every") == "never"
        return [
            *probes,
            cost or Missing("never" if fixed else NONE),
            replace(speed, digits=0) if speed else Missing(),
            _minus(report, probes[0], reference),
        ]

    return measure


def what_helped(report: Report) -> str:
    """Which targets and alignments are better than the reference, which worse; what they cost."""
    reference, usual = report.probe("nat", "mlp"), report.measured("train", "nat", "alignment_ms")
    ways: dict[str, list[str]] = {HELD: [], NOT_HELD: [], OPEN: []}
    costs = []
    for variant in compared(report):
        mlp, cost = report.of(variant, "mlp"), report.of(variant, "alignment_ms", "train")
        if reference and mlp:
            found = of_accuracies(mlp, reference, report.images("val")).difference
            ways[above(found.value, found.error or 0)].append(variant.name)
        if variant.factor == "alignment" and cost and usual:
            costs.append(f"{variant.name} {cost.mean / usual.mean:.1f} times")
    words = [
        f"{title}: {'; '.join(names) if names else 'none'}."
        for title, names in (
            ("Better than the reference by more than ± 2 SE", ways[HELD]),
            ("Worse by more than ± 2 SE", ways[NOT_HELD]),
            ("Within ± 2 SE", ways[OPEN]),
        )
    ]
    if costs:
        words.append(f"Reassigning a batch took {'; '.join(costs)} as long as the reference's.")
    return " ".join(words)


def _columns(data: str, *names: str) -> list[Column]:
    return [Column(name, f"{data}, measured", data) for name in names]


def side_by_side(
    names: tuple[str, str, str],
    caption: str,
    columns: list[Column],
    rows: list[paper.Row],
    measure: Callable[[str], list[Cell]],
    remarks: dict[str, str] | None = None,
) -> Table:
    """The paper's rows with what was measured for each.

    Args:
        names: of the files, of the table, and of what stands above the names of the rows.
        caption: sentences; one on the seeds is added.
        columns: the paper's, then the measured ones.
        rows: in the order of the table.
        measure: from a row's key to its measured cells.
        remarks: from a row's key to a note on what was measured.
    """
    notes: list[str] = []
    made = []
    for row in rows:
        quoted = [Missing() if text is None else Quoted(text) for text in row.numbers]
        cells = measure(row.key)
        known = any(isinstance(cell, Measured) for cell in cells)
        marks = []
        for note in filter(None, (row.note, (remarks or {}).get(row.key, "") if known else "")):
            if note not in notes:
                notes.append(note)
            marks.append(notes.index(note) + 1)
        made.append(Row(row.name, (*quoted, *cells), tuple(marks)))
    stem, title, corner = names
    table = Table(stem, title, caption, corner, tuple(columns), tuple(made), tuple(notes))
    return _with_seeds(table)


def _with_seeds(table: Table) -> Table:
    """The table with how many seeds it shows, said at each number where they differ."""
    counts = sorted({len(cell.values) for cell in table.measured})
    most = f"{counts[-1]} seeds" if counts and counts[-1] > 1 else "one seed"
    spread = f"mean ± standard deviation over {most}" if counts and counts[-1] > 1 else most
    if len(counts) > 1:
        spread += ", but for those that say their number n of seeds"
    told = f"Italics: quoted from the paper. Measured: {spread if counts else 'nothing'}."
    rows = tuple(
        replace(
            row,
            cells=tuple(
                replace(cell, say_n=True)
                if isinstance(cell, Measured) and len(cell.values) < counts[-1]
                else cell
                for cell in row.cells
            ),
        )
        for row in table.rows
    )
    return replace(table, caption=f"{table.caption} {told}", rows=rows)


def not_run(table: Table) -> list[str]:
    """Names of the rows without any measured number."""
    return [
        row.name for row in table.rows if not any(isinstance(cell, Measured) for cell in row.cells)
    ]


TABLES: tuple[Callable[[Report], Table], ...] = (
    table_1, table_2, table_3, table_4, periods, targets,
)  # fmt: skip
