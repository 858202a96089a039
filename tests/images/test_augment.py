import torch

from nat.images.augment import crop_at, fixed_crops, random_crop_flip


def coordinates(b: int, c: int, h: int, w: int) -> torch.Tensor:
    """Pictures whose every value is unlike any other."""
    return torch.arange(b * c * h * w).reshape(b, c, h, w)


def test_crops_are_slices() -> None:
    pictures = coordinates(5, 3, 9, 11)
    top, left = torch.tensor([0, 3, 4, 1, 2]), torch.tensor([6, 0, 1, 2, 5])
    cut = crop_at(pictures, top, left, 5)
    for i in range(5):
        expected = pictures[i, :, top[i] : top[i] + 5, left[i] : left[i] + 5]
        assert torch.equal(cut[i], expected)


def test_random_crops_reach_every_place_and_both_sides() -> None:
    pictures = coordinates(1, 1, 6, 6).expand(4000, 1, 6, 6)
    cut = random_crop_flip(pictures, 4, True, torch.Generator().manual_seed(0))
    upper_left = torch.minimum(cut[:, 0, 0, 0], cut[:, 0, 0, -1])
    mirrored = cut[:, 0, 0, 0] > cut[:, 0, 0, -1]
    counts = torch.unique(upper_left, return_counts=True)
    assert counts[0].tolist() == [6 * y + x for y in range(3) for x in range(3)]
    assert (counts[1] - 4000 / 9).abs().max() < 5 * (4000 / 9) ** 0.5
    assert abs(mirrored.double().mean().item() - 0.5) < 0.05
    straight = random_crop_flip(pictures, 4, False, torch.Generator().manual_seed(0))
    assert (straight[:, 0, 0, 0] < straight[:, 0, 0, -1]).all()


def test_the_same_draws_give_the_same_crops() -> None:
    pictures = coordinates(8, 1, 9, 9)
    a, b = (random_crop_flip(pictures, 5, True, torch.Generator().manual_seed(4)) for _ in "ab")
    assert torch.equal(a, b)


def test_fixed_crops() -> None:
    pictures = coordinates(2, 1, 8, 8)
    ten = fixed_crops(pictures, 4, 10)
    assert ten.shape == (10, 2, 1, 4, 4)
    assert torch.equal(ten[0], pictures[..., 2:6, 2:6])
    assert torch.equal(ten[4], pictures[..., 4:, 4:])
    assert torch.equal(ten[5:], ten[:5].flip(-1))
    assert torch.equal(fixed_crops(pictures, 4, 2), ten[[0, 5]])
    assert torch.equal(fixed_crops(pictures, 8, 1)[0], pictures)
