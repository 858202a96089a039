import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nat.pretext.corruption import BLOCKS, PART, blocks, hide, pixels


def drawn(b: int, c: int, side: int, seed: int) -> torch.Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (b, c, side, side), generator=draws, dtype=torch.uint8)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([1, 3]), st.integers(8, 30), st.floats(0.01, 0.9), st.integers(0, 99))
def test_the_same_number_of_pixels_is_hidden_in_every_image(
    c: int, side: int, share: float, seed: int
) -> None:
    torch.manual_seed(seed)
    mask = pixels(drawn(4, c, side, seed), share)
    assert mask.shape == (4, 1, side, side)
    assert mask.sum((1, 2, 3)).tolist() == [round(share * side * side)] * 4


def test_every_pixel_is_hidden_equally_often() -> None:
    torch.manual_seed(0)
    often = pixels(drawn(4000, 1, 8, 0), 0.25).float().mean(0)
    assert (often - 0.25).abs().max() < 5 * (0.25 * 0.75 / 4000) ** 0.5


@settings(max_examples=40, deadline=None)
@given(st.integers(8, 40), st.integers(0, 99))
def test_what_is_hidden_is_covered_by_few_squares(side: int, seed: int) -> None:
    torch.manual_seed(seed)
    block = side // PART
    for (mask,) in blocks(drawn(3, 1, side, seed)).numpy():
        assert block**2 <= mask.sum() <= BLOCKS * block**2 <= side**2 / 4
        # each hidden pixel lies in a square that is hidden whole
        whole = np.lib.stride_tricks.sliding_window_view(mask, (block, block)).all((2, 3))
        covered = np.zeros_like(mask)
        for top, left in np.argwhere(whole):
            covered[top : top + block, left : left + block] = True
        assert (covered == mask).all()


def test_squares_lie_anywhere() -> None:
    torch.manual_seed(0)
    often = blocks(drawn(3000, 1, 8, 0)).float().mean((0, 1))
    assert often.min() > 0
    # symmetric, as a square is as likely at one end as at the other
    assert (often - often.flip(0)).abs().max() < 0.05
    assert (often - often.T).abs().max() < 0.05


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([1, 3]), st.integers(0, 99))
def test_hidden_pixels_get_the_mean_of_the_others_and_tell_nothing(c: int, seed: int) -> None:
    torch.manual_seed(seed)
    images = drawn(3, c, 12, seed)
    mask = pixels(images, 0.4)
    left = hide(images, mask)
    for image, (hidden,), found in zip(images.numpy(), mask.numpy(), left.numpy(), strict=True):
        assert (found[:, ~hidden] == image[:, ~hidden]).all()
        assert found[:, hidden] == pytest.approx(image[:, ~hidden].mean(), rel=1e-5)
    other = torch.where(mask, drawn(3, c, 12, seed + 1), images)
    assert hide(other, mask).equal(left)
