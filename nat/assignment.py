"""The assignment update of section 3.2: exact within a batch."""

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from nat.errors import UserError


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


def reassign(features: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """The order in which a batch's own targets fit its images best.

    For unit vectors ``|f - y|^2 = 2 - 2 f.y``, so the distances of eq. 2 are least where the inner
    products of eq. 5 are greatest.

    Args:
        features: (b, d), unit length, of the training-mode forward pass; no gradient is taken.
        vectors: (b, d), the targets now assigned to the images, in the same order.

    Returns:
        int64 (b,), on the features' device: image i takes the target that image order[i] had.

    Raises:
        UserError: a feature is not a finite number.
    """
    similarity = (features.detach() @ vectors.T).float().cpu().numpy()
    if not np.isfinite(similarity).all():
        raise UserError("pretrain.lr: the features are no longer finite; use a smaller one")
    return torch.from_numpy(best_permutation(similarity)).to(features.device)
