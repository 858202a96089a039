"""What the paper says of its features, as data, checked on the numbers measured here."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from nat.report.frame import Report
from nat.report.names import pace
from nat.report.results import ON_VOC
from nat.report.table import Measured
from nat.report.verdict import Pair, above, alike, no_worse, of_accuracies, of_precisions, verdict

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
    rule: Callable[[float, float], str] = above
    added: bool = False


def _period(value: Any) -> Of:
    return Of("nat", factor="permute_every", value=value)


def _labels(factor: str, value: str) -> Of:
    return Of("labels", "accuracy", "train", factor, value)


def _transfer(stage: str, words: str) -> list[Statement]:
    """Of Table 4: a way to train on VOC, after the layers trained or the task."""
    nat, random, labels = (Of(method, "map", stage) for method in ("nat", "random", "labels"))
    return [
        Statement(f"NAT's features transfer better than random ones, {words}",
                  "Table 4, with a row added", nat, random, added=True),
        Statement(f"features trained with labels transfer better still, {words}", "Table 4",
                  labels, nat),
    ]  # fmt: skip


NAT, RANDOM, RIGHT, LEFT = Of("nat"), Of("random"), "Figure 2, right", "Figure 2, left"
LOSS, SEEN, PROBE = "baselines.labels.loss", "model.preprocessing", "Table 3, another probe"
STEPS, WHOLE = (Of("nat", stage=CURVE, value=value) for value in (NEXT, ENDS))
FC, ALL, DETECTION = ON_VOC
STATEMENTS = (
    Statement("softmax and square loss give similar accuracies", "Table 1",
              _labels(LOSS, "square"), _labels(LOSS, "softmax"), rule=alike),
    *(Statement(f"training with labels loses little with {name} pre-processing", "Table 2",
                _labels(SEEN, name), _labels(SEEN, "clean"), rule=no_worse)
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
    *_transfer(FC, "fc6-8 trained"),
    *_transfer(ALL, "all trained"),
    Statement("with NAT, training all layers is better than fc6-8 alone", "Table 4",
              Of("nat", "map", ALL), Of("nat", "map", FC)),
    *_transfer(DETECTION, "detection"),
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
        return {cell.n for pair in self.pairs for cell in (pair.more, pair.less)}


def claims(report: Report) -> list[Claim]:
    """Every statement that the measured numbers can test, in the order of the paper."""
    found = []
    first, last = _ends(report)
    for text, source, more, less, name, rule, added in STATEMENTS:
        compare = _of_curve if more.stage == CURVE else _of_runs
        if pairs := list(compare(report, more, less, name)):
            told = text.format(first=first, last=last)
            found.append(Claim(told, source, added, pairs, verdict(pairs, rule)))
    return found


def _of_curve(report: Report, more: Of, less: Of, name: str) -> Iterator[Pair]:
    curve = report.curve
    for first, last in pairwise(curve) if more.value == NEXT else [_ends(report)]:
        if first != last:
            cells = curve[last][more.metric], curve[first][less.metric]
            yield of_accuracies(*cells, report.images("val"), name.format(first=first, last=last))


def _ends(report: Report) -> tuple[int, int]:
    """The first checkpoint, else epoch 0, and the last epoch; the same where there is no curve."""
    epochs = sorted(report.curve) or [0]
    return epochs[1 if len(epochs) > 2 and epochs[0] == 0 else 0], epochs[-1]


def _of_runs(report: Report, more: Of, less: Of, name: str) -> Iterator[Pair]:
    for value, high in _found(report, more):
        for other, low in _found(report, less):
            if high is low:
                continue
            varied = value if more.value in (MOVING, BEST) else other
            told = name.format(value=varied, pace=pace(varied))
            if more.stage in ON_VOC:
                classes = (report.by_class(of.method, of.stage) for of in (more, less))
                yield of_precisions(high, low, classes, told)
            else:
                yield of_accuracies(high, low, report.images("val"), told)


def _found(report: Report, of: Of) -> list[tuple[Any, Measured]]:
    """The numbers that ``of`` names, with the value of the factor; those that were measured."""
    variants = [report.variants.own(of.method)]
    if of.factor:
        variants = report.variants.of(of.method, of.factor)
    numbers = ((variant.value, report.of(variant, of.metric, of.stage)) for variant in variants)
    found = [(value, cell) for value, cell in numbers if cell is not None]
    if of.value in (MOVING, BEST):
        found = [(value, cell) for value, cell in found if value != "never"]
        best = max(found, key=lambda f: f[1].mean, default=None)
        return [best] if of.value == BEST and best else found
    return [(value, cell) for value, cell in found if of.value in (None, EACH, value)]
