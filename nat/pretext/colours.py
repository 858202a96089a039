"""Colours as a task sees them: CIE Lab, and the bins of Zhang et al. (2016) in its ab plane."""

from functools import cache
from itertools import product

import numpy as np
import torch
from scipy.spatial import ConvexHull

GRID = 10  # the side of a bin
NEAREST, SIGMA = 5, 5.0  # bins that a colour is spread over, and how far
# sRGB's primaries (IEC 61966-2-1) to XYZ, and its white, D65
PRIMARIES = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE = (0.950456, 1.0, 1.088754)  # the sums of the rows, so that grey has a and b of 0


def to_lab(rgb: torch.Tensor) -> torch.Tensor:
    """SRGB, any numbers of 0 to 255, (b, 3, h, w), to L (0 to 100), a and b: float32 likewise."""
    x = rgb.float() / 255
    linear = torch.where(x > 0.04045, ((x + 0.055) / 1.055).pow(2.4), x / 12.92)
    matrix = torch.tensor(PRIMARIES) / torch.tensor(WHITE)[:, None]
    xyz = torch.einsum("ij,bjhw->bihw", matrix.to(x.device, non_blocking=True), linear)
    cubic = xyz.clamp(min=1e-6).pow(1 / 3)
    fx, fy, fz = torch.where(xyz > (6 / 29) ** 3, cubic, xyz * (29 / 6) ** 2 / 3 + 4 / 29).unbind(1)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], 1)


@cache
def bins() -> torch.Tensor:
    """The 313 points of the ab plane that colours are sorted to, float32 (313, 2).

    Section 2.1 of the paper: a grid of 10, as far as it is in gamut. That is every corner of a cell
    of this grid that the convex hull of sRGB's colours meets: every point from which the hull is
    less than 10 away along both axes.
    """
    cube = torch.linspace(0, 255, 52)
    rgb = torch.cartesian_prod(cube, cube, cube).T[None, :, :, None]
    ab = to_lab(rgb)[0, 1:, :, 0].T.double().numpy()
    outline = ab[ConvexHull(ab).vertices]
    around = np.concatenate([outline + GRID * np.array(s) for s in product((-1, 1), repeat=2)])
    sides = ConvexHull(around).equations  # of the hull, widened by a square of the grid's cells
    line = np.arange(-12, 13) * GRID
    points = np.array(list(product(line, line)), float)
    inside = (points @ sides[:, :2].T + sides[:, 2] <= 0).all(1)
    return torch.from_numpy(points[inside]).float()


def spread(ab: torch.Tensor, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The soft encoding of colours.

    Args:
        ab: float32 (n, 2).
        points: ``bins``, on the same device.

    Returns:
        int64 (n, 5), the nearest bins, the nearest first; float32 (n, 5), their Gaussian weights,
        with sum 1.
    """
    exact = "donot_use_mm_for_euclid_dist"
    distances, nearest = torch.cdist(ab, points, compute_mode=exact).topk(NEAREST, largest=False)
    return nearest, (-0.5 * (distances / SIGMA).square()).softmax(1)


def rarity(counts: torch.Tensor, points: torch.Tensor, uniform: float) -> torch.Tensor:
    """How much a bin's pixels count: eq. 4 of the paper.

    The empirical distribution, smoothed by a Gaussian of ``SIGMA``, is mixed with the uniform one;
    the weights are inverse to that, with expectation 1 under the smoothed distribution.

    Args:
        counts: (q,), of pixels in each bin.
        points: float32 (q, 2).
        uniform: the share of the uniform distribution, lambda.

    Returns:
        float32 (q,).
    """
    p = counts.double() / counts.sum()
    kernel = (-0.5 * (torch.cdist(points, points).double() / SIGMA).square()).exp()
    smooth = (kernel / kernel.sum(0)) @ p
    weights = 1 / ((1 - uniform) * smooth + uniform / len(p))
    return (weights / (smooth * weights).sum()).float()
