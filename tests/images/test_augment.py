import torch

from nat.images.augment import Cuts, cut_out, draw_cuts, fixed_crops


def coordinates(b: int, c: int, h: int, w: int) -> torch.Tensor:
    """Pictures whose every value is unlike any other."""
    return torch.arange(b * c * h * w).reshape(b, c, h, w)


def test_cuts_are_slices_of_the_rows_named() -> None:
    pictures = coordinates(7, 3, 9, 9)
    rows = torch.tensor([6, 0, 3, 3, 1])
    top, left = torch.tensor([0, 3, 4, 1, 2]), torch.tensor([4, 0, 1, 2, 3])
    mirrored = torch.tensor([False, True, False, True, True])
    cut = cut_out(pictures, rows, Cuts(top, left, mirrored), 5)
    for i, row in enumerate(rows):
        expected = pictures[row, :, top[i] : top[i] + 5, left[i] : left[i] + 5]
        assert torch.equal(cut[i], expected.flip(-1) if mirrored[i] else expected)


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
    pictures = coordinates(2, 1, 8, 8)
    ten = fixed_crops(pictures, 4, 10)
    assert ten.shape == (10, 2, 1, 4, 4)
    assert torch.equal(ten[0], pictures[..., 2:6, 2:6])
    assert torch.equal(ten[4], pictures[..., 4:, 4:])
    assert torch.equal(ten[5:], ten[:5].flip(-1))
    assert torch.equal(fixed_crops(pictures, 4, 2), ten[[0, 5]])
    assert torch.equal(fixed_crops(pictures, 8, 1)[0], pictures)
