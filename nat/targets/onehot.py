"""Discrete targets: n/k copies of the k canonical basis vectors (section 4.1)."""

import torch

from nat.runtime.errors import UserError
from nat.runtime.settings.params import TargetSettings
from nat.targets import Targets


def sample(n: int, settings: TargetSettings, draws: torch.Generator) -> Targets:
    """Rows of one 1 in k dimensions: balanced clusters.

    When k does not divide n, some classes have one copy more than others, chosen by ``draws``.

    Raises:
        UserError: k is larger than n, which would leave classes without an image.
    """
    k = settings.k
    if k > n:
        raise UserError(f"targets.k: {k} is larger than the {n} images; use at most {n}")
    classes = torch.randperm(k, generator=draws)
    return Targets(classes.repeat(-(-n // k))[:n], k)
