import pytest
import torch

from nat.data.seeds import generator
from nat.voc.detection.images import scale_factor, scaled

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (375, 500, 600 / 375),
        (500, 375, 600 / 375),
        (200, 500, 1000 / 500),  # the long side would have 1500 pixels
        (600, 600, 1),
        (1200, 1500, 1 / 2),
    ],
)
def test_scale_factor(height: int, width: int, expected: float) -> None:
    assert scale_factor(height, width, 600, 1000) == pytest.approx(expected)


def test_scaled() -> None:
    image = torch.arange(12, dtype=torch.uint8).view(3, 4) * 20
    assert torch.equal(scaled(image, 1.0, False, CPU)[0, 0], image.float())
    assert torch.equal(scaled(image, 1.0, True, CPU)[0, 0], image.float().flip(1))
    larger = scaled(image, 2.5, False, CPU)
    assert larger.shape == (1, 1, 8, 10)
    torch.testing.assert_close(scaled(image, 2.5, True, CPU), larger.flip(-1))
    assert scaled(image, 0.1, False, CPU).shape == (1, 1, 1, 1)


@pytest.mark.parametrize("factor", [1.0, 2.5])
@pytest.mark.parametrize("flip", [False, True])
def test_colours_are_scaled_each_by_itself(factor: float, flip: bool) -> None:
    image = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8, generator=generator(0))
    found = scaled(image, factor, flip, CPU)
    expected = torch.cat([scaled(colour, factor, flip, CPU) for colour in image], 1)
    torch.testing.assert_close(found, expected)
