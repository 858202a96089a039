import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import nms

from nat.voc.detection.boxes import LARGEST, clipped, decode, encode, end_exclusive, mirrored

WIDTH = 50
SPAN = st.tuples(st.integers(1, WIDTH), st.integers(1, WIDTH)).map(sorted)
BOX = st.tuples(SPAN, SPAN).map(lambda v: [v[0][0], v[1][0], v[0][1], v[1][1]])
PAIRS = st.lists(st.tuples(BOX, BOX), min_size=1, max_size=5).map(
    lambda pairs: [torch.tensor(side, dtype=torch.float32) for side in zip(*pairs, strict=True)]
)


def test_moves_by_hand() -> None:
    """From sides of 9 and 9 to 9 and 18, 6 to the right and 10 lower at the bottom."""
    box, goal = torch.tensor([[1.0, 1, 10, 10]]), torch.tensor([[7.0, 2, 16, 20]])
    expected = torch.tensor([[6 / 9, 5.5 / 9, 0, 2]])
    expected[0, 3] = expected[0, 3].log()
    torch.testing.assert_close(encode(box, goal), expected)
    torch.testing.assert_close(decode(box, torch.zeros(1, 4)), box)


def by_fast_rcnn(box: list[float], goal: list[float]) -> list[float]:
    """Girshick's formulas, whose sides are those between the corners and 1e-14."""
    width, height = box[2] - box[0] + 1e-14, box[3] - box[1] + 1e-14
    wide, high = goal[2] - goal[0] + 1e-14, goal[3] - goal[1] + 1e-14
    x, y = box[0] + width / 2, box[1] + height / 2
    to_x, to_y = goal[0] + wide / 2, goal[1] + high / 2
    shifts = [(to_x - x) / width, (to_y - y) / height]
    return [*shifts, math.log(wide / width), math.log(high / height)]


@given(PAIRS)
def test_moves_are_fast_rcnns(pairs: list[torch.Tensor]) -> None:
    pairs = [side + torch.tensor([0, 0, 1, 1]) for side in pairs]  # no line of pixels
    moves = encode(*pairs)
    for move, box, goal in zip(moves.tolist(), *(side.tolist() for side in pairs), strict=True):
        assert move == pytest.approx(by_fast_rcnn(box, goal), abs=1e-5)


@given(PAIRS)
def test_decode_inverts_encode(pairs: list[torch.Tensor]) -> None:
    boxes, goals = pairs
    found = decode(boxes, encode(boxes, goals))
    line = goals[:, 2:] == goals[:, :2]  # which becomes one pixel wider
    half = torch.cat([-line.float(), line.float()], 1) / 2
    torch.testing.assert_close(found, goals + half, atol=1e-3, rtol=0)


@given(PAIRS)
def test_a_mirror_changes_the_sign_of_one_move(pairs: list[torch.Tensor]) -> None:
    boxes, goals = pairs
    assert torch.equal(mirrored(mirrored(boxes, WIDTH), WIDTH), boxes)
    turned = encode(mirrored(boxes, WIDTH), mirrored(goals, WIDTH))
    expected = encode(boxes, goals) * torch.tensor([-1, 1, 1, 1])
    torch.testing.assert_close(turned, expected)


@given(PAIRS)
def test_mirror_moves_the_pixels(pairs: list[torch.Tensor]) -> None:
    for (x0, y0, x1, y1), (u0, v0, u1, v1) in zip(
        pairs[0].int().tolist(), mirrored(pairs[0], WIDTH).int().tolist(), strict=True
    ):
        image = torch.zeros(WIDTH, WIDTH)
        image[y0 - 1 : y1, x0 - 1 : x1] = 1
        flipped = image.flip(1)
        assert flipped[v0 - 1 : v1, u0 - 1 : u1].sum() == image.sum()


def test_absurd_moves_stay_finite() -> None:
    box = torch.tensor([[1.0, 1, 10, 10]])
    wide = decode(box, torch.tensor([[0, 0, 1e4, -1e4]]))
    assert wide.isfinite().all()
    assert float(wide[0, 2] - wide[0, 0]) == pytest.approx(9 * math.exp(LARGEST), rel=1e-4)


def test_clipped() -> None:
    boxes = torch.tensor([[-3.0, 2, 70, 9], [4, 5, 6, 7]])
    expected = torch.tensor([[1.0, 2, 20, 8], [4, 5, 6, 7]])
    assert torch.equal(clipped(boxes, 20, 8), expected)


@pytest.mark.parametrize(("xmax", "kept"), [(3, 1), (2, 2)])
def test_suppression_counts_pixels(xmax: int, kept: int) -> None:
    """10 pixels against 3 is an overlap of 0.3; without + 1 a row of pixels would have no area."""
    boxes = torch.tensor([[1.0, 1, 10, 1], [1, 1, xmax, 1]])
    assert len(nms(end_exclusive(boxes), torch.tensor([2.0, 1]), 0.299)) == kept
