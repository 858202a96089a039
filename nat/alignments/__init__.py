"""The assignment update of section 3.2, a file for each way to do it.

A way is a file of this folder with a function ``align(similarity)``; the file's name is the value
of ``alignment``. For unit vectors ``|f - y|^2 = 2 - 2 f.y``: the distances of eq. 2 are least where
the inner products of eq. 5 are greatest.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment

from nat.runtime.settings.families import load_member


class Aligned(NamedTuple):
    """What an alignment gives for a batch of b images and their b targets.

    Attributes:
        order: int64 (b,), a permutation: image i takes the target that image order[i] had.
        weights: float (b, b), rows of sum 1, where image i is not drawn to one target but to the
            mean of all, target j counting ``weights[i, j]``; None where it is drawn to its own.
    """

    order: torch.Tensor
    weights: torch.Tensor | None = None


Align = Callable[[torch.Tensor], Aligned]


def find_alignment(name: str) -> Align:
    """The function ``align`` of the file ``name`` of this folder.

    Raises:
        UserError: the file needs a package that is not installed.
    """
    return load_member("alignments", name, "align").align


def reassign(
    align: Align, features: torch.Tensor, vectors: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Give a batch's own targets anew to its images.

    Args:
        align: of a file of this folder.
        features: (b, d), unit length, of the training-mode forward pass; no gradient is taken.
        vectors: (b, d), the targets now assigned to the images, in the same order.

    Returns:
        the order, int64 (b,): image i takes the target that image order[i] had; and the vectors
        (b, d), unit length, that the loss draws the features to.

    Raises:
        FloatingPointError: a feature or a target is not a finite number, which a solver on the CPU
            would not take.
    """
    similarity = (features.detach() @ vectors.T).float()
    order, weights = align(similarity)
    if weights is None:
        return order, vectors[order.to(vectors.device, non_blocking=True)]
    return order, F.normalize(weights.to(vectors.dtype) @ vectors)


def fetched(similarity: torch.Tensor) -> np.ndarray:
    """The similarities on the CPU: the one time that a step waits for its GPU.

    Args:
        similarity: float (b, b).

    Raises:
        FloatingPointError: one is not a finite number.
    """
    found = similarity.cpu().numpy()
    if not np.isfinite(found).all():
        raise FloatingPointError("the features are no longer finite")
    return found


def best_permutation(similarity: np.ndarray) -> np.ndarray:
    """The permutation p that maximises ``sum_i similarity[i, p[i]]`` (eq. 5 on one batch).

    The solver works row by row, and takes 6 to 15 times longer when rows are alike, as they are
    while the features of different images are. Targets are never alike, so they go on the rows:
    the transposed problem has the same optimum.

    Args:
        similarity: (b, b), inner products of features (rows) and targets (columns).

    Returns:
        int64, (b,).
    """
    targets, images = linear_sum_assignment(similarity.T, maximize=True)
    permutation = np.empty_like(targets)
    permutation[images] = targets
    return permutation
