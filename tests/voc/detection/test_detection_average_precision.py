from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve

from nat.voc.detection.average_precision import (
    Detections,
    Truth,
    area,
    eleven_point,
    positives,
    ranked_hits,
)

# The example of Padilla et al., "A Survey on Performance Metrics for Object-Detection Algorithms"
# (2020): 7 images with 15 objects and 24 detections; xmin, ymin, width, height.
OBJECTS = [
    [(25, 16, 38, 56), (129, 123, 41, 62)],
    [(123, 11, 43, 55), (38, 132, 59, 45)],
    [(16, 14, 35, 48), (123, 30, 49, 44), (99, 139, 47, 47)],
    [(53, 42, 40, 52), (154, 43, 31, 34)],
    [(59, 31, 44, 51), (48, 128, 34, 52)],
    [(36, 89, 52, 76), (62, 58, 44, 67)],
    [(28, 31, 55, 63), (58, 67, 50, 58)],
]
FOUND = [
    [(0.88, 5, 67, 31, 48), (0.70, 119, 111, 40, 67), (0.80, 124, 9, 49, 67)],
    [(0.71, 64, 111, 64, 58), (0.54, 26, 140, 60, 47), (0.74, 19, 18, 43, 35)],
    [
        (0.18, 109, 15, 77, 39),
        (0.67, 86, 63, 46, 45),
        (0.38, 160, 62, 36, 53),
        (0.91, 105, 131, 47, 47),
        (0.44, 18, 148, 40, 44),
    ],
    [
        (0.35, 83, 28, 28, 26),
        (0.78, 28, 68, 42, 67),
        (0.45, 87, 89, 25, 39),
        (0.14, 10, 155, 60, 26),
    ],
    [
        (0.62, 50, 38, 28, 46),
        (0.44, 95, 11, 53, 28),
        (0.95, 29, 131, 72, 29),
        (0.23, 29, 163, 72, 29),
    ],
    [(0.45, 43, 48, 74, 38), (0.84, 17, 155, 29, 35), (0.43, 95, 110, 25, 42)],
    [(0.48, 16, 20, 101, 88), (0.95, 33, 116, 37, 49)],
]


def truth(*images: list[tuple[int, ...]]) -> list[Truth]:
    """Images' objects: xmin, ymin, xmax, ymax, difficult."""
    found = []
    for objects in images:
        table = np.array(objects, float).reshape(-1, 5)
        found.append(Truth(table[:, :4], table[:, 4] > 0))
    return found


def detections(*rows: tuple[float, ...]) -> Detections:
    """Image, score, xmin, ymin, xmax, ymax."""
    table = np.array(rows, float).reshape(-1, 6)
    return Detections(table[:, 0].astype(np.int64), table[:, 1], table[:, 2:])


def test_published_example() -> None:
    objects = truth(*[[(x, y, x + w, y + h, 0) for x, y, w, h in one] for one in OBJECTS])
    found = detections(
        *[(row, s, x, y, x + w, y + h) for row, one in enumerate(FOUND) for s, x, y, w, h in one]
    )
    hits, total = ranked_hits(found, objects, overlap=0.3), positives(objects)
    assert (len(hits), hits.sum(), total) == (24, 7, 15)
    assert np.flatnonzero(hits).tolist() == [0, 2, 9, 11, 12, 13, 22]
    assert 100 * eleven_point(hits, total) == pytest.approx(26.84, abs=0.01)
    assert 100 * area(hits, total) == pytest.approx(24.56, abs=0.01)


HERE, AWAY, NEAR = (1, 1, 10, 10), (31, 31, 40, 40), (1, 1, 10, 9)


@pytest.mark.parametrize(
    ("found", "objects", "expected"),
    [
        ([(0, 0.9, *HERE)], [(*HERE, 0)], [True]),
        ([(0, 0.9, *AWAY)], [(*HERE, 0)], [False]),
        # the second of the same object is wrong, also when it fits better
        ([(0, 0.9, *NEAR), (0, 0.8, *HERE)], [(*HERE, 0)], [True, False]),
        ([(0, 0.8, *HERE), (0, 0.9, *NEAR)], [(*HERE, 0)], [True, False]),
        # difficult objects count neither way, however often they are detected
        ([(0, 0.9, *HERE), (0, 0.8, *HERE)], [(*HERE, 1)], []),
        ([(0, 0.9, *HERE), (0, 0.8, *AWAY)], [(*HERE, 1), (*AWAY, 0)], [True]),
        # a detection belongs to what it overlaps most, also if that is taken or difficult
        ([(0, 0.9, *HERE), (0, 0.8, *HERE)], [(*HERE, 0), (*NEAR, 0)], [True, False]),
        ([(0, 0.9, *HERE)], [(*HERE, 1), (*NEAR, 0)], []),
        # of two equal objects the first
        ([(0, 0.9, *HERE), (0, 0.8, *HERE)], [(*HERE, 0), (*HERE, 0)], [True, False]),
        # another image's object
        ([(1, 0.9, *HERE)], [(*HERE, 0)], [False]),
        ([], [(*HERE, 0)], []),
    ],
)
def test_matches(found: list, objects: list, expected: list[bool]) -> None:
    assert ranked_hits(detections(*found), truth(objects, [])).tolist() == expected


@pytest.mark.parametrize(("xmax", "hit"), [(5, True), (4, False)])
def test_overlap_counts_pixels_and_one_half_is_enough(xmax: int, hit: bool) -> None:
    """10 pixels against 5: exactly 0.5; without the kit's + 1 it would be 4/9."""
    objects = truth([(1, 1, 10, 1, 0)])
    assert ranked_hits(detections((0, 1.0, 1, 1, xmax, 1)), objects).tolist() == [hit]


def test_equal_scores_keep_their_order() -> None:
    rows = [(0, 0.5, *AWAY), (0, 0.5, *HERE), (0, 0.7, *AWAY), (0, 0.5, *AWAY)]
    hits = ranked_hits(detections(*rows), truth([(*HERE, 0)]))
    assert hits.tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("hits", "total", "points", "under"),
    [
        ([1], 1, 1, 1),
        ([1], 2, 6 / 11, 1 / 2),  # recall 0.5: t = 0 to 0.5
        ([0, 1], 1, 1 / 2, 1 / 2),
        ([1, 0, 1], 2, (6 + 5 * 2 / 3) / 11, (1 + 2 / 3) / 2),
        ([0, 0, 0], 2, 0, 0),
        ([], 3, 0, 0),
        ([1, 1, 1], 10, 4 / 11, 3 / 10),  # recall is exactly 0.3, which reaches t = 0.3
        ([1] * 7, 10, 8 / 11, 7 / 10),
        ([0, 1, 1], 2, 2 / 3, 2 / 3),  # precision rises: the best one later counts
    ],
)
def test_known_curves(hits: list[int], total: int, points: float, under: float) -> None:
    assert eleven_point(np.array(hits, bool), total) == pytest.approx(points)
    assert area(np.array(hits, bool), total) == pytest.approx(under)


def pixels(box: tuple[int, ...]) -> set[tuple[int, int]]:
    return {(x, y) for x in range(box[0], box[2] + 1) for y in range(box[1], box[3] + 1)}


def by_the_rules(
    rows: list[tuple[int, int, tuple]], objects: list[list[tuple[tuple, bool]]]
) -> tuple[Fraction, Fraction] | None:
    """One detection after the other, boxes as sets of pixels, whole numbers throughout."""
    total = sum(not difficult for one in objects for _, difficult in one)
    if not total:
        return None
    taken: set[tuple[int, int]] = set()
    right, seen, curve = 0, 0, []
    for image, _, box in sorted(rows, key=lambda row: -row[1]):
        best, owner = Fraction(0), None
        for index, (other, difficult) in enumerate(objects[image]):
            both = len(pixels(box) & pixels(other))
            overlap = Fraction(both, len(pixels(box) | pixels(other)))
            if overlap > best:
                best, owner = overlap, (image, index, difficult)
        if owner is not None and 2 * best >= 1:
            if owner[2]:
                continue
            right += owner[:2] not in taken
            taken.add(owner[:2])
        seen += 1
        curve.append((Fraction(right, total), Fraction(right, seen)))

    def best_from(recall: Fraction) -> Fraction:
        return max((p for r, p in curve if r >= recall), default=Fraction(0))

    points = sum(best_from(Fraction(t, 10)) for t in range(11)) / 11
    return points, sum(best_from(Fraction(k + 1, total)) for k in range(total)) / total


BOXES = st.tuples(*[st.integers(1, 6)] * 4).map(
    lambda v: (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
)
SCENES = st.lists(st.lists(st.tuples(BOXES, st.booleans()), max_size=4), min_size=3, max_size=3)
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5), BOXES), max_size=12)


@given(ROWS, SCENES)
def test_against_the_rules(rows: list, objects: list) -> None:
    expected = by_the_rules(rows, objects)
    known = truth(*[[(*box, difficult) for box, difficult in one] for one in objects])
    hits = ranked_hits(detections(*[(p, s, *box) for p, s, box in rows]), known)
    total = positives(known)
    if expected is None:
        assert total == 0
        assert not hits.any()
    else:
        assert eleven_point(hits, total) == pytest.approx(float(expected[0]))
        assert area(hits, total) == pytest.approx(float(expected[1]))


HITS = st.lists(st.booleans(), min_size=1, max_size=40)


@given(HITS, st.integers(0, 10))
def test_area_against_scikit_learn(hits: list[bool], missed: int) -> None:
    found = sum(hits)
    if not found:
        return
    total, array = found + missed, np.array(hits)
    scores = -np.arange(len(hits), dtype=float)
    precision, recall, _ = precision_recall_curve(array, scores)  # recall falls
    raised = np.maximum.accumulate(precision)
    expected = float(np.sum(-np.diff(recall) * raised[:-1])) * found / total
    assert area(array, total) == pytest.approx(expected)
    uninterpolated = average_precision_score(array, scores) * found / total
    assert area(array, total) >= uninterpolated - 1e-12
    at_hits = (np.cumsum(array) / np.arange(1, len(hits) + 1))[array]
    if (np.diff(at_hits) <= 0).all():  # nothing to raise
        assert area(array, total) == pytest.approx(uninterpolated)


@given(HITS, st.integers(0, 10), st.integers(0, 39))
def test_properties(hits: list[bool], missed: int, place: int) -> None:
    total = max(sum(hits) + missed, 1)
    array = np.array(hits)
    for measure in (eleven_point, area):
        value = measure(array, total)
        assert 0 <= value <= 1
        assert measure(np.append(array, False), total) == pytest.approx(value)
        assert measure(np.insert(array, min(place, len(hits)), False), total) <= value + 1e-12
        if sum(hits) < total:
            assert measure(np.append(array, True), total) >= value - 1e-12
        if all(hits) and len(hits) == total:
            assert value == pytest.approx(1)


@given(ROWS, SCENES)
def test_only_the_order_of_scores_counts(rows: list, objects: list) -> None:
    known = truth(*[[(*box, difficult) for box, difficult in one] for one in objects])
    found = detections(*[(p, s, *box) for p, s, box in rows])
    stretched = Detections(found.images, np.exp(found.scores) - 7, found.boxes)
    np.testing.assert_array_equal(ranked_hits(found, known), ranked_hits(stretched, known))
