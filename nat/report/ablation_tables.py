"""The tables of section 4.1: Tables 1 and 2, periods, targets and alignments; all in one CSV."""

import csv
import io
from collections.abc import Callable

from nat.report import paper
from nat.report.ablations import PROBED, Ablations, Variant
from nat.report.names import READINGS, pace
from nat.report.table import Cell, Column, Measured, Missing, Table
from nat.report.tables import NONE, key, side_by_side
from nat.report.verdict import HELD, NOT_HELD, OPEN, above, of_accuracies

RANDOM = next(row for row in paper.TABLE_3 if row.key == "random")
ELSEWHERE = "the paper's k are 1e3, 1e4 and 1e5, of which it prints the best"
AVERAGED = "Sinkhorn draws an image to a mean of targets; its permutation P is the exact one"


def table_1(ablations: Ablations) -> Table:
    """Training with labels, by loss."""
    return _supervised(ablations, "Table 1", "loss", "Loss", paper.TABLE_1, "softmax")


def table_2(ablations: Ablations) -> Table:
    """Training with labels, by front end."""
    return _supervised(
        ablations, "Table 2", "preprocessing", "Pre-processing", paper.TABLE_2, "clean"
    )


def _supervised(
    ablations: Ablations,
    title: str,
    factor: str,
    corner: str,
    rows: tuple[paper.Row, ...],
    base: str,
) -> Table:
    data, first = ablations.data, ablations.find(factor, base)
    front = next(v.value for v in ablations.variants["preprocessing"] if v.reference)
    behind = f", behind the {front} front end" if factor == "loss" else ""
    name = next(row.name for row in rows if row.key == base)

    def measure(row: str) -> tuple[Cell, ...]:
        variant = ablations.find(factor, row)
        if variant is None:
            return Missing("not run"), Missing(NONE)
        accuracy = variant.accuracy
        if first is None or variant is first:
            return accuracy, Missing(NONE)
        return accuracy, of_accuracies(accuracy, first.accuracy, ablations.pictures).difference

    return side_by_side(
        title,
        f"Accuracy in percent of the network trained with labels, by {corner.lower()}{behind}. The "
        f"last column is the difference to {name}, in points. {key(ablations.seeds)}",
        (
            Column("Acc@1", "ImageNet (paper)"),
            Column("Acc@1", f"{data}, measured", data),
            Column(f"minus {name}", f"{data}, measured", data),
        ),
        list(rows),
        measure,
        corner=corner,
    )


def periods(ablations: Ablations) -> Table:
    """Figure 2, right, in numbers."""
    quoted = {"never": paper.IN_TEXT["fixed"], 3: paper.IN_TEXT["nat"]}  # all that it prints
    variants = {str(v.value): v for v in ablations.variants["permute_every"]}
    rows = [
        paper.Row(
            str(v.value),
            f"P fixed ({v.value})" if v.value == "never" else pace(v.value),
            (quoted.get(v.value),),
        )
        for v in variants.values()
    ]
    return side_by_side(
        "Periods",
        "Accuracy in percent of classifiers on frozen features, by how often the assignment P is "
        f"updated. The paper prints its best and P fixed, and that every period that it tried is "
        f"above {paper.IN_TEXT['frequencies']} %. {_reference(ablations)} {key(ablations.seeds)}",
        (Column("Acc@1", "ImageNet (paper)"), *_columns(ablations)),
        [*rows, paper.Row("random", "random trunk", RANDOM.numbers)],
        _measure(ablations, variants),
        corner="P is updated",
    )


def targets(ablations: Ablations) -> Table:
    """Targets and alignments: the reference, then one setting changed at a time."""
    variants = {"reference": ablations.reference}
    own = paper.IN_TEXT["nat"] if ablations.is_papers else None
    rows = [paper.Row("reference", f"{ablations.setup()} (reference)", (own,))]
    best = [paper.Row("best", "discrete, best k", (paper.IN_TEXT["discrete"],), ELSEWHERE)]
    for factor in ("dimension", "k", "target_type", "alignment"):
        rows += best if factor == "k" else []
        for variant in ablations.variants[factor]:
            if not variant.reference:
                name = f"{factor}-{variant.value}"
                variants[name] = variant
                note = AVERAGED if name == "alignment-sinkhorn" else ""
                rows.append(paper.Row(name, ablations.name(variant), (None,), note))
    if own is None:
        rows.insert(1, paper.Row("paper", "sphere, exact alignment", (paper.IN_TEXT["nat"],)))
    return side_by_side(
        "Targets and alignments",
        "Accuracy in percent of classifiers on frozen features, and the cost of training, by the "
        "noise that is predicted and the way it is assigned; all else as in the reference. "
        f"{_reference(ablations)} {key(ablations.seeds)}",
        (Column("Acc@1", "ImageNet (paper)"), *_columns(ablations)),
        rows,
        _measure(ablations, variants),
        corner="Targets and alignment",
    )


def _reference(ablations: Ablations) -> str:
    period = pace(ablations.reference.trainings[0].parameter("permute_every"))
    return (
        "Alignment: milliseconds a reassigned batch; images/s: of the whole training, with what is "
        "measured and saved on its way. Both are as each run found the machine named below, busy "
        "with other runs or not; the benchmarks compare costs side by side. The last column is the "
        "MLP's difference to the reference, the run of Table 3 "
        f"({ablations.setup()}, P updated {period}), in points."
    )


def _columns(ablations: Ablations) -> list[Column]:
    data = ablations.data
    names = (*READINGS.values(), "alignment, ms", "images/s", "MLP minus reference")
    return [Column(name, f"{data}, measured", data) for name in names]


def _measure(
    ablations: Ablations, variants: dict[str, Variant]
) -> Callable[[str], tuple[Cell, ...]]:
    reference = ablations.reference.probe("mlp")

    def compared(mlp: Measured) -> Cell:
        return of_accuracies(mlp, reference, ablations.pictures).difference

    def measure(row: str) -> tuple[Cell, ...]:
        none = Missing(NONE)
        if row == "random":
            readings = tuple(ablations.random.probe(reading) for reading in READINGS)
            return (*readings, none, none, compared(readings[0]))
        variant = variants.get(row)
        if variant is None:
            return (none,) * (len(READINGS) + 3)
        readings = tuple(variant.probe(reading) for reading in READINGS)
        cost = variant.alignment_ms or Missing("never")
        last = none if variant.reference else compared(readings[0])
        return (*readings, cost, variant.speed, last)

    return measure


def what_helped(ablations: Ablations) -> str:
    """Which targets and alignments are better than the reference, which worse; what they cost."""
    reference = ablations.reference
    ways: dict[str, list[str]] = {HELD: [], NOT_HELD: [], OPEN: []}
    costs = []
    for factor in ("dimension", "k", "target_type", "alignment"):
        for variant in ablations.variants[factor]:
            if variant.reference:
                continue
            name = ablations.name(variant)
            pair = of_accuracies(variant.probe("mlp"), reference.probe("mlp"), ablations.pictures)
            ways[above(pair.difference.value, pair.difference.noise or 0)].append(name)
            cost, usual = variant.alignment_ms, reference.alignment_ms
            if factor == "alignment" and cost and usual:
                costs.append(f"{name} {cost.mean / usual.mean:.1f} times")
    words = [
        f"{verdict}: {'; '.join(names) if names else 'none'}."
        for verdict, names in (
            ("Better than the reference by more than the noise", ways[HELD]),
            ("Worse by more than the noise", ways[NOT_HELD]),
            ("Within the noise", ways[OPEN]),
        )
    ]
    if costs:
        words.append(f"Reassigning a batch took {'; '.join(costs)} as long as the reference's.")
    return " ".join(words)


def tidy(ablations: Ablations) -> str:
    """CSV, a row a value: means over seeds, their standard deviations, and how many seeds.

    ``accuracy`` is the network's own, of the trainings with labels; the readings are of NAT's
    trunk. What does not apply is empty.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    names = [*READINGS, "accuracy"]
    deviations = [f"{name}_sd" for name in names]
    costs = ["alignment_ms", "images_per_second"]
    writer.writerow(["factor", "value", *names, *deviations, *costs, "reference", "n"])
    for factor, variants in ablations.variants.items():
        for variant in variants:
            probed = factor in PROBED
            cells = [variant.probe(reading) if probed else None for reading in READINGS]
            cells.append(None if probed else variant.accuracy)
            cost = variant.alignment_ms if probed else None
            writer.writerow(
                [
                    factor,
                    variant.value,
                    *(f"{cell.mean:.2f}" if cell else "" for cell in cells),
                    *(
                        f"{cell.deviation:.2f}" if cell and cell.deviation is not None else ""
                        for cell in cells
                    ),
                    f"{cost.mean:.2f}" if cost else "",
                    f"{variant.speed.mean:.0f}",
                    int(variant.reference),
                    len(ablations.seeds),
                ]
            )
    return file.getvalue()


def by_period(ablations: Ablations) -> str:
    """CSV with columns period, mlp, linear, knn: percent, mean over seeds (Figure 2, right)."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["period", *READINGS])
    for variant in ablations.variants["permute_every"]:
        readings = (f"{variant.probe(reading).mean:.2f}" for reading in READINGS)
        writer.writerow([variant.value, *readings])
    return file.getvalue()


TABLES: dict[str, Callable[[Ablations], Table]] = {
    "table1": table_1,
    "table2": table_2,
    "periods": periods,
    "targets": targets,
}
