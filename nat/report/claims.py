"""What the paper says of its features, as data, checked on the numbers measured here."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nat.report.frame import Report
from nat.report.names import pace
from nat.report.results import ON_VOC
from nat.report.table import Measured
from nat.report.verdict import (
    SMALL,
    Break,
    Judge,
    Pair,
    Words,
    above,
    alike,
    error_of_classes,
    no_worse,
    of_accuracies,
    verdict,
)

EACH, MOVING, BEST, FIRST, LAST, NEXT = "each", "moving", "best", "first", "last", "next"
CURVE = "curve"
BEST_PERIOD = 3  # epochs, the one that the paper found best


@dataclass(frozen=True)
class Of:
    """A measured number, or several.

    Attributes:
        method: whose.
        metric: its name.
        stage: that measured it; CURVE for probes of NAT's trunk by epoch.
        factor: the setting that varies; empty for the method's own run.
        value: of the factor; EACH for all of them, MOVING for all periods in which P is updated,
            BEST for the best of these; of a curve FIRST, LAST, or NEXT for all steps.
    """

    method: str
    metric: str = "mlp"
    stage: str = "probe"
    factor: str = ""
    value: Any = None


@dataclass(frozen=True)
class Statement:
    """What is said: the numbers of ``more`` are above those of ``less``.

    Attributes:
        text: of the statement; ``{first}`` and ``{last}`` are epochs.
        source: where the paper makes it.
        more: the larger number, or the one that is to be as large.
        less: the other.
        rule: how a difference is judged.
        added: whether the paper does not say it itself: a row, or a probe, that it does not have.
        name: of one of several comparisons; ``{value}``, ``{pace}``, ``{first}`` and ``{last}``.
    """

    text: str
    source: str
    more: Of
    less: Of
    rule: Judge = above
    added: bool = False
    name: str = ""


def _period(value: Any) -> Of:
    return Of("nat", factor="permute_every", value=value)


def _loss(value: str) -> Of:
    return Of("labels", "accuracy", "train", "baselines.labels.loss", value)


def _preprocessing(value: str) -> Of:
    return Of("labels", "accuracy", "train", "model.preprocessing", value)


def _transfer() -> Iterator[Statement]:
    """Table 4: classification by the layers trained, then detection."""
    for stage, words in zip(ON_VOC, ("fc6-8 trained", "all trained", "detection"), strict=True):
        nat, random, labels = (Of(m, "map", stage) for m in ("nat", "random", "labels"))
        text, added = (
            f"NAT's features transfer better than random ones, {words}",
            "with a row added",
        )
        yield Statement(text, f"Table 4, {added}", nat, random, added=True)
        text = f"features trained with labels transfer better still, {words}"
        yield Statement(text, "Table 4", labels, nat)
        if stage == "finetune-all":
            text = "with NAT, training all layers is better than fc6-8 alone"
            yield Statement(text, "Table 4", nat, Of("nat", "map", "finetune-fc6-8"))


NAT, RANDOM, RIGHT, LEFT = Of("nat"), Of("random"), "Figure 2, right", "Figure 2, left"
STATEMENTS = (
    Statement("softmax and square loss give similar accuracies", "Table 1",
              _loss("square"), _loss("softmax"), alike),
    Statement("training with labels loses little with high-pass pre-processing", "Table 2",
              _preprocessing("high-pass"), _preprocessing("clean"), no_worse),
    Statement("training with labels loses little with sobel pre-processing", "Table 2",
              _preprocessing("sobel"), _preprocessing("clean"), no_worse),
    Statement("targets on the sphere are better than discrete ones, whatever k", "Section 4.1",
              Of("nat", factor="target_type", value="sphere"),
              Of("nat", factor="targets.k", value=EACH), name="k = {value:,}"),
    Statement("updating P, however often, is better than keeping it fixed", "Section 4.1",
              _period(MOVING), _period("never"), name="{pace}"),
    Statement("keeping P fixed is worse than the best period of its updates, chosen by these "
              "numbers", "Section 4.1", _period(BEST), _period("never"), name="{pace}"),
    Statement("updating P, however often, gives better features than random ones", RIGHT,
              _period(MOVING), RANDOM, name="{pace}"),
    Statement("updating P in every epoch is worse than every 3 epochs", RIGHT,
              _period(BEST_PERIOD), _period(1)),
    Statement("updating P every 3 epochs is the best of all periods", RIGHT,
              _period(BEST_PERIOD), _period(MOVING), name="than {pace}"),
    Statement("accuracy grows from each checkpoint to the next, from random weights on", LEFT,
              Of("nat", stage=CURVE, value=NEXT), Of("nat", stage=CURVE, value=NEXT),
              name="epoch {first} to {last}"),
    Statement("accuracy grows with longer training, from epoch {first} to {last}", LEFT,
              Of("nat", stage=CURVE, value=LAST), Of("nat", stage=CURVE, value=FIRST)),
    Statement("NAT's features are better than random ones, with the MLP", "Table 3", NAT, RANDOM),
    Statement("NAT's features are better than random ones, with the linear classifier",
              "Table 3, another probe", Of("nat", "linear"), Of("random", "linear"), added=True),
    Statement("NAT's features are better than random ones, with kNN",
              "Table 3, another probe", Of("nat", "knn"), Of("random", "knn"), added=True),
    Statement("features trained with labels are better still", "Tables 3 and 4",
              Of("labels"), NAT),
    *_transfer(),
)  # fmt: skip


@dataclass(frozen=True)
class Claim:
    """A statement and what became of it.

    Attributes:
        text: the statement.
        source: where the paper makes it.
        verdict: held, did not hold, or undecided (a difference is within twice its error).
        pairs: the comparisons that decided.
        added: see ``Statement``.
    """

    text: str
    source: str
    verdict: str
    pairs: list[Pair]
    added: bool

    @property
    def numbers(self) -> Words:
        """All comparisons, one after the other."""
        words: list[Any] = []
        for pair in self.pairs:
            words += [*([Break()] if words else []), *pair.words]
        return tuple(words)

    @property
    def seeds(self) -> str:
        """How many seeds are behind the numbers."""
        counts = {len(cell.values) for pair in self.pairs for cell in (pair.more, pair.less)}
        return " to ".join(map(str, sorted({min(counts), max(counts)})))


def claims(report: Report) -> list[Claim]:
    """Every statement that the measured numbers can test, in the order of the paper."""
    found = []
    for statement in STATEMENTS:
        pairs = list(_pairs(report, statement))
        if pairs:
            epochs = dict(zip(("first", "last"), _ends(report), strict=True))
            text = statement.text.format(**epochs)
            judged = verdict(pairs, statement.rule)
            found.append(Claim(text, statement.source, judged, pairs, statement.added))
    return found


def _pairs(report: Report, statement: Statement) -> Iterator[Pair]:
    more, less = statement.more, statement.less
    if more.stage == CURVE:
        curve = {epoch: row[more.metric] for epoch, row in report.curve.items()}
        steps = pairwise(curve) if more.value == NEXT else [_ends(report)]
        for first, last in steps:
            if first != last:
                name = statement.name.format(first=first, last=last)
                yield of_accuracies(curve[last], curve[first], report.images("val"), name)
        return
    for value, high in _found(report, more):
        for other, low in _found(report, less):
            if high is not low:
                varied = value if more.value in (MOVING, BEST) else other
                name = statement.name.format(value=varied, pace=pace(varied))
                if more.stage in ON_VOC:
                    errors = error_of_classes(report.by_class(high), report.by_class(low))
                    yield Pair(high, low, errors, name)
                else:
                    yield of_accuracies(high, low, report.images("val"), name)


def _found(report: Report, of: Of) -> list[tuple[Any, Measured]]:
    """The numbers that ``of`` names, with the value of the factor; those that were measured."""
    if not of.factor:
        cell = report.measured(of.stage, of.method, of.metric)
        return [] if cell is None else [(None, cell)]
    found = [
        (variant.value, cell)
        for variant in report.variants.of(of.method, of.factor)
        if (cell := report.of(variant, of.metric, of.stage)) is not None
    ]
    if of.value in (MOVING, BEST):
        found = [(value, cell) for value, cell in found if value != "never"]
    elif of.value != EACH:
        found = [(value, cell) for value, cell in found if value == of.value]
    return [max(found, key=lambda f: f[1].mean)] if of.value == BEST and found else found


def _ends(report: Report) -> tuple[int, int]:
    """The first checkpoint, else epoch 0, and the last epoch; both 0 where there is no curve."""
    epochs = sorted(report.curve)
    trained = [epoch for epoch in epochs if epoch > 0]
    if len(epochs) < 2:
        return 0, 0
    return (trained if len(trained) > 1 else epochs)[0], epochs[-1]


def reading_of_verdicts(found: list[Claim]) -> str:
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
