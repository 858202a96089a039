"""Features of whole splits: conv5 of the trunk, or the unit vectors f_theta of the network."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from nat.data.augment import fixed_crops
from nat.data.store import Store
from nat.evaluation.knn import knn_accuracy
from nat.network.model import Network
from nat.network.schedule import due
from nat.runtime.progress import progress

BATCH = 512


@torch.no_grad()
def features(
    module: Callable[[torch.Tensor], torch.Tensor],
    store: Store,
    rows: torch.Tensor,
    crop: int,
    device: torch.device,
) -> torch.Tensor:
    """``module`` on the central crops of images, flattened.

    Args:
        module: from uint8 (b, c, crop, crop) to float (b, ...), in evaluation mode.
        store: where the images are.
        rows: int64 (n,), which.
        crop: side in pixels.
        device: of the module.

    Returns:
        float32 (n, d), on ``device``.
    """
    found = []
    for batch in progress(rows.split(BATCH), "features"):
        images = store.batch(batch).to(device, non_blocking=True)
        found.append(module(fixed_crops(images, crop, 1)[0]).flatten(1))
    return torch.cat(found)


def unit_features(network: Network) -> Callable[[torch.Tensor], torch.Tensor]:
    """f_theta of eq. 2: the network's output, L2-normalised."""
    return lambda images: F.normalize(network(images))


class KnnMonitor:
    """kNN accuracy on conv5 during training: cheap, needs no training, uses no gradient."""

    TRAIN, VAL, NEIGHBOURS = 5000, 2000, 20

    def __init__(self, train: Store, val: Store, crop: int, every: int | Literal["never"]) -> None:
        """Silent when ``every`` is "never" or the images have no labels."""
        self.train, self.val, self.crop = train, val, crop
        unlabelled = (train.labels < 0).any() or (val.labels < 0).any()
        self.every: int | Literal["never"] = "never" if unlabelled else every

    def accuracy(self, trunk: nn.Module, epoch: int, device: torch.device) -> float | None:
        """Accuracy in percent after ``epoch`` (counted from 1) if its turn has come, else None."""
        if not due(epoch, self.every):
            return None
        was_training = trunk.training
        trunk.eval()
        # evenly spaced rows: a store may be sorted by class
        train, val = (
            torch.linspace(0, len(store) - 1, min(count, len(store))).long()
            for store, count in ((self.train, self.TRAIN), (self.val, self.VAL))
        )
        accuracy = knn_accuracy(
            features(trunk, self.train, train, self.crop, device),
            self.train.labels[train],
            features(trunk, self.val, val, self.crop, device),
            self.val.labels[val],
            self.NEIGHBOURS,
        )
        trunk.train(was_training)
        return accuracy
