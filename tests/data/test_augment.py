from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from nat.data.augment import Cuts, cut_out, draw_cuts, fixed_crops


def coordinates(b: int, c: int, h: int, w: int) -> torch.Tensor:
    """Images whose every value is unlike any other."""
    return torch.arange(b * c * h * w).reshape(b, c, h, w)


def test_cuts_are_slices_of_the_rows_named() -> None:
    images = coordinates(7, 3, 9, 9)
    rows = torch.tensor([6, 0, 3, 3, 1])
    top, left = torch.tensor([0, 3, 4, 1, 2]), torch.tensor([4, 0, 1, 2, 3])
    mirrored = torch.tensor([False, True, False, True, True])
    cut = cut_out(images, rows, Cuts(top, left, mirrored), 5)
    for i, row in enumerate(rows):
        expected = images[row, :, top[i] : top[i] + 5, left[i] : left[i] + 5]
        assert torch.equal(cut[i], expected.flip(-1) if mirrored[i] else expected)


@pytest.mark.parametrize("seed", range(5))
def test_cuts_are_those_of_indices_made_on_the_cpu(seed: int) -> None:
    draws = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (30, 3, 13, 13), generator=draws).to(torch.uint8)
    rows = torch.randint(30, (50,), generator=draws)
    cuts = draw_cuts(50, 13, 7, True, draws)
    side = torch.arange(7)
    down = cuts.top[:, None] + side
    across = cuts.left[:, None] + torch.where(cuts.mirrored[:, None], side.flip(0), side)
    channels = torch.arange(3)[None, :, None, None]
    places = rows[:, None, None, None], channels, down[:, None, :, None], across[:, None, None, :]
    assert torch.equal(cut_out(images, rows, cuts, 7), images[places])


class Copies(TorchDispatchMode):
    """Counts the numbers copied from one device to another."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten._to_copy.default:
            self.count += args[0].numel()
        return func(*args, **(kwargs or {}))


def test_a_few_numbers_a_image_go_to_the_device() -> None:
    images = torch.empty((40, 3, 32, 32), dtype=torch.uint8, device="meta")
    cuts = draw_cuts(16, 32, 28, True, torch.Generator().manual_seed(0))
    with Copies() as copies:
        cut = cut_out(images, torch.arange(16), cuts, 28)
    assert (cut.shape, cut.device.type) == ((16, 3, 28, 28), "meta")
    assert copies.count == 4 * 16


def test_draws_reach_every_place_and_both_sides() -> None:
    cuts = draw_cuts(4000, 6, 4, True, torch.Generator().manual_seed(0))
    places = torch.unique(6 * cuts.top + cuts.left, return_counts=True)
    assert places[0].tolist() == [6 * y + x for y in range(3) for x in range(3)]
    assert (places[1] - 4000 / 9).abs().max() < 5 * (4000 / 9) ** 0.5
    assert abs(cuts.mirrored.double().mean().item() - 0.5) < 0.05
    straight = draw_cuts(4000, 6, 4, False, torch.Generator().manual_seed(0))
    assert not straight.mirrored.any()
    assert torch.equal(straight.top, cuts.top)


def test_a_part_of_the_cuts() -> None:
    cuts = draw_cuts(10, 9, 5, True, torch.Generator().manual_seed(4))
    part = cuts.of(slice(4, 7))
    assert all(torch.equal(few, all_[4:7]) for few, all_ in zip(part, cuts, strict=True))


def test_fixed_crops() -> None:
    images = coordinates(2, 1, 8, 8)
    ten = fixed_crops(images, 4, 10)
    assert ten.shape == (10, 2, 1, 4, 4)
    first, last = slice(None, 4), slice(4, None)
    corners = [(first, first), (first, last), (last, first), (last, last)]
    for crop, (down, across) in zip(ten, [(slice(2, 6), slice(2, 6)), *corners], strict=False):
        assert torch.equal(crop, images[..., down, across])
    assert torch.equal(ten[5:], ten[:5].flip(-1))
    assert torch.equal(fixed_crops(images, 4, 2), ten[[0, 5]])
    assert torch.equal(fixed_crops(images, 8, 1)[0], images)
