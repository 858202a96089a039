"""What the paper says of its features, as data, checked on the numbers measured here."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from nat.report.frame import Report
from nat.report.names import pace
from nat.report.results import ON_VOC, Run
from nat.report.table import Measured
from nat.report.verdict import (
    SMALL,
    Judge,
    Pair,
    above,
    alike,
    error_of_classes,
    no_worse,
    of_accuracies,
    verdict,
)

EACH, MOVING, BEST, ENDS, NEXT, CURVE = "each", "moving", "best", "ends", "next", "curve"


class Of(NamedTuple):
    """A measured number, or several: those of the values of a factor.

    A value may be EACH for all of them, MOVING for all periods in which P is updated, BEST for the
    best of these. Of the stage CURVE, probes of NAT's trunk by epoch, NEXT takes all steps, ENDS
    the first checkpoint and the last epoch.
    """

    method: str
    metric: str = "mlp"
    stage: str = "probe"
    factor: str = ""
    value: Any = None


class Statement(NamedTuple):
    """What is said: the numbers of ``more`` are above those of ``less``, or as ``rule`` has it.

    ``source`` is where the paper makes it; ``added`` marks what it does not say itself, of a row or
    a probe that it does not have. ``name`` is of one of several comparisons, with ``{value}``,
    ``{pace}``, ``{first}`` and ``{last}``; the text may have the latter two.
    """

    text: str
    source: str
    more: Of
    less: Of
    name: str = ""
    rule: Judge = above
    added: bool = False


def _period(value: Any) -> Of:
    return Of("nat", factor="permute_every", value=value)


def _labels(factor: str, value: str) -> Of:
    return Of("labels", "accuracy", "train", factor, value)


def _transfer() -> Iterator[Statement]:
    """Table 4: classification by the layers trained, then detection."""
    for stage, words in zip(ON_VOC, ("fc6-8 trained", "all trained", "detection"), strict=True):
        nat, random, labels = (Of(m, "map", stage) for m in ("nat", "random", "labels"))
        text, row = f"NAT's features transfer better than random ones, {words}", "with a row added"
        yield Statement(text, f"Table 4, {row}", nat, random, added=True)
        text = f"features trained with labels transfer better still, {words}"
        yield Statement(text, "Table 4", labels, nat)
        if stage == "finetune-all":
            text = "with NAT, training all layers is better than fc6-8 alone"
            yield Statement(text, "Table 4", nat, nat._replace(stage="finetune-fc6-8"))


NAT, RANDOM, RIGHT, LEFT = Of("nat"), Of("random"), "Figure 2, right", "Figure 2, left"
LOSS, PREPROCESSING, PROBE = (
    "baselines.labels.loss",
    "model.preprocessing",
    "Table 3, another probe",
)
STEPS, WHOLE = (Of("nat", stage=CURVE, value=value) for value in (NEXT, ENDS))
STATEMENTS = (
    Statement("softmax and square loss give similar accuracies", "Table 1",
              _labels(LOSS, "square"), _labels(LOSS, "softmax"), rule=alike),
    *(Statement(f"training with labels loses little with {name} pre-processing", "Table 2",
                _labels(PREPROCESSING, name), _labels(PREPROCESSING, "clean"), rule=no_worse)
      for name in ("high-pass", "sobel")),
    Statement("targets on the sphere are better than discrete ones, whatever k", "Section 4.1",
              Of("nat", factor="target_type", value="sphere"),
              Of("nat", factor="targets.k", value=EACH), "k = {value:,}"),
    Statement("updating P, however often, is better than keeping it fixed", "Section 4.1",
              _period(MOVING), _period("never"), "{pace}"),
    Statement("keeping P fixed is worse than the best period of its updates, chosen by these "
              "numbers", "Section 4.1", _period(BEST), _period("never"), "{pace}"),
    Statement("updating P, however often, gives better features than random ones", RIGHT,
              _period(MOVING), RANDOM, "{pace}"),
    Statement("updating P in every epoch is worse than every 3 epochs", RIGHT,
              _period(3), _period(1)),
    Statement("updating P every 3 epochs is the best of all periods", RIGHT,
              _period(3), _period(MOVING), "than {pace}"),
    Statement("accuracy grows from each checkpoint to the next, from random weights on", LEFT,
              STEPS, STEPS, "epoch {first} to {last}"),
    Statement("accuracy grows with longer training, from epoch {first} to {last}", LEFT,
              WHOLE, WHOLE),
    Statement("NAT's features are better than random ones, with the MLP", "Table 3", NAT, RANDOM),
    *(Statement(f"NAT's features are better than random ones, with {name}", PROBE,
                Of("nat", probe), Of("random", probe), added=True)
      for probe, name in (("linear", "the linear classifier"), ("knn", "kNN"))),
    Statement("features trained with labels are better still", "Tables 3 and 4", Of("labels"), NAT),
    *_transfer(),
)  # fmt: skip


class Claim(NamedTuple):
    """A statement, the comparisons that it rests on, and what became of it."""

    text: str
    source: str
    added: bool
    pairs: list[Pair]
    verdict: str

    @property
    def seeds(self) -> set[int]:
        """How many seeds are behind its numbers."""
        return {len(cell.values) for pair in self.pairs for cell in (pair.more, pair.less)}


def claims(report: Report) -> list[Claim]:
    """Every statement that the measured numbers can test, in the order of the paper."""
    found = []
    for text, source, more, less, name, rule, added in STATEMENTS:
        compare = _of_curve if more.stage == CURVE else _of_runs
        pairs = list(compare(report, more, less, name))
        if pairs:
            first, last = _ends(report)
            told = text.format(first=first, last=last)
            found.append(Claim(told, source, added, pairs, verdict(pairs, rule)))
    return found


def _of_curve(report: Report, more: Of, less: Of, name: str) -> Iterator[Pair]:
    curve, images = report.curve, report.images("val")
    for first, last in pairwise(curve) if more.value == NEXT else [_ends(report)]:
        if first != last:
            cells = curve[last][more.metric], curve[first][less.metric]
            yield of_accuracies(*cells, images, name.format(first=first, last=last))


def _ends(report: Report) -> tuple[int, int]:
    """The first checkpoint, else epoch 0, and the last epoch; the same where there is no curve."""
    epochs = sorted(report.curve) or [0]
    trained = [epoch for epoch in epochs if epoch > 0]
    return (trained if len(trained) > 1 else epochs)[0], epochs[-1]


def _of_runs(report: Report, more: Of, less: Of, name: str) -> Iterator[Pair]:
    for value, high in _found(report, more):
        for other, low in _found(report, less):
            if high is low:
                continue
            varied = other if value is None or more.value not in (MOVING, BEST) else value
            told = name.format(value=varied, pace=pace(varied))
            if more.stage in ON_VOC:
                classes = (report.by_class(Run(of.stage, of.method)) for of in (more, less))
                yield Pair(high, low, error_of_classes(*classes), told)
            else:
                yield of_accuracies(high, low, report.images("val"), told)


def _found(report: Report, of: Of) -> list[tuple[Any, Measured]]:
    """The numbers that ``of`` names, with the value of the factor; those that were measured."""
    if not of.factor:
        cell = report.measured(Run(of.stage, of.method), of.metric)
        return [] if cell is None else [(None, cell)]
    found = [
        (variant.value, cell)
        for variant in report.variants.of(of.method, of.factor)
        if (cell := report.of(variant, of.metric, of.stage)) is not None
    ]
    if of.value in (MOVING, BEST):
        found = [(value, cell) for value, cell in found if value != "never"]
        return [max(found, key=lambda f: f[1].mean)] if of.value == BEST and found else found
    return [(value, cell) for value, cell in found if of.value in (EACH, value)]


def how_judged(found: list[Claim]) -> str:
    """What errors and verdicts mean, and how many comparisons stand behind them."""
    count = sum(len(claim.pairs) for claim in found)
    return (
        "± 2 SE is twice the standard error of the difference, the largest of those that can be "
        "told: from the spread over seeds, for accuracies from the number of test images, for "
        "average precision from the spread over classes. A difference within it is undecided. "
        "A statement on several differences holds if each of them does, and does not if one of "
        f"them does not. Similar, or little, means within {SMALL} points, ± 2 SE included: the "
        "largest difference that the paper itself calls insignificant (Table 2). The "
        f"{len(found)} statements rest on {count} comparisons; were there no difference at all, "
        "about one comparison in twenty would still come out beyond ± 2 SE, by chance."
    )
