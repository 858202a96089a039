"""How a statement is judged on measured numbers: differences, their standard errors, verdicts."""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from nat.report.table import Difference, Measured

HELD, NOT_HELD, OPEN = "held", "did not hold", "undecided"

# Points. The paper calls 2.3 (Table 2, clean to sobel) no significant drop and 0.8 (Table 1)
# similar; the larger of the two is what counts as small here.
SMALL = 2.3


@dataclass(frozen=True)
class Pair:
    """Two numbers to compare.

    ``more`` is said to be larger, or to be as large. ``errors`` are standard errors of the
    difference, in points, other than the one over seeds; ``name`` sets the pair apart from others.
    """

    more: Measured
    less: Measured
    errors: list[float]
    name: str = ""

    @property
    def difference(self) -> Difference:
        """Of the means, and twice the largest of its known standard errors."""
        errors = [*self.errors, *error_of_seeds(self.more, self.less)]
        error = 2 * max(errors) if errors else None
        return Difference(self.more.mean - self.less.mean, error, self.more.data)


def error_of_seeds(more: Measured, less: Measured) -> list[float]:
    """Standard error of the difference over seeds; nothing where one number has one seed alone.

    Seeds are paired where both have the same ones, else both are taken as independent.
    """
    if more.seeds == less.seeds:
        return _error(a - b for a, b in zip(more.values, less.values, strict=True))
    both = [_error(each.values) for each in (more, less)]
    return [math.hypot(*(error for (error,) in both))] if all(both) else []


def error_of_images(more: Measured, less: Measured, images: int) -> list[float]:
    """Standard error of a difference of accuracies from the number of test images.

    Binomial, with both methods taken as independent, which overstates it. More seeds do not lower
    it, as they share their test images. Nothing where the number is not known, which is 0.
    """
    if not images:
        return []
    return [math.sqrt(sum(x.mean * (100 - x.mean) for x in (more, less)) / images)]


def error_of_classes(more: Mapping[str, float], less: Mapping[str, float]) -> list[float]:
    """Standard error of a difference of mean average precisions from its spread over classes."""
    return _error(more[name] - less[name] for name in more if name in less)


def _error(values: Iterable[float]) -> list[float]:
    known = list(values)
    return [statistics.stdev(known) / math.sqrt(len(known))] if len(known) > 1 else []


def of_accuracies(more: Measured, less: Measured, images: int, name: str = "") -> Pair:
    """Two accuracies on the same number of test images."""
    return Pair(more, less, error_of_images(more, less, images), name)


def above(difference: float, error: float) -> str:
    """Whether a difference is above zero by more than twice its standard error."""
    if abs(difference) <= error:
        return OPEN
    return HELD if difference > 0 else NOT_HELD


def alike(difference: float, error: float) -> str:
    """Whether a difference is small either way, twice its standard error included."""
    return _within(abs(difference), error)


def no_worse(difference: float, error: float) -> str:
    """Whether a difference is above zero, or below it by little, likewise."""
    return _within(-difference, error)


def _within(size: float, error: float) -> str:
    if size + error <= SMALL:
        return HELD
    return NOT_HELD if size - error > SMALL else OPEN


Judge = Callable[[float, float], str]


def verdict(pairs: Iterable[Pair], rule: Judge = above) -> str:
    """A statement on every pair: it holds if it holds for all, and does not if for one it does not.

    So the more pairs, the harder it is to hold by chance, and the easier not to hold.
    """
    differences = [pair.difference for pair in pairs]
    verdicts = {rule(each.value, each.error or 0) for each in differences}
    return next((v for v in (NOT_HELD, OPEN) if v in verdicts), HELD)
