"""Targets that fill the sphere more evenly than noise does.

Independent points leave gaps and clumps. A Sobol' sequence, scrambled by the seed, fills the unit
cube evenly; the Gaussian's inverse distribution function and L2-normalisation carry it to the
sphere, as Gaussian noise is carried.
"""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import ndtri
from scipy.stats import qmc

from nat.runtime.errors import UserError
from nat.runtime.settings.params import TargetSettings
from nat.targets import Targets

CHUNK = 2**14  # rows at once, a power of two: the sequence is balanced in such pieces


def sample(n: int, settings: TargetSettings, draws: torch.Generator) -> Targets:
    """The first n points of a scrambled Sobol' sequence, on the sphere.

    Raises:
        UserError: the dimension is beyond the 21,201 of the known sequences.
    """
    d = settings.dimension
    if d > qmc.Sobol.MAXDIM:
        raise UserError(f"targets.dimension: {d}; lowdiscrepancy has at most {qmc.Sobol.MAXDIM}")
    seed = int(torch.randint(2**62, (), generator=draws))
    sequence = qmc.Sobol(d, scramble=True, rng=np.random.default_rng(seed))
    rows = np.empty((n, d), np.float32)
    for start in range(0, n, CHUNK):
        points = sequence.random(CHUNK)[: n - start]
        # a coordinate of exactly 0 or 1 would become infinite
        rows[start : start + CHUNK] = ndtri(points.clip(1e-12, 1 - 1e-12))
    found = torch.from_numpy(rows)
    return Targets(F.normalize(found, out=found))
