"""An alignment in one sort: the closest pair first, then the closest of what is left.

For a batch of a few hundred the exact solver is faster on a CPU, see the reports; the sort and the
rounds run on the features' own device, without a transfer.
"""

import torch

from nat.alignments import Aligned


def align(similarity: torch.Tensor) -> Aligned:
    """Pairs of image and target by falling similarity, each image and each target once.

    Two that are each other's best are paired whatever else is paired before them, so all such
    pairs are taken at once: a few rounds instead of b, on the device of ``similarity``. Of equal
    similarities the smaller index counts as better.

    Args:
        similarity: float (b, b), inner products of features (rows) and targets (columns).
    """
    b = len(similarity)
    order = torch.empty(b, dtype=torch.int64, device=similarity.device)
    images = targets = torch.arange(b, device=similarity.device)  # those still free
    ranks = _ranks(similarity)  # without ties, so that some pair is always each other's best
    while len(images):
        best_target, best_image = ranks.argmin(1), ranks.argmin(0)
        rows = torch.arange(len(images), device=similarity.device)
        paired = best_image[best_target] == rows
        order[images[paired]] = targets[best_target[paired]]
        free = ~paired
        left = torch.ones_like(free)
        left[best_target[paired]] = False
        images, targets, ranks = images[free], targets[left], ranks[free][:, left]
    return Aligned(order)


def _ranks(similarity: torch.Tensor) -> torch.Tensor:
    """The place of each entry among all, the largest first: int64 (b, b)."""
    places = similarity.flatten().argsort(descending=True, stable=True)
    ranks = torch.empty_like(places)
    ranks[places] = torch.arange(len(places), device=places.device)
    return ranks.view_as(similarity)
