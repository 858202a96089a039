import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from nat.network.front_ends import standardise
from nat.pretext.views import (
    BLURRED_FROM,
    BYOL,
    SIMCLR,
    SIMSIAM,
    VICREG,
    YIQ,
    Recipe,
    Views,
    blur,
    resized_crop,
)

NOTHING = Recipe(0.0, 0.0, 0.0, (0.0, 0.0))
unit = st.floats(0, 1)


def images(b: int, channels: int = 1, side: int = 28) -> torch.Tensor:
    draws = torch.Generator().manual_seed(1)
    size = (b, channels, side, side)
    return torch.randint(0, 256, size, generator=draws, dtype=torch.uint8)


def part(image: np.ndarray, width: float, height: float, left: float, top: float) -> np.ndarray:
    """A part of a square image, enlarged to its size, by SciPy; pixels are at their centres."""
    side = len(image)
    steps = (np.arange(side) + 0.5) / side
    down, across = (
        side * (low + size * steps) - 0.5 for low, size in ((top, height), (left, width))
    )
    grid = np.meshgrid(down, across, indexing="ij")
    return ndimage.map_coordinates(image, grid, order=1, mode="nearest")


@settings(deadline=None)
@given(st.floats(0.05, 1), st.floats(0.75, 1.33), unit, unit, st.booleans())
def test_a_part_fills_the_view(
    area: float, ratio: float, across: float, down: float, mirrored: bool
) -> None:
    x = images(3, 2, 9).float()
    numbers = (torch.full((3,), value) for value in (area, ratio, across, down))
    found = resized_crop(x, *numbers, torch.full((3,), mirrored))
    width, height = min(math.sqrt(area * ratio), 1), min(math.sqrt(area / ratio), 1)
    for image, cut in zip(x.flatten(0, 1).numpy(), found.flatten(0, 1).numpy(), strict=True):
        wanted = part(image, width, height, (1 - width) * across, (1 - height) * down)
        np.testing.assert_allclose(cut, wanted[:, ::-1] if mirrored else wanted, atol=0.02)


def test_each_image_has_a_part_of_its_own() -> None:
    x = images(1).float().expand(3, -1, -1, -1)
    area, same, across = torch.tensor([1, 0.25, 0.25]), torch.ones(3), torch.tensor([0, 0, 1.0])
    found = resized_crop(x, area, same, across, 0 * same, same < 0)
    assert torch.allclose(found[0], x[0], atol=1e-3)
    for cut, left in zip(found[1:], (0, 0.5), strict=True):
        wanted = part(x[0, 0].numpy(), 0.5, 0.5, left, 0)
        np.testing.assert_allclose(cut[0], wanted, atol=0.02)


def test_blur_is_a_gaussian_of_what_is_within() -> None:
    x, sigma = images(3, 2, 32).double(), torch.tensor([0.0, 0.7, 3.0], dtype=torch.float64)
    found = blur(x, sigma)
    assert torch.equal(found[0], x[0])
    for image, blurred, width in zip(x[1:], found[1:], (0.7, 3.0), strict=True):
        inside, share = (
            ndimage.gaussian_filter(each, (0, width, width), mode="constant", truncate=12)
            for each in (image.numpy(), np.ones(image.shape))
        )
        np.testing.assert_allclose(blurred, inside / share, rtol=1e-6)


def test_nothing_is_changed_where_nothing_is_asked_for() -> None:
    torch.manual_seed(0)
    x = images(40, 3)
    for view in Views(NOTHING, 1.0, False)(x):
        # its width and height still change
        assert view.shape == x.shape
        assert (view.amin(), view.amax()) >= (0, 0)
    views = Views(NOTHING, 1.0, False)
    recoloured = views.recoloured(x.float() / 255)
    grey = (recoloured - (x.float() / 255)).abs().amax((1, 2, 3)) > 1e-4
    assert 0 < grey.sum() < 20
    spread = recoloured[grey].std(1)
    assert torch.allclose(spread, torch.zeros(()), atol=1e-4)  # the share that becomes grey


def test_byols_views_are_of_two_kinds_and_all_others_of_one() -> None:
    """Of BYOL's the first is always blurred, and the second alone has bright values turned."""
    assert (BYOL.blurred, BYOL.solarised) == ((1.0, 0.1), (0.0, 0.2))
    for recipe in (SIMCLR, SIMSIAM, VICREG):
        assert len({*recipe.blurred}) == len({*recipe.solarised}) == 1


def test_two_views_differ_and_follow_from_the_seed() -> None:
    views, x = Views(BYOL, 0.2, True), images(8)
    torch.manual_seed(3)
    first, second = views(x)
    torch.manual_seed(3)
    again = views(x)
    assert torch.equal(first, again[0])
    assert torch.equal(second, again[1])
    assert ((first - second).abs().mean((1, 2, 3)) > 1).all()
    assert 0 <= first.min() < first.max() <= 255
    assert first.dtype == torch.float32


@pytest.mark.parametrize("flip", [True, False])
def test_parts_are_drawn_from_their_whole_range(flip: bool, monkeypatch: Any) -> None:
    told: list[list[torch.Tensor]] = []

    def noted(x: torch.Tensor, *numbers: torch.Tensor) -> torch.Tensor:
        told.append(list(numbers))
        return resized_crop(x, *numbers)

    monkeypatch.setattr("nat.pretext.views.resized_crop", noted)
    torch.manual_seed(0)
    Views(NOTHING, 0.2, flip)(images(1000, side=8))
    *numbers, mirrored = (torch.cat(each) for each in zip(*told, strict=True))
    ranges = [(0.2, 1), (3 / 4, 4 / 3), (0, 1), (0, 1)]  # area, ratio, across, down
    for found, (low, high) in zip(numbers, ranges, strict=True):
        assert low <= found.min() < low + 0.01
        assert high - 0.01 < found.max() <= high + 1e-6
    correlations = torch.stack(numbers).corrcoef() - torch.eye(4)
    assert correlations.abs().max() < 0.1
    assert mirrored.float().mean().item() == pytest.approx(0.5 * flip, abs=0.05)


def test_tone_curves_are_of_the_strength_and_share_asked_for() -> None:
    torch.manual_seed(0)
    found = Views(Recipe(0.4, 0, 0, (0, 0)), 1.0, True).recoloured(torch.full((2000, 1, 1, 1), 0.5))
    exponents = found.flatten().log() / math.log(0.5)
    assert -0.4 <= exponents.log().min() < -0.39 < 0.39 < exponents.log().max() <= 0.4 + 1e-5
    changed = (exponents - 1).abs() > 1e-4
    assert changed.float().mean().item() == pytest.approx(0.8, abs=0.03)


def test_bright_values_are_turned_as_often_as_asked_for() -> None:
    x = torch.full((2000, 1, 8, 8), 255, dtype=torch.uint8)
    torch.manual_seed(0)
    first, second = Views(Recipe(0, 0, 0, (0, 0), (0.0, 0.2)), 0.2, True)(x)
    assert torch.allclose(first, x.float(), atol=1e-3)
    assert (second < 1).float().mean().item() == pytest.approx(0.2, abs=0.03)
    dark, _ = Views(Recipe(0, 0, 0, (0, 0), (1.0, 0.0)), 0.2, True)(x // 255 * 100)
    assert torch.allclose(dark, torch.tensor(100.0), atol=1e-3)


def test_large_images_are_blurred_and_small_ones_not(monkeypatch: Any) -> None:
    widths: list[torch.Tensor] = []
    monkeypatch.setattr("nat.pretext.views.blur", lambda x, sigma: widths.append(sigma) or x)
    views = Views(Recipe(0, 0, 0, (1.0, 0.1)), 0.2, True)
    views(images(500, side=BLURRED_FROM - 1))
    assert not widths
    torch.manual_seed(0)
    views(images(500, side=112))
    always, seldom = widths
    assert 0.05 <= always.min() < 0.06 < 0.99 < always.max() <= 1  # half of 224 px's
    assert (seldom > 0).float().mean().item() == pytest.approx(0.1, abs=0.04)


def test_hue_and_saturation_keep_the_brightness() -> None:
    x = 0.4 + 0.2 * torch.rand(400, 3, 4, 4)  # far from what is clamped
    found = Views(Recipe(0.0, 0.4, 0.1, (0, 0)), 1.0, True).recoloured(x)
    luma = torch.tensor([0.299, 0.587, 0.114])
    brightness = [torch.einsum("c,bchw->bhw", luma, each) for each in (x, found)]
    assert torch.allclose(*brightness, atol=1e-3)
    moved = (found - x).abs().amax((1, 2, 3)) > 1e-3
    assert moved.float().mean().item() == pytest.approx(0.84, abs=0.06)  # 1 - (1 - 0.8) (1 - 0.2)


def test_hue_and_saturation_change_by_as_much_as_asked_for() -> None:
    x = torch.tensor([0.55, 0.48, 0.47])[None, :, None, None].expand(2000, -1, -1, -1)
    torch.manual_seed(0)
    found = Views(Recipe(0, 0.4, 0.1, (0, 0)), 1.0, True).recoloured(x)
    before, after = (torch.tensor(YIQ[1:]) @ each[..., 0, 0].T for each in (x, found))
    share = after.norm(dim=0) / before.norm(dim=0)
    kept = share > 0.01  # not grey
    assert 0.6 - 1e-4 <= share[kept].min() < 0.61 < 1.39 < share.max() <= 1.4 + 1e-4
    turns = (torch.atan2(*after.flip(0)) - torch.atan2(*before.flip(0)))[kept] / (2 * math.pi)
    assert -0.1 - 1e-4 <= turns.min() < -0.098 < 0.098 < turns.max() <= 0.1 + 1e-4


def test_brightness_and_contrast_vanish_in_the_trunk_and_a_tone_curve_does_not() -> None:
    x = 20 + 200 * torch.rand(4, 3, 28, 28)
    seen = standardise(x)
    assert torch.allclose(standardise(0.5 * x + 30), seen, atol=1e-4)
    assert (standardise(255 * (x / 255) ** 1.4) - seen).abs().max() > 0.1
