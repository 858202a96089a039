import colorsys
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import affine_transform

from nat.pretext import distortions
from nat.pretext.distortions import distorted, moved, recontrasted, reshaded, to_hsv, to_rgb


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the next draws these places between their bounds, 0 to 1."""

    def shares(*of: float) -> None:
        values = iter(of)

        def rand(*shape: int, device: object = None) -> torch.Tensor:
            return torch.full(shape, next(values))

        monkeypatch.setattr(distortions.torch, "rand", rand)

    return shares


def smooth(side: int) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return np.sin(x / 5) * np.cos(y / 7) / 2 + 0.5


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (0.9, 0.2, 0.6), (0.2, 0.8, 0.45)])
def test_images_move_as_an_affine_map_says(fixed: Any, shares: tuple[float, ...]) -> None:
    side = 41
    fixed(*shares)
    image = smooth(side)
    found = moved(torch.from_numpy(image).float()[None, None])[0, 0].numpy()
    scale = math.exp(math.log(0.7) + shares[0] * math.log(2))
    turn = math.radians(-20 + 40 * shares[1])
    shift = side / 2 * (-0.4 + 0.8 * shares[2])
    # output (y, x) shows what lies at matrix @ (y, x) + offset, seen from the middle
    matrix = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]) / scale
    middle = np.full(2, (side - 1) / 2)
    wanted = affine_transform(image, matrix, middle - matrix @ middle + shift, order=1, cval=np.nan)
    inside = np.isfinite(wanted)
    assert inside.mean() > 0.3
    np.testing.assert_allclose(found[inside], wanted[inside], atol=2e-3)


@given(st.tuples(*[st.floats(0, 1, width=32)] * 3))
def test_hsv_is_colorsyss(rgb: tuple[float, float, float]) -> None:
    hsv = to_hsv(torch.tensor(rgb)[None, :, None, None])
    wanted = colorsys.rgb_to_hsv(*rgb)
    if wanted[2] > 1e-3 and wanted[1] > 1e-3:
        turn = abs(float(hsv[0]) - wanted[0])
        assert min(turn, 1 - turn) < 1e-3
        assert float(hsv[1]) == pytest.approx(wanted[1], abs=1e-3)
    assert float(hsv[2]) == pytest.approx(wanted[2])
    back = to_rgb(*hsv)[0, :, 0, 0]
    assert back.tolist() == pytest.approx(rgb, abs=1e-5)


def test_contrast_scales_principal_components_alone() -> None:
    torch.manual_seed(0)
    axes, _ = torch.linalg.qr(torch.randn(3, 3))
    mean = torch.tensor([0.4, 0.5, 0.6])
    x = mean[None, :, None, None] + 0.05 * torch.randn(8, 3, 6, 6)

    def along(pixels: torch.Tensor) -> torch.Tensor:
        return torch.einsum("ik,bihw->bkhw", axes, pixels - mean[None, :, None, None])

    ratios = (along(recontrasted(x, mean, axes)) / along(x)).flatten(2)
    factors = ratios.median(2).values
    assert torch.allclose(ratios, factors[:, :, None].expand_as(ratios), rtol=0.02)
    assert 0.5 <= factors.min() < 0.8
    assert 1.4 < factors.max() <= 2
    assert factors.std(0).min() > 0.1  # of each image and component its own
    assert factors.std(1).min() > 0.01


def test_brightness_follows_the_formula(fixed: Any) -> None:
    fixed(0.75, 0.5, 0.75)  # to the power of 2, times 1.05, plus 0.05
    x = torch.linspace(0, 1, 20)[None, :, None]
    assert torch.allclose(reshaded(x), (1.05 * x**2 + 0.05).clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize("place", [0.0, 0.3, 1.0])
def test_hue_moves_up_to_a_tenth_of_a_turn_either_way(fixed: Any, place: float) -> None:
    rgb = (200, 60, 100)
    image = torch.tensor(rgb, dtype=torch.uint8)[None, :, None, None].expand(1, 3, 8, 8)
    as_it_is = (0.5, 3 / 7, 0.5)  # to the power of 1, times 1, plus 0
    fixed(0.5, 0.5, 0.5, 0.5, place, *as_it_is, *as_it_is)
    found = distorted(image, torch.full((3,), 0.5), torch.eye(3))
    hue, saturation, value = colorsys.rgb_to_hsv(*(each / 255 for each in rgb))
    wanted = colorsys.hsv_to_rgb((hue - 0.1 + 0.2 * place) % 1, saturation, value)
    assert (found[0, :, 4, 4] / 255).tolist() == pytest.approx(wanted, abs=1e-3)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_is_distorted_in_its_own_way(channels: int) -> None:
    torch.manual_seed(0)
    one = torch.from_numpy(smooth(28) * 255).byte().expand(1, channels, 28, 28)
    found = distorted(one.repeat(6, 1, 1, 1), torch.full((channels,), 0.5), torch.eye(channels))
    assert found.shape == (6, channels, 28, 28)
    assert found.min() >= 0
    assert found.max() <= 255
    assert torch.pdist(found.flatten(1)).min() > 100
