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
    """kNN accuracy on conv5 during training: cheap, needs no training, uses no gradient.

    It never looks at test images: where no validation images are held out, it takes images to train
    on that are not searched.
    """

    BANK, QUERIES, NEIGHBOURS = 5000, 2000, 20

    def __init__(
        self, train: Store, validation: Store | None, crop: int, every: int | Literal["never"]
    ) -> None:
        """Silent when ``every`` is "never" or the images have no labels."""
        self.train, self.crop = train, crop
        self.queries = validation or train
        stores = (self.train, self.queries)
        unlabelled = any(bool((store.labels < 0).any()) for store in stores)
        self.every: int | Literal["never"] = "never" if unlabelled else every

    def _rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Which images are searched, and for which ones."""
        # evenly spaced: a store may be sorted by class
        if self.queries is not self.train:
            return spread(len(self.train), self.BANK), spread(len(self.queries), self.QUERIES)
        rows = spread(len(self.train), self.BANK + self.QUERIES)
        asked = torch.zeros(len(rows), dtype=torch.bool)
        asked[spread(len(rows), max(1, len(rows) * self.QUERIES // (self.BANK + self.QUERIES)))] = 1
        return rows[~asked], rows[asked]

    def accuracy(self, trunk: nn.Module, epoch: int, device: torch.device) -> float | None:
        """Accuracy in percent after ``epoch`` (counted from 1) if its turn has come, else None."""
        if not due(epoch, self.every):
            return None
        was_training = trunk.training
        trunk.eval()
        bank, queries = self._rows()
        accuracy = knn_accuracy(
            features(trunk, self.train, bank, self.crop, device),
            self.train.labels[bank],
            features(trunk, self.queries, queries, self.crop, device),
            self.queries.labels[queries],
            self.NEIGHBOURS,
        )
        trunk.train(was_training)
        return accuracy


def spread(n: int, count: int) -> torch.Tensor:
    """At most ``count`` of n rows, evenly spaced: int64."""
    return torch.linspace(0, n - 1, min(count, n)).long()
