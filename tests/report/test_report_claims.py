"""Verdicts on the paper's statements, and how they are reached."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nat.report.ablations import read_ablations
from nat.report.artifacts import read_artifacts
from nat.report.claims import claims, reading_of_verdicts
from nat.report.table import Measured
from nat.report.verdict import (
    HELD,
    NOT_HELD,
    OPEN,
    SMALL,
    Claim,
    Pair,
    above,
    alike,
    judge,
    no_worse,
    of_accuracies,
)
from nat.report.words import plain
from nat.runtime.settings.params import Ablations as Values


def measured(*values: float) -> Measured:
    return Measured(values, "Toy")


def found(folder: Any, listed: dict[str, Any], seeds: tuple[int, ...] = (0,)) -> dict[str, Claim]:
    artifacts = read_artifacts(folder, list(seeds))
    ablations = read_ablations(folder, list(seeds), Values.model_validate(listed))
    return {claim.text: claim for claim in claims(artifacts, ablations)}


@pytest.mark.parametrize(
    ("more", "less", "verdict"),
    [(70, 60, HELD), (60, 70, NOT_HELD), (61, 60, OPEN), (60, 61, OPEN)],
)
def test_verdict_of_one_seed(more: float, less: float, verdict: str) -> None:
    pair = of_accuracies(measured(more), measured(less), 500)
    assert judge("", "", pair).verdict == verdict


def test_noise_is_twice_the_largest_standard_error() -> None:
    # differences 1, 2, 3: deviation 1, standard error 1 / sqrt(3)
    seeds = judge("", "", Pair(measured(61, 62, 63), measured(60, 60, 60), []))
    assert plain(seeds.numbers).endswith("+2.0, noise 1.2")
    assert seeds.verdict == HELD
    # 500 pictures, 50 %: 2 sqrt(2 * 50 * 50 / 500)
    both = measured(50), measured(50)
    assert plain(of_accuracies(*both, 500).words).endswith("noise 6.3")
    assert plain(Pair(*both, [0.1, 2.0]).words).endswith("noise 4.0")


def test_unknown_noise_is_told() -> None:
    pair = Pair(measured(2), measured(1), [])
    assert plain(pair.words) == "2.0 against 1.0: +1.0, noise unknown"
    assert str(pair.difference) == "+1.0 (noise unknown)"
    assert judge("", "", pair).verdict == HELD


POINTS, NOISES = st.floats(-20, 20), st.floats(0, 10)


@given(POINTS, NOISES)
def test_rules_agree_with_the_interval_around_the_difference(d: float, noise: float) -> None:
    """A rule says held only if it would for every difference within the noise."""
    low, high = d - noise, d + noise
    assert (above(d, noise) == HELD) == (low > 0)
    assert (above(d, noise) == NOT_HELD) == (high < 0)
    assert (no_worse(d, noise) == HELD) == (-low <= SMALL)
    assert (no_worse(d, noise) == NOT_HELD) == (-high > SMALL)
    assert (alike(d, noise) == HELD) == (max(abs(low), abs(high)) <= SMALL)
    assert alike(d, noise) == alike(-d, noise)
    assert no_worse(d, noise) == HELD or d < SMALL + noise


@given(st.lists(POINTS, min_size=1, max_size=5))
def test_a_statement_on_several_is_as_weak_as_its_weakest(differences: list[float]) -> None:
    pairs = [Pair(measured(50 + d), measured(50.0), [1.0], str(d)) for d in differences]
    claim = judge("", "", *pairs)
    order = [NOT_HELD, OPEN, HELD]
    alone = [judge("", "", pair).verdict for pair in pairs]
    assert claim.verdict == min(alone, key=order.index)
    assert claim.comparisons == len(pairs)


def test_everything_holds(make_artifacts: Any, listed: dict[str, Any]) -> None:
    made = found(make_artifacts(pictures=100_000), listed)
    assert {claim.verdict for claim in made.values()} == {HELD}
    assert len(made) == 20
    assert sum(claim.added for claim in made.values()) == 4
    count = sum(claim.comparisons for claim in made.values())
    epochs = made["accuracy grows from each checkpoint to the next, from random weights on"]
    assert count == 10 + epochs.comparisons + 1 + 2 + 3 + 4 + 1 + 4 + 1 + 3
    assert f"20 statements rest on {count} comparisons" in reading_of_verdicts(list(made.values()))


SPHERE = "targets on the sphere are better than discrete ones, whatever k"
OFTEN = "updating P, however often, is better than keeping it fixed"
EVERY = "updating P in every epoch is worse than every 3 epochs"
BEST = "updating P every 3 epochs is the best of all periods"
SIMILAR = "softmax and square loss give similar accuracies"
CLEAN = "training with labels loses little behind the sobel front end"


@pytest.mark.parametrize(
    ("changed", "statement", "verdict"),
    [
        ({("k", 100): 75.0}, SPHERE, NOT_HELD),
        ({("k", 100): 69.9}, SPHERE, OPEN),
        ({("permute_every", 6): 50.0}, OFTEN, NOT_HELD),
        ({("permute_every", 6): 54.1}, OFTEN, OPEN),
        ({("permute_every", 1): 75.0}, EVERY, NOT_HELD),
        ({("permute_every", 2): 71.0}, BEST, NOT_HELD),
        ({("loss", "square"): 93.0}, SIMILAR, NOT_HELD),
        ({("loss", "square"): 92.2}, SIMILAR, OPEN),
        ({("preprocessing", "clean"): 99.0}, CLEAN, NOT_HELD),
        ({("preprocessing", "clean"): 80.0}, CLEAN, HELD),
    ],
)
def test_what_does_not_hold_is_said(
    make_artifacts: Any,
    listed: dict[str, Any],
    read: dict[Any, float],
    changed: dict[Any, float],
    statement: str,
    verdict: str,
) -> None:
    made = found(make_artifacts(pictures=100_000, read=read | changed), listed)
    assert made[statement].verdict == verdict


def test_statements_on_what_was_not_trained_are_left_out(
    make_artifacts: Any, listed: dict[str, Any]
) -> None:
    few = listed | {
        "permute_every": ["never"],
        "loss": ["softmax"],
        "preprocessing": ["high-pass"],
    }
    made = found(make_artifacts(permute_every="never"), few)
    gone = {SIMILAR, CLEAN, OFTEN, EVERY, BEST}
    assert not gone & made.keys()
    assert SPHERE in made
    assert SPHERE not in found(make_artifacts(target_type="mixture"), listed)


def test_detection_is_judged_where_it_was_run(make_artifacts: Any, listed: dict[str, Any]) -> None:
    without = found(make_artifacts(), listed)
    detected = {"random": 20.0, "labels": 50.0, "nat": 40.0}
    made = found(make_artifacts(detections=detected), listed)
    new = [made[text] for text in made.keys() - without.keys()]
    assert len(new) == 2
    assert {claim.verdict for claim in new} == {HELD}
    assert {plain(claim.numbers).split(":")[0] for claim in new} == {
        "40.0 against 20.0",
        "50.0 against 40.0",
    }
