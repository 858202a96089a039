from pathlib import Path

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nat.voc.data.boxes import clean, overlaps, recall
from nat.voc.data.proposals import Proposals
from nat.voc.data.reader import VocSplit

corner = st.integers(-5, 30)
some_boxes = st.lists(st.tuples(corner, corner, corner, corner), max_size=12)


def pixels(box: list[float]) -> set[tuple[int, int]]:
    xmin, ymin, xmax, ymax = map(int, box)
    return {(x, y) for x in range(xmin, xmax + 1) for y in range(ymin, ymax + 1)}


@settings(max_examples=100, deadline=None)
@given(some_boxes, st.integers(1, 8))
def test_clean_boxes_are_their_visible_pixels(
    boxes: list[tuple[int, int, int, int]], smallest: int
) -> None:
    width, height = 20, 14
    inside = pixels([1, 1, width, height])
    expected: list[set[tuple[int, int]]] = []
    for box in boxes:
        seen = pixels(list(box)) & inside
        wide = len({x for x, _ in seen}) >= smallest and len({y for _, y in seen}) >= smallest
        if wide and seen not in expected:
            expected.append(seen)
    found, rows = clean(np.array(boxes).reshape(-1, 4), width, height, smallest)
    assert [pixels(box) for box in found.tolist()] == expected
    assert [pixels(list(boxes[row])) & inside for row in rows] == expected
    assert all(1 <= x0 <= x1 <= width and 1 <= y0 <= y1 <= height for x0, y0, x1, y1 in found)


def test_clean_drops_what_is_no_number() -> None:
    boxes = np.array([[np.nan, 1, 2, 3], [1, 1, np.inf, 9], [1, 2, 30.5, 9]])
    found, rows = clean(boxes, 20, 14, 1)
    assert found.tolist() == [[1, 2, 20, 9]]
    assert rows.tolist() == [2]


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.integers(1, 9)] * 4), st.tuples(*[st.integers(1, 9)] * 4))
def test_overlaps_count_pixels(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    def box(corners: tuple[int, ...]) -> list[float]:
        x0, y0, x1, y1 = corners
        return [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]

    one, other = pixels(box(a)), pixels(box(b))
    found = overlaps(torch.tensor([box(a)]).float(), torch.tensor([box(b)]).float())
    assert abs(float(found) - len(one & other) / len(one | other)) < 1e-6


def test_recall_leaves_out_difficult_objects(kit: Path) -> None:
    split = VocSplit(kit, ["cat", "dog"], "trainval")  # 3 objects that count, 2 difficult ones
    half = np.array([[1, 1, 20, 8]])  # half of the first cat: IoU exactly 0.5
    dog = np.array([[2, 3, 12, 20]])
    difficult = np.array([[3, 4, 9, 9], [2, 2, 5, 5]])
    names = ["000001", "000002", "000003"]
    assert recall(split, Proposals(names, [half, difficult, dog])) == 2 / 3
    assert recall(split, Proposals(names, [half - [0, 0, 0, 1], difficult, dog])) == 1 / 3
