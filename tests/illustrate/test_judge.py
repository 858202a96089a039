"""What each detection counts as, against the rules and against the measure itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nat.illustrate.judge import best_f1, missed, some, verdicts
from nat.voc.detection.average_precision import Detections, Truth, positives, ranked_hits

BOXES = st.tuples(*[st.integers(1, 6)] * 4).map(
    lambda v: (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
)
SCENES = st.lists(st.lists(st.tuples(BOXES, st.booleans()), max_size=4), min_size=3, max_size=3)
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), BOXES), max_size=12)


def detections(rows: list) -> Detections:
    table = np.array([(p, s, *box) for p, s, box in rows], float).reshape(-1, 6)
    return Detections(table[:, 0].astype(np.int64), table[:, 1], table[:, 2:])


def truths(objects: list) -> list[Truth]:
    return [
        Truth(
            np.array([box for box, _ in one], float).reshape(-1, 4),
            np.array([difficult for _, difficult in one], bool),
        )
        for one in objects
    ]


def pixels(box: tuple[int, ...]) -> set[tuple[int, int]]:
    return {(x, y) for x in range(box[0], box[2] + 1) for y in range(box[1], box[3] + 1)}


def owner(box: tuple[int, ...], objects: list) -> int | None:
    """The object that a box overlaps most, by at least one half; sets of pixels."""
    shares = []
    for other, _ in objects:
        both, either = pixels(box) & pixels(other), pixels(box) | pixels(other)
        shares.append((len(both), len(either)))
    best = None
    for index, (both, either) in enumerate(shares):
        if 2 * both >= either and (
            best is None or both * shares[best][1] > shares[best][0] * either
        ):
            best = index
    return best


@given(ROWS, SCENES)
def test_verdicts_by_the_rules(rows: list, objects: list) -> None:
    judged = verdicts(detections(rows), truths(objects))
    taken: set[tuple[int, int]] = set()
    for row in sorted(range(len(rows)), key=lambda row: -rows[row][1]):
        image, _, box = rows[row]
        index = owner(box, objects[image])
        difficult = index is not None and objects[image][index][1]
        assert judged.neither[row] == difficult
        first = index is not None and (image, index) not in taken
        assert judged.right[row] == (first and not difficult)
        if index is not None:
            taken.add((image, index))


@given(ROWS, SCENES)
def test_verdicts_are_those_of_the_measure(rows: list, objects: list) -> None:
    found, known = detections(rows), truths(objects)
    judged = verdicts(found, known)
    assert not (judged.right & judged.neither).any()
    ranked = np.argsort(-found.scores, kind="stable")
    ranked = ranked[~judged.neither[ranked]]
    np.testing.assert_array_equal(judged.right[ranked], ranked_hits(found, known))


@given(ROWS, SCENES)
def test_missed_are_those_without_a_right_detection(rows: list, objects: list) -> None:
    found, known = detections(rows), truths(objects)
    judged = verdicts(found, known)
    for image, one in enumerate(objects):
        here = found.images == image
        reached = {owner(box, one) for p, _, box in rows if p == image}
        expected = [
            not difficult and index not in reached for index, (_, difficult) in enumerate(one)
        ]
        got = missed(some(found, here), known[image])
        assert got.tolist() == expected
        assert got.sum() + judged.right[here].sum() == positives([known[image]])


@given(ROWS, SCENES)
def test_highest_f1_of_all_thresholds(rows: list, objects: list) -> None:
    found, known = detections(rows), truths(objects)
    total = max(positives(known), 1)
    judged = verdicts(found, known)
    counted = ~judged.neither
    least = best_f1(found, judged, total)
    if least is None:
        assert not counted.any()
        return
    values = {}
    for score in set(found.scores[counted]):
        above = counted & (found.scores >= score)
        right = judged.right[above].sum()
        precision, recall = right / above.sum(), right / total
        f1 = 2 * precision * recall / (precision + recall) if right else 0.0
        values[score] = (f1, precision, recall)
    best = max(f1 for f1, _, _ in values.values())
    assert values[least.score] == pytest.approx((best, least.precision, least.recall))
    assert all(f1 < best - 1e-12 for score, (f1, _, _) in values.items() if score > least.score)
