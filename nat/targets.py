"""The fixed target representations C of eq. 3, and their vectors.

Images are given targets through an assignment: image i has target row ``assignment[i]``. The
matrix C is fixed by the seed and never trained; k = n, so an assignment is a permutation (eq. 6).
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from nat.errors import UserError
from nat.files import whole
from nat.training.seeds import generator


def sphere(n: int, dimension: int, seed: int) -> torch.Tensor:
    """N points uniform on the unit sphere: Gaussian rows, L2-normalised (section 3.1).

    Returns:
        float32, (n, dimension), rows of unit length.
    """
    noise = torch.randn(n, dimension, generator=generator(seed, "targets"))
    return F.normalize(noise)


def onehot(n: int, k: int, seed: int) -> torch.Tensor:
    """n/k copies of the k canonical basis vectors, as the index of each row's 1 (section 4.1).

    When k does not divide n, some classes have one copy more than others, chosen by the seed. The
    n x k matrix is never built.

    Returns:
        int64, (n,), values in [0, k), each n // k or n // k + 1 times.

    Raises:
        UserError: k is larger than n, which would leave classes without an image.
    """
    if k > n:
        raise UserError(f"targets.k: {k} is larger than the {n} pictures; use at most {n}")
    classes = torch.randperm(k, generator=generator(seed, "targets"))
    return classes.repeat(-(-n // k))[:n]


class Targets:
    """The target set: ``len`` rows in ``dimension`` dimensions."""

    def __init__(self, array: torch.Tensor, dimension: int) -> None:
        """``array`` is what ``sphere`` or ``onehot`` returns."""
        self.array = array
        self.dimension = dimension

    def __len__(self) -> int:
        return len(self.array)

    def vectors(self, rows: torch.Tensor) -> torch.Tensor:
        """The target vectors of ``rows`` (b,): float32, (b, dimension), unit length."""
        chosen = self.array[rows.to(self.array.device)]
        if chosen.ndim == 2:
            return chosen
        return F.one_hot(chosen, self.dimension).float()

    def to(self, device: torch.device) -> "Targets":
        """The same targets on ``device``."""
        return Targets(self.array.to(device), self.dimension)


def sample(kind: str, n: int, dimension: int, k: int, seed: int) -> Targets:
    """Sample n targets of ``kind`` (``sphere`` in ``dimension``, ``onehot`` over ``k``)."""
    if kind == "sphere":
        return Targets(sphere(n, dimension, seed), dimension)
    if kind == "onehot":
        return Targets(onehot(n, k, seed), k)
    raise UserError(f"target_type: unknown {kind!r}; known: sphere, onehot")


def save_targets(targets: Targets, path: Path) -> None:
    """Write the array as .npy: float32 (n, d) for vectors, int64 (n + 1,) for one-hot rows.

    One-hot arrays end in their number of classes, which the rows alone need not show.
    """
    array = targets.array
    if array.ndim == 1:
        array = torch.cat([array, torch.tensor([targets.dimension])])
    with whole(path) as temporary, open(temporary, "wb") as file:
        np.save(file, array.numpy())


def load_targets(path: Path) -> Targets:
    """Read what ``save_targets`` wrote.

    Raises:
        UserError: the file is missing or no target array.
    """
    try:
        array = torch.from_numpy(np.load(path, allow_pickle=False))
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: no target array ({error}); make it with `python -m nat targets`"
        ) from error
    if array.ndim == 2:
        return Targets(array, array.shape[1])
    return Targets(array[:-1], int(array[-1]))
