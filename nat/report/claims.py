"""What the paper says of its features, checked on the numbers measured here.

The statements are the rows of statements.csv: the number ``more`` is above ``less``, or as ``rule``
has it. A number is ``METHOD STAGE METRIC``, of the method's own run, or those by the values of a
setting, with ``NAME=VALUE`` behind: EACH of them, MOVING for all periods in which P is updated,
BEST for the best of these. By ``epoch``, NEXT takes all steps between checkpoints, ENDS the first
checkpoint and the last epoch. ``name`` tells several comparisons apart. ``source`` is where the
paper says so; ``added`` marks what it does not say itself, of a row or a probe that it lacks.
They are judged by differences and their standard errors.
"""

import math
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nat.report.frame import Report
from nat.report.names import pace
from nat.report.results import ON_VOC
from nat.report.table import Difference, Measured

STATEMENTS = pd.read_csv(Path(__file__).parent / "templates/statements.csv").fillna("")
HELD, NOT_HELD, OPEN = "held", "did not hold", "undecided"

# Points. The paper calls 2.3 (Table 2, clean to sobel) no significant drop and 0.8 (Table 1)
# similar; the larger of the two is what counts as small here.
SMALL = 2.3
# the least and the largest difference, in points, with which a statement holds
RULES = {
    "above": (math.ulp(0.0), math.inf),
    "alike": (-SMALL, SMALL),
    "no worse": (-SMALL, math.inf),
}


class Pair(NamedTuple):
    """Two numbers to compare: ``more`` is said to be larger, or to be as large.

    ``error`` is a standard error of the difference, in points, other than the one over seeds, NaN
    where there is none; ``name`` sets the pair apart from others.
    """

    more: Measured
    less: Measured
    error: float = math.nan
    name: str = ""

    @property
    def difference(self) -> Difference:
        """Of the means, and twice the largest of its known standard errors.

        Over seeds these are paired where both numbers have the same ones, else independent.
        """
        more, less = (pd.Series(cell.values) for cell in (self.more, self.less))
        paired = self.more.seeds == self.less.seeds
        seeds = (more - less).sem() if paired else math.hypot(more.sem(), less.sem())
        error = 2 * pd.Series([self.error, seeds]).max()
        return Difference(self.more.mean - self.less.mean, error, self.more.data)


def of_accuracies(more: Measured, less: Measured, images: int, name: str = "") -> Pair:
    """Two accuracies on the same number of test images; 0 where that is not known.

    Their error is binomial, with both methods taken as independent, which overstates it. More seeds
    do not lower it, as they share their test images.
    """
    variance = sum(cell.mean * (100 - cell.mean) for cell in (more, less))
    return Pair(more, less, math.sqrt(variance / images) if images else math.nan, name)


Number = tuple[Measured, str, str]  # and of which method and stage it is


def paired(report: Report, more: Number, less: Number, name: str = "") -> Pair:
    """Two accuracies, or two mean average precisions, whose classes tell the error."""
    (high, method, stage), (low, another, than) = more, less
    if stage in ON_VOC:
        by_class = report.by_class(method, stage) - report.by_class(another, than)
        return Pair(high, low, by_class.sem(), name)
    return of_accuracies(high, low, report.images("test"), name)


def judge(difference: Difference, rule: str = "above") -> str:
    """Whether all that is within ± 2 SE of a difference is as the rule has it, or none of it."""
    error, (least, most) = np.nan_to_num(difference.error), RULES[rule]
    low, high = difference.value - error, difference.value + error
    if least <= low and high <= most:
        return HELD
    return NOT_HELD if high < min(least, 0) or low > most else OPEN


def verdict(pairs: Iterable[Pair], rule: str = "above") -> str:
    """A statement on every pair: it holds if it holds for all, and does not if for one it does not.

    So the more pairs, the harder it is to hold by chance, and the easier not to hold.
    """
    verdicts = {judge(pair.difference, rule) for pair in pairs}
    return next((v for v in (NOT_HELD, OPEN) if v in verdicts), HELD)


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
    for row in STATEMENTS.itertuples():
        compare = _by_epoch if "epoch=" in row.more else _by_run
        if pairs := list(compare(report, row.more, row.less, row.name)):
            text, judged = row.text.format(first=first, last=last), verdict(pairs, row.rule)
            found.append(Claim(text, row.source, bool(row.added), pairs, judged))
    return found


def _by_epoch(report: Report, more: str, less: str, name: str) -> Iterator[Pair]:
    metric, which = more.split()[2:]
    for first, last in pairwise(report.curve) if which == "epoch=NEXT" else [_ends(report)]:
        if first != last:
            cells = report.curve[last][metric], report.curve[first][metric]
            told = name.format(first=first, last=last)
            yield of_accuracies(*cells, report.images("test"), told)


def _ends(report: Report) -> tuple[int, int]:
    """The first checkpoint, else epoch 0, and the last epoch; the same where there is no curve."""
    epochs = sorted(report.curve) or [0]
    return epochs[1 if len(epochs) > 2 and epochs[0] == 0 else 0], epochs[-1]


def _by_run(report: Report, more: str, less: str, name: str) -> Iterator[Pair]:
    for value, high in _found(report, more):
        for other, low in _found(report, less):
            if high is low:
                continue
            varied = value if more.endswith(("=MOVING", "=BEST")) else other
            told = name.format(value=varied, pace=pace(varied))
            (method, stage, _), (another, than, _) = more.split()[:3], less.split()[:3]
            yield paired(report, (high, method, stage), (low, another, than), told)


def _found(report: Report, number: str) -> list[tuple[Any, Measured]]:
    """The numbers that a statement names, with the setting's value; those that were measured."""
    method, stage, metric, *setting = number.split()
    factor, _, wanted = "".join(setting).partition("=")
    variants = report.variants.of(method, factor) if factor else [report.variants.own(method)]
    numbers = ((variant.value, report.of(variant, metric, stage)) for variant in variants)
    found = [(value, cell) for value, cell in numbers if cell is not None]
    if wanted in ("MOVING", "BEST"):
        found = [(value, cell) for value, cell in found if value != "never"]
        best = max(found, key=lambda f: f[1].mean, default=None)
        return [best] if best and wanted == "BEST" else found
    return [(value, cell) for value, cell in found if wanted in ("", "EACH", str(value))]
