"""Targets that are clusters of all images, found anew at the start of each epoch."""

import math
from collections.abc import Callable
from typing import Any

import torch
from sklearn.metrics import normalized_mutual_info_score
from torch import nn

from nat.data.augment import fixed_crops
from nat.data.loader import read_ahead
from nat.methods import TrunkSession
from nat.pretext.training import Measures, Task
from nat.runtime.errors import UserError
from nat.runtime.progress import progress

BATCH = 512  # images whose outputs are computed at once
ROUNDS = 20  # of k-means, as DeepCluster's library makes them
SETTLED = 0.01  # relative error of cluster sizes at which balancing ends
MOST_ROUNDS = 2000  # of balancing
AT_ONCE = 20  # of these, between computing exponentials anew
LEAST = 1e-30  # of a column, in these

Module = Callable[[torch.Tensor], torch.Tensor]


@torch.no_grad()
def outputs_of_all(
    session: TrunkSession, task: nn.Module, module: Module, every: int = 1
) -> torch.Tensor:
    """What a network gives for the central crop of each image.

    Without dropout, but with batch norm's statistics of each batch, which are the ones that
    training uses, and which an untrained network has as well; a batch's images lie far apart, as
    a store may be sorted by class. The processes share the work.

    Args:
        session: of the training.
        task: whose layers ``module`` is made of.
        module: from uint8 (b, c, crop, crop) to float (b, d).
        every: take one of so many images.

    Returns:
        float32 (n, d), on the device, the same in every process.
    """
    store, distributed, device = session.images, session.distributed, session.device
    was_training = [(layer, layer.training) for layer in task.modules()]
    norms = [each for each in task.modules() if isinstance(each, nn.BatchNorm1d | nn.BatchNorm2d)]
    task.eval()
    for norm in norms:
        norm.train()
        norm.track_running_stats = False
    rows = torch.arange(0, len(store), every)
    count = max(-(-len(rows) // BATCH), distributed.size)
    own = [rows[j::count] for j in range(distributed.rank, count, distributed.size)]
    read = read_ahead(store, own, device) if device.type == "cuda" else map(store.batch, own)
    found: torch.Tensor | None = None
    for batch, images in zip(own, progress(read, "outputs", total=len(own)), strict=True):
        with distributed.autocast():
            outputs = module(fixed_crops(images, session.crop, 1)[0]).float()
        if found is None:
            found = outputs.new_zeros(len(rows), outputs.shape[1])
        found[(batch // every).to(device)] = outputs
    for norm in norms:
        norm.track_running_stats = True
    for layer, training in was_training:
        layer.training = training
    assert found is not None
    return distributed.all_reduce(found)


def evenness(sizes: torch.Tensor) -> torch.Tensor:
    """Entropy of sizes (k,) as a share of log k: from 0, one has all, to 1, all are equal."""
    shares = sizes / sizes.sum()
    return torch.special.entr(shares).sum() / math.log(len(sizes))


def balanced(scores: torch.Tensor, size: float, at_least: bool = False) -> torch.Tensor:
    """Soft assignment Q to clusters of given size, by Sinkhorn and Knopp's scaling (Cuturi, 2013).

    Q maximises ``sum Q * scores + entropy(Q)`` over matrices with rows of sum 1 and columns of sum
    ``size``, or no less: it is ``softmax(scores + v)``, v being 0 where a column may be larger and
    is.

    Args:
        scores: float (n, k), finite.
        size: of each cluster; at most n / k.
        at_least: whether clusters may be larger.

    Returns:
        v, float (k,).
    """
    v = scores.new_zeros(scores.shape[1])
    for _ in range(MOST_ROUNDS // AT_ONCE):
        q = (scores + v).softmax(1)
        error = q.sum(0) / size - 1
        if at_least:
            error = torch.where(v > 0, error, error.clamp(max=0))
        if float(error.abs().max()) < SETTLED:
            break
        # products of matrices, not of exponentials, for some rounds: clamped as these may vanish
        factor = torch.ones_like(v)
        for _ in range(AT_ONCE):
            factor = size / (q.T @ (1 / (q @ factor))).clamp(min=LEAST)
            if at_least:
                factor = factor.maximum((-v).exp())
        v = v + factor.log()
    return v


class Labelling(Task):
    """A task whose targets are clusters, one for each image.

    Attributes:
        labels: int64 (n,), on the CPU: the cluster of each image.
        sizes: int64 (k,), on the device: the images in each.
        found: what is measured of them, numbers by name: ``agreement`` with those of the epoch
            before (normalised mutual information; 0 in the first epoch), and their ``evenness``.
    """

    def __init__(self, session: TrunkSession, k: int) -> None:
        """``k`` is the number of clusters.

        Raises:
            UserError: there are fewer images.
        """
        super().__init__()
        self.session, self.k = session, k
        n = len(session.images)
        if k > n:
            raise UserError(f"{session.group}.k: {k} clusters of {n} images; use at most that")
        self.labels = torch.zeros(n, dtype=torch.int64)
        self.sizes = torch.zeros(k, dtype=torch.int64)
        self.found: Measures = {}

    def cluster(self, epoch: int) -> torch.Tensor:
        """The cluster of each image, int64 (n,), on any device."""
        raise NotImplementedError

    def begin(self, epoch: int) -> None:
        """Cluster anew; all processes go by what the first one has found."""
        device, before = self.session.device, self.labels.numpy().copy()
        self.labels.copy_(self.cluster(epoch))
        self.session.distributed.broadcast(self.labels)
        self.sizes = torch.bincount(self.labels, minlength=self.k).to(device)
        agreement = normalized_mutual_info_score(before, self.labels.numpy())
        self.found = {
            "agreement": torch.tensor(agreement, device=device),
            "evenness": evenness(self.sizes.cpu()).to(device),
        }

    def state(self) -> dict[str, Any]:
        """The labels, with which the next ones are compared."""
        return {"labels": self.labels}

    def labels_of(self, rows: torch.Tensor) -> torch.Tensor:
        """The clusters of a batch's images, int64 (b,), on the device."""
        return self.labels[rows].to(self.session.device, non_blocking=True)


def accuracy(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Percent of a batch whose largest output is its label's."""
    return 100 * (outputs.argmax(1) == labels).float().mean()
