"""Verdicts on the paper's statements, and how they are reached."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.conftest import CHANGED, PRECISIONS, SETTINGS

from nat.report.claims import (
    HELD,
    NOT_HELD,
    OPEN,
    SMALL,
    Claim,
    Pair,
    claims,
    judge,
    of_accuracies,
    verdict,
)
from nat.report.frame import Report
from nat.report.table import Difference, Measured


def measured(*values: float, first: int = 0) -> Measured:
    return Measured(values, tuple(range(first, first + len(values))), "Toy")


def found(folder: Path, settings: Any = SETTINGS) -> dict[str, Claim]:
    return {claim.text: claim for claim in claims(Report(settings, folder))}


@pytest.mark.parametrize(
    ("more", "less", "judged"),
    [(70, 60, HELD), (60, 70, NOT_HELD), (61, 60, OPEN), (60, 61, OPEN)],
)
def test_verdict_of_one_seed(more: float, less: float, judged: str) -> None:
    assert verdict([of_accuracies(measured(more), measured(less), 500)]) == judged


def test_error_is_twice_the_largest_standard_error() -> None:
    # differences 1, 2, 3: deviation 1, standard error 1 / sqrt(3)
    pair = Pair(measured(61, 62, 63), measured(60, 60, 60))
    assert str(pair.difference) == "+2.0 (± 2 SE: 1.2)"
    assert verdict([pair]) == HELD
    # 500 images, 50 %: 2 sqrt(2 * 50 * 50 / 500)
    both = measured(50), measured(50)
    assert str(of_accuracies(*both, 500).difference).endswith("± 2 SE: 6.3)")
    assert Pair(*both, 2.0).difference.error == 4


def test_other_seeds_are_taken_as_independent() -> None:
    # deviations 1 and 2: sqrt(1 / 3 + 4 / 2)
    pair = Pair(measured(61, 62, 63), measured(50, 50 + 8**0.5, first=5))
    assert pair.difference.error == pytest.approx(2 * (1 / 3 + 2) ** 0.5)
    assert math.isnan(Pair(measured(61, 62), measured(60)).difference.error)


def test_unknown_error_is_told() -> None:
    pair = Pair(measured(2), measured(1))
    assert str(pair.difference) == "+1.0 (± 2 SE unknown)"
    assert verdict([pair]) == HELD


POINTS, ERRORS = st.floats(-20, 20), st.floats(0, 10)


@given(POINTS, ERRORS)
def test_rules_agree_with_the_interval_around_the_difference(d: float, error: float) -> None:
    """A rule says held only if it would for every difference within the error."""
    low, high, found = d - error, d + error, Difference(d, error, "Toy")
    assert (judge(found) == HELD) == (low > 0)
    assert (judge(found) == NOT_HELD) == (high < 0)
    assert (judge(found, "no worse") == HELD) == (low >= -SMALL)
    assert (judge(found, "no worse") == NOT_HELD) == (high < -SMALL)
    assert (judge(found, "alike") == HELD) == (max(abs(low), abs(high)) <= SMALL)
    assert judge(found, "alike") == judge(Difference(-d, error, "Toy"), "alike")


@given(st.lists(POINTS, min_size=1, max_size=5))
def test_a_statement_on_several_is_as_weak_as_its_weakest(differences: list[float]) -> None:
    pairs = [Pair(measured(50 + d), measured(50.0), 1.0, str(d)) for d in differences]
    alone = [verdict([pair]) for pair in pairs]
    assert verdict(pairs) == min(alone, key=[NOT_HELD, OPEN, HELD].index)


def test_everything_holds(make_results: Any) -> None:
    made = found(make_results(images=100_000))
    assert {claim.verdict for claim in made.values()} == {HELD}
    assert len(made) == 22
    assert sum(claim.added for claim in made.values()) == 5
    # Tables 1 and 2; k; often, best, random, every, best period; checkpoints; Tables 3 and 4
    count = 3 + 3 + 4 + 1 + 4 + 1 + 3 + (3 + 1) + 4 + 7
    assert sum(len(claim.pairs) for claim in made.values()) == count


SPHERE = "targets on the sphere are better than discrete ones, whatever k"
OFTEN = "updating P, however often, is better than keeping it fixed"
EVERY = "updating P in every epoch is worse than every 3 epochs"
BEST = "updating P every 3 epochs is the best of all periods"
SIMILAR = "softmax and square loss give similar accuracies"
CLEAN = "training with labels loses little with sobel pre-processing"


@pytest.mark.parametrize(
    ("changed", "value", "statement", "judged"),
    [
        ("target_type=onehot,targets.k=100", 75.0, SPHERE, NOT_HELD),
        ("target_type=onehot,targets.k=100", 69.9, SPHERE, OPEN),
        ("permute_every=6", 50.0, OFTEN, NOT_HELD),
        ("permute_every=6", 54.1, OFTEN, OPEN),
        ("permute_every=1", 75.0, EVERY, NOT_HELD),
        ("permute_every=2", 71.0, BEST, NOT_HELD),
        ("baselines.labels.loss=square", 93.0, SIMILAR, NOT_HELD),
        ("baselines.labels.loss=square", 92.2, SIMILAR, OPEN),
        ("model.preprocessing=clean", 99.0, CLEAN, NOT_HELD),
        ("model.preprocessing=clean", 80.0, CLEAN, HELD),
    ],
)
def test_what_does_not_hold_is_said(
    make_results: Any, changed: str, value: float, statement: str, judged: str
) -> None:
    folder = make_results(images=100_000, changed=CHANGED | {changed: value}, illustrated=False)
    assert found(folder)[statement].verdict == judged


def test_statements_on_what_was_not_run_are_left_out(make_results: Any, settings: Any) -> None:
    settings["permute_every"] = "never"
    settings["ablations"] = {
        "nat": ["target_type=onehot,targets.k=10"],
        "labels": ["model.preprocessing=high-pass"],
    }
    made = found(make_results(settings=settings, illustrated=False), settings)
    assert not {SIMILAR, CLEAN, OFTEN, EVERY, BEST} & made.keys()
    assert SPHERE in made


def test_detection_is_judged_where_it_was_run(make_results: Any) -> None:
    made = found(make_results())
    folder = make_results()
    for path in folder.glob("detect/*"):
        path.unlink()
    new = [made[text] for text in made.keys() - found(folder).keys()]
    assert {claim.verdict for claim in new} == {HELD}
    means = {(pair.more.mean, pair.less.mean) for claim in new for pair in claim.pairs}
    assert means == {(40.0, 20.0), (50.0, 40.0)}


def test_spread_over_classes_counts(make_results: Any) -> None:
    folder = make_results(precisions=copy.deepcopy(PRECISIONS))
    claim = found(folder)["features trained with labels transfer better still, detection"]
    assert claim.pairs[0].error == 0  # all classes differ by the same


def test_curve_without_checkpoints(make_results: Any) -> None:
    made = found(make_results(between=()))
    assert "accuracy grows with longer training, from epoch 0 to 6" in made


def test_seeds_behind_numbers_are_counted(make_results: Any) -> None:
    folder = make_results(seeds=(0, 1, 2))
    (folder / "probe/random-1.json").unlink()
    made = found(folder)
    assert made["NAT's features are better than random ones, with the MLP"].seeds == {2, 3}
    assert made["features trained with labels are better still"].seeds == {3}
