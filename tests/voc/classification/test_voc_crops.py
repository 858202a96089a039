import pytest
import torch

from nat.data.seeds import generator
from nat.voc.classification.crops import random_squares

CPU = torch.device("cpu")


def slope(height: int, width: int) -> torch.Tensor:
    return torch.arange(width, dtype=torch.uint8).expand(height, width)


def uniform(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 4, generator=generator(seed))


def test_shapes_of_mixed_images() -> None:
    images = [slope(30, 50), slope(70, 40), slope(8, 8)]
    cuts = random_squares(images, (0.3, 1.0), 24, True, uniform(3), CPU)
    assert cuts.shape == (3, 1, 24, 24)
    assert cuts.dtype == torch.float32
    again = random_squares(images, (0.3, 1.0), 24, True, uniform(3), CPU)
    assert torch.equal(cuts, again)


def test_full_square_is_the_image_itself() -> None:
    image = torch.randint(0, 256, (24, 24), dtype=torch.uint8, generator=generator(0))
    cuts = random_squares([image] * 3, (1.0, 1.0), 24, False, uniform(3, seed=1), CPU)
    torch.testing.assert_close(cuts, image.float().expand(3, 1, 24, 24))


@pytest.mark.parametrize("by_area", [False, True])
def test_colours_are_cut_alike(by_area: bool) -> None:
    images = list(torch.randint(0, 256, (5, 3, 30, 40), dtype=torch.uint8, generator=generator(0)))
    chosen = (0.3, 1.0), 16, True, uniform(5), CPU, by_area
    found = random_squares(images, *chosen)
    assert found.shape == (5, 3, 16, 16)
    for colour in range(3):
        expected = random_squares([image[colour] for image in images], *chosen)
        torch.testing.assert_close(found[:, colour : colour + 1], expected)


def test_half_are_mirrored() -> None:
    cuts = random_squares([slope(32, 64)] * 400, (0.5, 1.0), 16, True, uniform(400), CPU)
    falling = (cuts[:, 0, 8, 0] > cuts[:, 0, 8, -1]).float().mean()
    assert float(falling) == pytest.approx(0.5, abs=0.08)
    plain = random_squares([slope(32, 64)] * 400, (0.5, 1.0), 16, False, uniform(400), CPU)
    assert (plain[:, 0, 8, 0] < plain[:, 0, 8, -1]).all()
    torch.testing.assert_close(plain.sort(-1).values, cuts.sort(-1).values)


def test_sides_and_places_cover_their_range() -> None:
    cuts = random_squares([slope(40, 100)] * 500, (0.25, 0.75), 20, False, uniform(500), CPU)
    left, right = cuts[:, 0, 10, 0], cuts[:, 0, 10, -1]
    sides = right - left
    assert float(sides.min()) == pytest.approx(10, abs=2)
    assert float(sides.max()) == pytest.approx(30, abs=2)
    assert float(left.min()) < 3
    assert float(right.max()) > 96


def test_areas_are_uniform_where_areas_are_drawn() -> None:
    cuts = random_squares([slope(90, 120)] * 2000, (0.1, 0.5), 16, False, uniform(2000), CPU, True)
    sides = (cuts[:, 0, 8, -1] - cuts[:, 0, 8, 0]) * 16 / 15  # between the middles of end pixels
    shares = sides**2 / (90 * 120)
    for quantile in (0.1, 0.5, 0.9):
        expected = 0.1 + 0.4 * quantile
        assert float(shares.quantile(quantile)) == pytest.approx(expected, abs=0.03)


def test_an_area_never_leaves_the_image() -> None:
    cuts = random_squares([slope(20, 200)] * 50, (0.9, 1.0), 20, False, uniform(50), CPU, True)
    assert cuts.shape == (50, 1, 20, 20)
    assert float((cuts[..., -1] - cuts[..., 0]).max()) == pytest.approx(19, abs=0.1)
