"""The exact alignment by another solver, lapx: the same optimum in less time; an optional extra.

For large batches on a fast GPU, where the solver's time shows. Where several permutations are best,
it may find another one than the solver of ``exact``.
"""

import numpy as np
import torch

from nat.alignments import Aligned, fetched
from nat.runtime.errors import UserError

try:
    from lap import lapjvh
except ImportError as error:  # loading this file comes before the work
    raise UserError(
        "alignment: lapx needs the package of that name; install it by "
        "`pip install -e '.[fast]'` in the project's folder, or use exact"
    ) from error


def align(similarity: torch.Tensor) -> Aligned:
    """The best permutation, on the CPU, targets on the rows as in assignment.py.

    Args:
        similarity: float (b, b), inner products of features (rows) and targets (columns).
    """
    cost = np.ascontiguousarray(-fetched(similarity).T)
    targets, images = lapjvh(cost, return_cost=False)
    order = torch.empty(len(similarity), dtype=torch.int64)
    order[torch.from_numpy(images)] = torch.from_numpy(targets)
    return Aligned(order)
