"""A soft alignment: each image is drawn to a mean of targets, by entropy-regularised transport.

The plan W maximises ``sum_ij W_ij s_ij + EPSILON * entropy(W)`` over matrices whose rows and
columns sum to 1 (Cuturi, 2013): ``W_ij = exp((s_ij + u_i + v_j) / EPSILON)``. The larger EPSILON,
the more targets share an image.

P itself stays a permutation (eq. 6), the one whose entries of W have the greatest product. Since
the u_i and v_j add the same to the logarithm for every permutation, that is the exact one.
"""

import torch

from nat.alignments import Aligned, best_permutation, fetched

EPSILON = 0.05  # in units of the inner product
ROUNDS = 30  # of scaling rows, then columns


def align(similarity: torch.Tensor) -> Aligned:
    """The exact permutation, and the plan's weights for the loss.

    Args:
        similarity: float (b, b), inner products of features (rows) and targets (columns).
    """
    order = torch.from_numpy(best_permutation(fetched(similarity)))
    return Aligned(order, plan(similarity))


def plan(similarity: torch.Tensor) -> torch.Tensor:
    """W: float (b, b), rows of sum 1, columns of about 1, computed with logarithms."""
    logarithm = similarity / EPSILON
    for _ in range(ROUNDS):
        logarithm = logarithm - logarithm.logsumexp(0, keepdim=True)
        logarithm = logarithm - logarithm.logsumexp(1, keepdim=True)
    return logarithm.exp()
