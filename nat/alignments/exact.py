"""The paper's alignment: exact within a batch (section 3.2, Algorithm 1)."""

import torch

from nat.alignments import Aligned, best_permutation, fetched


def align(similarity: torch.Tensor) -> Aligned:
    """The best permutation, found on the CPU.

    Args:
        similarity: float (b, b), inner products of features (rows) and targets (columns).
    """
    return Aligned(torch.from_numpy(best_permutation(fetched(similarity))))
