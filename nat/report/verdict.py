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
        """Of the means, and twice the largest of its known standard errors.

        Over seeds these are paired where both numbers have the same ones, else independent.
        """
        more, less = self.more, self.less
        if more.seeds == less.seeds:
            seeds = _error(a - b for a, b in zip(more.values, less.values, strict=True))
        else:
            both = [*_error(more.values), *_error(less.values)]
            seeds = [math.hypot(*both)] if len(both) == 2 else []
        errors = [2 * error for error in (*self.errors, *seeds)]
        return Difference(more.mean - less.mean, max(errors, default=None), more.data)


def of_accuracies(more: Measured, less: Measured, images: int, name: str = "") -> Pair:
    """Two accuracies on the same number of test images; 0 where that is not known.

    Their error is binomial, with both methods taken as independent, which overstates it. More seeds
    do not lower it, as they share their test images.
    """
    variance = sum(cell.mean * (100 - cell.mean) for cell in (more, less))
    return Pair(more, less, [math.sqrt(variance / images)] if images else [], name)


def of_precisions(
    more: Measured, less: Measured, classes: Iterable[Mapping[str, float]], name: str = ""
) -> Pair:
    """Two mean average precisions, whose error is from the spread of differences over classes."""
    high, low = classes
    return Pair(more, less, _error(high[each] - low[each] for each in high if each in low), name)


def _error(values: Iterable[float]) -> list[float]:
    """The standard error of a mean; nothing of a single value."""
    known = list(values)
    return [statistics.stdev(known) / math.sqrt(len(known))] if len(known) > 1 else []


def above(difference: float, error: float) -> str:
    """Whether a difference is above zero by more than twice its standard error."""
    if abs(difference) <= error:
        return OPEN
    return HELD if difference > 0 else NOT_HELD


def alike(difference: float, error: float) -> str:
    """Whether a difference is small either way, twice its standard error included."""
    return no_worse(-abs(difference), error)


def no_worse(difference: float, error: float) -> str:
    """Whether a difference is above zero, or below it by little, likewise."""
    if error - difference <= SMALL:
        return HELD
    return NOT_HELD if -difference - error > SMALL else OPEN


def verdict(pairs: Iterable[Pair], rule: Callable[[float, float], str] = above) -> str:
    """A statement on every pair: it holds if it holds for all, and does not if for one it does not.

    So the more pairs, the harder it is to hold by chance, and the easier not to hold.
    """
    differences = [pair.difference for pair in pairs]
    verdicts = {rule(each.value, each.error or 0) for each in differences}
    return next((v for v in (NOT_HELD, OPEN) if v in verdicts), HELD)
