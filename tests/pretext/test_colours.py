import cv2
import numpy as np
import pytest
import torch

from nat.pretext import colours
from nat.pretext.colours import bins, rarity, spread, to_lab


def by_hand(rgb: np.ndarray) -> list[float]:
    """CIE Lab of one sRGB colour of 0 to 255, by the formulas of IEC 61966-2-1 and CIE 15."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb / 255]
    matrix = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
    white = [0.95047, 1.0, 1.08883]
    f = []
    for row, full in zip(matrix, white, strict=True):
        t = sum(weight * c for weight, c in zip(row, linear, strict=True)) / full
        f.append(t ** (1 / 3) if t > 216 / 24389 else (24389 / 27 * t + 16) / 116)
    return [116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])]


def test_lab_is_the_standards() -> None:
    draws = np.random.default_rng(0)
    rgb = draws.integers(0, 256, (40, 25, 3)).astype(np.uint8)
    rgb[0, :16] = np.arange(16)[:, None]  # the dark greys, of the linear parts
    found = to_lab(torch.from_numpy(rgb).movedim(2, 0)[None])[0].movedim(0, 2).numpy()
    np.testing.assert_allclose(
        found.reshape(-1, 3), [by_hand(pixel) for pixel in rgb.reshape(-1, 3)], atol=0.02
    )
    # OpenCV's, which interpolates
    other = cv2.cvtColor((rgb / 255).astype(np.float32), cv2.COLOR_RGB2LAB)
    np.testing.assert_allclose(found, other, atol=0.5)


def test_bins_are_the_papers_313() -> None:
    """Their extent is that of the list that the authors published."""
    points = bins()
    assert points.shape == (313, 2)
    extent = {
        int(a): (int(points[points[:, 0] == a, 1].min()), int(points[points[:, 0] == a, 1].max()))
        for a in points[:, 0].unique()
    }
    assert extent == {
        -90: (50, 90), -80: (20, 90), -70: (0, 90), -60: (-20, 90), -50: (-30, 100),
        -40: (-40, 100), -30: (-50, 100), -20: (-50, 100), -10: (-60, 100), 0: (-70, 100),
        10: (-80, 90), 20: (-80, 90), 30: (-90, 90), 40: (-100, 90), 50: (-100, 80),
        60: (-110, 80), 70: (-110, 80), 80: (-110, 70), 90: (-110, 70), 100: (-90, 0),
    }  # fmt: skip
    assert sum((high - low) // 10 + 1 for low, high in extent.values()) == 313  # no gaps


def test_no_colour_is_far_from_a_bin() -> None:
    line = torch.linspace(0, 255, 20)
    ab = to_lab(torch.cartesian_prod(line, line, line).T[None, :, :, None])[0, 1:, :, 0].T
    assert torch.cdist(ab, bins()).min(1).values.max() <= 50**0.5 + 1e-3


def test_soft_encoding_is_the_gaussian_of_the_five_nearest() -> None:
    torch.manual_seed(0)
    ab, points = 120 * torch.rand(40, 2) - 60, bins()
    nearest, shares = spread(ab, points)
    for colour, found, share in zip(ab.double(), nearest, shares, strict=True):
        distances = (points.double() - colour).norm(dim=1)
        order = distances.argsort()[:5]
        assert found.tolist() == order.tolist()
        weights = np.exp(-(distances[order].numpy() ** 2) / (2 * 25))
        np.testing.assert_allclose(share, weights / weights.sum(), rtol=1e-4)


@pytest.mark.parametrize("uniform", [0.5, 1.0])
def test_rare_bins_count_more(uniform: float) -> None:
    points = bins()
    counts = torch.zeros(313, dtype=torch.int64)
    counts[100], counts[312] = 900, 100  # the latter at the edge, where less is around
    found = rarity(counts, points, uniform)
    if uniform == 1:
        assert torch.allclose(found, torch.ones(313))
        return
    smooth = np.zeros(313)
    for bin_, share in ((100, 0.9), (312, 0.1)):
        distances = np.linalg.norm(points.numpy() - points.numpy()[bin_], axis=1)
        kernel = np.exp(-(distances**2) / 50)
        smooth += share * kernel / kernel.sum()
    wanted = 1 / (0.5 * smooth + 0.5 / 313)
    wanted /= (smooth * wanted).sum()
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert found[100] < found[312] < found[0]


def test_bins_do_not_depend_on_how_finely_colours_are_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = bins()
    linspace = torch.linspace
    monkeypatch.setattr(colours.torch, "linspace", lambda low, high, _: linspace(low, high, 86))
    assert bins.__wrapped__().equal(before)
