"""What the paper says of its features, checked on the numbers measured here."""

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from nat.report.artifacts import Artifacts
from nat.report.names import LAYERS, READINGS
from nat.report.table import Measured

HELD, NOT_HELD, OPEN = "held", "did not hold", "undecided"


@dataclass(frozen=True)
class Claim:
    """A statement and what became of it.

    Attributes:
        text: the statement.
        source: where the paper makes it.
        verdict: held, did not hold, or undecided (the difference is within the noise).
        numbers: that decided.
    """

    text: str
    source: str
    verdict: str
    numbers: str


def claims(artifacts: Artifacts) -> list[Claim]:
    """Every statement that the measured numbers can test, in the order of the paper."""
    return list(_claims(artifacts))


def noise(errors: list[float]) -> float | None:
    """Twice the largest of several standard errors, in points; None if none is known."""
    return 2 * max(errors) if errors else None


def error_of_seeds(more: Measured, less: Measured) -> list[float]:
    """Standard error of the mean difference over seeds; nothing for one seed."""
    pairs = zip(more.values, less.values, strict=True)
    return _error([a - b for a, b in pairs])


def error_of_pictures(more: Measured, less: Measured, pictures: int) -> list[float]:
    """Standard error of a difference of accuracies from the number of test pictures.

    Binomial, with both methods taken as independent, which overstates it. More seeds do not lower
    it, as they share their test pictures.
    """
    return [math.sqrt(sum(x.mean * (100 - x.mean) for x in (more, less)) / pictures)]


def error_of_classes(more: dict[str, float], less: dict[str, float]) -> list[float]:
    """Standard error of a difference of mean average precisions from its spread over classes."""
    return _error([more[name] - less[name] for name in more.keys() & less.keys()])


def _error(differences: list[float]) -> list[float]:
    if len(differences) < 2:
        return []
    return [statistics.stdev(differences) / math.sqrt(len(differences))]


def compare(text: str, source: str, more: Measured, less: Measured, errors: list[float]) -> Claim:
    """The claim that ``more`` is above ``less``, by standard errors other than the seeds'."""
    difference = more.mean - less.mean
    width = noise([*errors, *error_of_seeds(more, less)])
    if width is not None and abs(difference) <= width:
        verdict = OPEN
    else:
        verdict = HELD if difference > 0 else NOT_HELD
    known = "noise unknown" if width is None else f"noise {width:.1f}"
    return Claim(text, source, verdict, f"{more} against {less}: {difference:+.1f}, {known}")


def _claims(artifacts: Artifacts) -> Iterator[Claim]:
    pictures = artifacts.illustration.facts["val"]

    def accuracy(text: str, source: str, more: Measured, less: Measured) -> Claim:
        return compare(text, source, more, less, error_of_pictures(more, less, pictures))

    def voc(text: str, source: str, more: tuple[str, str], less: tuple[str, str]) -> Claim:
        errors = error_of_classes(artifacts.voc_by_class(*more), artifacts.voc_by_class(*less))
        return compare(text, source, artifacts.voc(*more), artifacts.voc(*less), errors)

    curve = artifacts.curve()
    first, last = sorted(curve)[min(1, len(curve) - 2)], max(curve)
    yield accuracy(
        f"accuracy grows with longer training, from epoch {first} to {last}",
        "Figure 2, left",
        curve[last]["mlp"],
        curve[first]["mlp"],
    )
    for reading, name in READINGS.items():
        yield accuracy(
            f"NAT's features are better than random ones, read by {name}",
            "Table 3" if reading == "mlp" else "Table 3, another reading",
            artifacts.probe("nat", reading),
            artifacts.probe("random", reading),
        )
    yield accuracy(
        "features trained with labels are better still",
        "Tables 3 and 4",
        artifacts.probe("labels", "mlp"),
        artifacts.probe("nat", "mlp"),
    )
    for layers in LAYERS:
        yield voc(
            f"NAT's features transfer better than random ones, {layers} trained",
            "Table 4, with a row added",
            ("nat", layers),
            ("random", layers),
        )
        yield voc(
            f"features trained with labels transfer better still, {layers} trained",
            "Table 4",
            ("labels", layers),
            ("nat", layers),
        )
    yield voc(
        "with NAT, training all layers is better than fc6-8 alone",
        "Table 4",
        ("nat", "all"),
        ("nat", "fc6-8"),
    )
