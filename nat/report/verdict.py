"""How a statement is judged on measured numbers: differences, their noise, verdicts."""

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from nat.report.table import Difference, Measured, signed
from nat.report.words import Words, itemised

HELD, NOT_HELD, OPEN = "held", "did not hold", "undecided"

# Points. The paper calls 2.3 (Table 2, clean to sobel) no significant drop and 0.8 (Table 1)
# similar; the larger of the two is what counts as small here.
SMALL = 2.3


@dataclass(frozen=True)
class Claim:
    """A statement and what became of it.

    Attributes:
        text: the statement.
        source: where the paper makes it.
        verdict: held, did not hold, or undecided (the difference is within the noise).
        numbers: that decided.
        comparisons: how many differences were looked at.
        added: whether the paper does not say it itself: a row, or a reading, that it does not have.
    """

    text: str
    source: str
    verdict: str
    numbers: Words
    comparisons: int = 1
    added: bool = False


@dataclass(frozen=True)
class Pair:
    """Two numbers to compare.

    Attributes:
        more: the one that the statement says is larger, or is to be as large.
        less: the other.
        errors: standard errors of the difference, in points, other than the one over seeds.
        name: what sets the pair apart from others of its statement.
    """

    more: Measured
    less: Measured
    errors: list[float]
    name: str = ""

    @property
    def difference(self) -> Difference:
        """Of the means, and its noise: twice the largest of the known standard errors."""
        errors = [*self.errors, *error_of_seeds(self.more, self.less)]
        noise = 2 * max(errors) if errors else None
        return Difference(self.more.mean - self.less.mean, noise, self.more.data)

    @property
    def words(self) -> Words:
        """Both numbers, their difference and its noise."""
        found, noise = self.difference, self.difference.noise
        known = "noise unknown" if noise is None else f"noise {noise:.1f}"
        name = f"{self.name}: " if self.name else ""
        return (name, self.more, " against ", self.less, f": {signed(found.value)}, {known}")


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


def of_accuracies(more: Measured, less: Measured, pictures: int, name: str = "") -> Pair:
    """Two accuracies on the same number of test pictures."""
    return Pair(more, less, error_of_pictures(more, less, pictures), name)


def above(difference: float, noise: float) -> str:
    """Whether a difference is above zero by more than its noise."""
    if abs(difference) <= noise:
        return OPEN
    return HELD if difference > 0 else NOT_HELD


def alike(difference: float, noise: float) -> str:
    """Whether a difference is small either way, its noise included."""
    return _within(abs(difference), noise)


def no_worse(difference: float, noise: float) -> str:
    """Whether a difference is above zero, or below it by little, its noise included."""
    return _within(-difference, noise)


def _within(size: float, noise: float) -> str:
    if size + noise <= SMALL:
        return HELD
    return NOT_HELD if size - noise > SMALL else OPEN


Judge = Callable[[float, float], str]


def judge(text: str, source: str, *pairs: Pair, rule: Judge = above, added: bool = False) -> Claim:
    """A statement on every pair: it holds if it holds for all, and does not if for one it does not.

    So the more pairs, the harder it is to hold by chance, and the easier not to hold.
    """
    verdicts = {rule(pair.difference.value, pair.difference.noise or 0) for pair in pairs}
    verdict = next((v for v in (NOT_HELD, OPEN) if v in verdicts), HELD)
    numbers = itemised([pair.words for pair in pairs])
    return Claim(text, source, verdict, numbers, len(pairs), added)
