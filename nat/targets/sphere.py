"""Noise: points uniform on the unit sphere (section 3.1), the paper's choice."""

import torch
import torch.nn.functional as F

from nat.runtime.settings.params import TargetSettings
from nat.targets import Targets


def sample(n: int, settings: TargetSettings, draws: torch.Generator) -> Targets:
    """Gaussian rows, L2-normalised: the Gaussian is the same in all directions."""
    rows = torch.randn(n, settings.dimension, generator=draws)
    return Targets(F.normalize(rows, out=rows))  # in place: ImageNet's take 10 GB
