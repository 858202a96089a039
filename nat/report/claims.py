"""What the paper says of its features, checked on the numbers measured here."""

from collections.abc import Iterator
from functools import partial
from itertools import pairwise

from nat.report.ablations import Ablations, Variant
from nat.report.artifacts import Artifacts, by_class
from nat.report.names import LAYERS, READINGS, pace
from nat.report.verdict import (
    SMALL,
    Claim,
    Pair,
    alike,
    error_of_classes,
    judge,
    no_worse,
    of_accuracies,
)

BEST = 3  # epochs, the period that the paper found best


def claims(artifacts: Artifacts, ablations: Ablations) -> list[Claim]:
    """Every statement that the measured numbers can test, in the order of the paper."""
    return [*of_analysis(ablations), *of_comparison(artifacts)]


def of_comparison(artifacts: Artifacts) -> Iterator[Claim]:
    """Figure 2 left, and section 4.2: Tables 3 and 4."""
    accuracies = partial(of_accuracies, pictures=artifacts.pictures)
    curve = artifacts.curve()
    epochs = sorted(curve)
    first, last = epochs[min(1, len(epochs) - 2)], epochs[-1]
    yield judge(
        "accuracy grows from each checkpoint to the next, from random weights on",
        "Figure 2, left",
        *(
            accuracies(curve[b]["mlp"], curve[a]["mlp"], name=f"epoch {a} to {b}")
            for a, b in pairwise(epochs)
        ),
    )
    yield judge(
        f"accuracy grows with longer training, from epoch {first} to {last}",
        "Figure 2, left",
        accuracies(curve[last]["mlp"], curve[first]["mlp"]),
    )
    for reading, name in READINGS.items():
        yield judge(
            f"NAT's features are better than random ones, read by {name}",
            "Table 3" if reading == "mlp" else "Table 3, another reading",
            accuracies(artifacts.probe("nat", reading), artifacts.probe("random", reading)),
            added=reading != "mlp",
        )
    yield judge(
        "features trained with labels are better still",
        "Tables 3 and 4",
        accuracies(artifacts.probe("labels", "mlp"), artifacts.probe("nat", "mlp")),
    )

    def voc(more: tuple[str, str], less: tuple[str, str]) -> Pair:
        classes = (by_class(artifacts.finetunings[key]) for key in (more, less))
        return Pair(artifacts.voc(*more), artifacts.voc(*less), error_of_classes(*classes))

    for layers in LAYERS:
        yield judge(
            f"NAT's features transfer better than random ones, {layers} trained",
            "Table 4, with a row added",
            voc(("nat", layers), ("random", layers)),
            added=True,
        )
        yield judge(
            f"features trained with labels transfer better still, {layers} trained",
            "Table 4",
            voc(("labels", layers), ("nat", layers)),
        )
    yield judge(
        "with NAT, training all layers is better than fc6-8 alone",
        "Table 4",
        voc(("nat", "all"), ("nat", "fc6-8")),
    )
    yield from of_detection(artifacts)


def of_detection(artifacts: Artifacts) -> Iterator[Claim]:
    """Table 4's last column, where it was measured."""

    def pair(more: str, less: str) -> Pair | None:
        both = artifacts.detection(more), artifacts.detection(less)
        if both[0] is None or both[1] is None:
            return None
        classes = (by_class(artifacts.detections[method]) for method in (more, less))
        return Pair(both[0], both[1], error_of_classes(*classes))

    for text, source, found in (
        (
            "NAT's features transfer better than random ones, detection",
            "Table 4, with a row added",
            pair("nat", "random"),
        ),
        (
            "features trained with labels transfer better still, detection",
            "Table 4",
            pair("labels", "nat"),
        ),
    ):
        if found is not None:
            yield judge(text, source, found, added="row added" in source)


def of_analysis(ablations: Ablations) -> Iterator[Claim]:
    """Section 4.1; a statement whose settings were not all trained is left out."""
    accuracies = partial(of_accuracies, pictures=ablations.pictures)
    find = ablations.find

    square, softmax = find("loss", "square"), find("loss", "softmax")
    if square and softmax:
        yield judge(
            "softmax and square loss give similar accuracies",
            "Table 1",
            accuracies(square.accuracy, softmax.accuracy),
            rule=alike,
        )
    clean = find("preprocessing", "clean")
    for variant in ablations.variants["preprocessing"]:
        if clean and variant is not clean:
            yield judge(
                f"training with labels loses little behind the {variant.value} front end",
                "Table 2",
                accuracies(variant.accuracy, clean.accuracy),
                rule=no_worse,
            )

    def read(more: Variant, less: Variant, name: str = "") -> Pair:
        return accuracies(more.probe("mlp"), less.probe("mlp"), name=name)

    sphere, discrete = ablations.sphere, ablations.variants["k"]
    if sphere and discrete:
        yield judge(
            "targets on the sphere are better than discrete ones, whatever k",
            "Section 4.1",
            *(read(sphere, variant, f"k = {variant.value:,}") for variant in discrete),
        )

    fixed = find("permute_every", "never")
    moving = [v for v in ablations.variants["permute_every"] if v is not fixed]
    if moving and fixed:
        yield judge(
            "updating P, however often, is better than keeping it fixed",
            "Section 4.1",
            *(read(variant, fixed, pace(variant.value)) for variant in moving),
        )
        best = max(moving, key=lambda variant: variant.probe("mlp").mean)
        yield judge(
            "keeping P fixed is worse than the best period of its updates, chosen by these numbers",
            "Section 4.1",
            read(best, fixed, pace(best.value)),
        )
    if moving:
        yield judge(
            "updating P, however often, gives better features than random ones",
            "Figure 2, right",
            *(read(variant, ablations.random, pace(variant.value)) for variant in moving),
        )
    threes, ones = find("permute_every", BEST), find("permute_every", 1)
    if threes and ones:
        yield judge(
            "updating P in every epoch is worse than every 3 epochs",
            "Figure 2, right",
            read(threes, ones),
        )
    others = [variant for variant in moving if variant is not threes]
    if threes and others:
        yield judge(
            "updating P every 3 epochs is the best of all periods",
            "Figure 2, right",
            *(read(threes, variant, f"than {pace(variant.value)}") for variant in others),
        )


def reading_of_verdicts(found: list[Claim]) -> str:
    """What noise and verdicts mean, and how many comparisons stand behind them."""
    count = sum(claim.comparisons for claim in found)
    return (
        "Noise is twice the standard error of the difference, the largest of those that can be "
        "told: from the spread over seeds, for accuracies from the number of test pictures, for "
        "average precision from the spread over classes. A difference within it is undecided. "
        "A statement on several differences holds if each of them does, and does not if one of "
        f"them does not. Similar, or little, means within {SMALL} points, noise included: the "
        "largest difference that the paper itself calls insignificant (Table 2). The "
        f"{len(found)} statements rest on {count} comparisons; were there no difference at all, "
        "about one comparison in twenty would still come out beyond its noise, by chance."
    )
