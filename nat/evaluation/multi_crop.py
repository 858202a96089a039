"""Accuracy of classifiers on several crops of each image (the released protocol's ten)."""

from collections.abc import Callable

import torch

from nat.data.augment import fixed_crops
from nat.data.store import Store
from nat.runtime.distributed import Distributed
from nat.runtime.progress import progress

BATCH = 64  # images, of up to ten crops each


@torch.no_grad()
def multi_crop_accuracies(
    classify: Callable[[torch.Tensor], tuple[torch.Tensor, ...]],
    store: Store,
    crop: int,
    crops: int,
    distributed: Distributed,
    rows: torch.Tensor | None = None,
) -> list[float]:
    """Accuracy in percent of each classifier, outputs summed over the crops of an image.

    Args:
        classify: from uint8 (b, c, crop, crop) to the outputs of each classifier, (b, classes), in
            evaluation mode.
        store: images and labels.
        crop: side in pixels.
        crops: 1, 2 or 10 (see fixed_crops).
        distributed: whose processes share the images.
        rows: int64 (n,), of the store; by default all.
    """
    right: list[int] = []
    rows = torch.arange(len(store)) if rows is None else rows
    mine = rows[distributed.rank :: distributed.size]
    counted = len(mine) > 0
    if not counted:  # more processes than images: it must still say 0 for each classifier
        mine = torch.zeros(1, dtype=torch.int64)
    for batch in progress(mine.split(BATCH), "test"):
        cuts = fixed_crops(store.batch(batch).to(distributed.device), crop, crops)
        found = [
            outputs.float().view(len(cuts), len(batch), -1).sum(0).argmax(1).cpu()
            for outputs in classify(cuts.flatten(0, 1))
        ]
        right = right or [0] * len(found)
        for index, classes in enumerate(found):
            right[index] += counted * int((classes == store.labels[batch]).sum())
    return [
        100 * count / len(rows) for count in distributed.all_reduce(torch.tensor(right)).tolist()
    ]
