"""Few clusters that are spread: noise around k centres, between the sphere and one-hot vectors.

A target tells an image its cluster, as discrete targets do, but the distance stays smooth, which
section 4.1 names as what discrete targets lack.
"""

import torch
import torch.nn.functional as F

from nat.runtime.errors import UserError
from nat.runtime.settings.params import NotNegative, TargetSettings
from nat.targets import Targets


class Settings(TargetSettings):
    """``spread`` is the length of the noise around a centre, whose own is 1."""

    spread: NotNegative


def sample(n: int, settings: Settings, draws: torch.Generator) -> Targets:
    """``(m + spread * u) / |m + spread * u|``: m one of k centres, u noise, both on the sphere.

    Every centre has n/k targets, or one more.

    Raises:
        UserError: k is larger than n.
    """
    d, k = settings.dimension, settings.k
    if k > n:
        raise UserError(f"targets.k: {k} is larger than the {n} images; use at most {n}")
    centres = F.normalize(torch.randn(k, d, generator=draws))
    rows = torch.randn(n, d, generator=draws)
    for first in range(0, n, k):  # in place: with ImageNet's 10 GB no second array
        piece = rows[first : first + k]
        piece.copy_(F.normalize(centres[: len(piece)] + settings.spread * F.normalize(piece)))
    return Targets(rows)
