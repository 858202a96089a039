"""Accuracy of classifiers on several crops of each picture (the released protocol's ten)."""

from collections.abc import Callable

import torch

from nat.data.augment import fixed_crops
from nat.data.store import Store
from nat.runtime.distributed import Team
from nat.runtime.progress import progress

BATCH = 256


@torch.no_grad()
def multi_crop_accuracies(
    classify: Callable[[torch.Tensor], tuple[torch.Tensor, ...]],
    store: Store,
    crop: int,
    crops: int,
    team: Team,
) -> list[float]:
    """Accuracy in percent of each classifier, outputs summed over the crops of a picture.

    Args:
        classify: from uint8 (b, c, crop, crop) to the outputs of each classifier, (b, classes), in
            evaluation mode.
        store: pictures and labels.
        crop: side in pixels.
        crops: 1, 2 or 10 (see fixed_crops).
        team: whose processes share the pictures.
    """
    right: list[int] = []
    mine = torch.arange(len(store))[team.rank :: team.size]
    counted = len(mine) > 0
    if not counted:  # more processes than pictures: it must still say 0 for each classifier
        mine = torch.zeros(1, dtype=torch.int64)
    for batch in progress(mine.split(BATCH), "test"):
        cuts = fixed_crops(store.batch(batch).to(team.device), crop, crops)
        found = [
            outputs.float().view(len(cuts), len(batch), -1).sum(0).argmax(1).cpu()
            for outputs in classify(cuts.flatten(0, 1))
        ]
        right = right or [0] * len(found)
        for index, classes in enumerate(found):
            right[index] += counted * int((classes == store.labels[batch]).sum())
    return [100 * count / len(store) for count in team.sum(torch.tensor(right)).tolist()]
