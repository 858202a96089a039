"""Discriminative clustering (Bach & Harchaoui, 2007, Diffrac) on deep features.

Diffrac looks for the labels that ridge regression on the features explains best (their section 2):

    min over Y, W, b of  1/n |Y - X W - 1 b|^2 + ridge |W|^2

with Y of one-hot rows, in the set R of the paper's section 3.1: each cluster has at least so many
images. They solve a convex relaxation, for features that are given. Here X, the unit vectors
f_theta(x), is learned too, and at the start of each epoch, for all images,

1. W and b are the ridge regression of Y on X, in closed form;
2. Y is, of the set R, what is closest to X W + 1 b: an optimal transport with lower bounds on
   clusters' sizes, solved with a little entropy and then rounded so that the bounds hold;

in turn, some rounds, beginning with the last epoch's Y (k-means' at first). W and b so found start
the epoch, in which SGD's steps lower the same cost over network, W and b on batches, Y fixed.
"""

from collections.abc import Iterable
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from nat.methods import TrunkSession
from nat.network.model import Network
from nat.pretext.clusters import ROUNDS, Labelling, accuracy, balanced, outputs_of_all
from nat.pretext.codebooks import kmeans
from nat.pretext.training import Measures, pretrain_on
from nat.runtime.settings.params import Classes, Dimension, NotNegative, Training

LABEL = "Discriminative clustering"
REFERENCE = "Bach & Harchaoui, 2007"
WHEN = "cited"
MEASURE = "error"
BETTER = "lower"
MEASURE_TEXT = "squared distance of the regression to the clusters' vectors"
ALTERNATIONS = 3  # of regression and labels, an epoch
ENTROPY = 0.02  # in units of the squared distance


class Settings(Training):
    """Clusters, the least size of one as a share of n / k, d, and the weight of |W|^2."""

    k: Classes
    smallest: Annotated[float, Field(ge=0, le=1)]
    dimension: Dimension
    ridge: NotNegative


def regression(
    x: torch.Tensor, labels: torch.Tensor, k: int, ridge: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The W and b of least cost, for given labels.

    Args:
        x: float (n, d).
        labels: int64 (n,).
        k: clusters.
        ridge: weight of |W|^2.

    Returns:
        W, double (d, k); b, double (k,).
    """
    n, d = x.shape
    x = x.double()
    mean = x.mean(0)
    shares = torch.bincount(labels, minlength=k).double() / n
    across = torch.zeros(k, d, dtype=x.dtype, device=x.device).index_add_(0, labels, x).T / n
    penalty = (ridge + 1e-9) * torch.eye(d, dtype=x.dtype, device=x.device)
    w = torch.linalg.solve(
        x.T @ x / n - torch.outer(mean, mean) + penalty, across - torch.outer(mean, shares)
    )
    return w, shares - mean @ w


def labelled(scores: torch.Tensor, least: int) -> torch.Tensor:
    """Labels whose one-hot vectors are close to scores, each given to some images at least.

    Args:
        scores: float (n, k).
        least: images of a cluster; k times that is n at most.

    Returns:
        int64 (n,).
    """
    k = scores.shape[1]
    if least == 0:
        return scores.argmax(1)
    # |e_j - s|^2 is 1 - 2 s_j + |s|^2, of which only the middle depends on j
    sharp = 2 * scores / ENTROPY
    offsets = balanced(sharp, least, at_least=True)
    scores = (sharp + offsets).cpu()  # as what follows looks at one image after the other
    best, found = scores.max(1)
    sizes = torch.bincount(found, minlength=k).tolist()
    labels = found.tolist()
    for j in range(k):
        if sizes[j] >= least:
            continue
        for i in (best - scores[:, j]).argsort(stable=True).tolist():  # rounding took too many
            if sizes[labels[i]] > least:
                sizes[labels[i]] -= 1
                sizes[j] += 1
                labels[i] = j
                if sizes[j] == least:
                    break
    return torch.tensor(labels, device=sharp.device)


class Diffrac(Labelling):
    """The cluster of an image, by ridge regression on the network's unit vectors."""

    def __init__(self, session: TrunkSession, network: Network, settings: Settings) -> None:
        super().__init__(session, settings.k)
        self.network, self.settings = network, settings
        self.regression = nn.Linear(settings.dimension, settings.k)
        self.least = int(settings.smallest * len(session.images) / settings.k)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Unit vectors, float (b, d)."""
        return F.normalize(self.network(images).float())

    def cluster(self, epoch: int) -> torch.Tensor:
        """Regression and labels in turn; see ``Labelling``."""
        session, k, ridge = self.session, self.k, self.settings.ridge
        x = outputs_of_all(session, self, self.features)
        labels = self.labels.to(x.device)
        if epoch == 0:
            labels = kmeans(x, k, ROUNDS, session.generator("clusters"))[1]
        for _ in range(ALTERNATIONS):
            w, b = regression(x, labels, k, ridge)
            labels = labelled((x.double() @ w + b).float(), self.least)
        w, b = regression(x, labels, k, ridge)
        with torch.no_grad():
            for weight, found in zip(self.renewed(), (w.T, b), strict=True):
                weight.copy_(found)
                session.distributed.broadcast(weight.data)
        return labels

    def renewed(self) -> Iterable[nn.Parameter]:
        """W and b; see ``Task``."""
        return self.regression.parameters()

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """Diffrac's cost of a batch; see ``Task``."""
        labels = self.labels_of(rows)
        scores = self.regression(self.features(images)).float()
        error = (scores - F.one_hot(labels, self.k)).square().sum(1).mean()
        cost = error + self.settings.ridge * self.regression.weight.square().sum()
        return cost, {"error": error, "accuracy": accuracy(scores, labels), **self.found}


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk so that clusters can be told by a regression.

    Raises:
        UserError: more clusters than images.
    """
    network = session.network(settings.dimension)
    pretrain_on(session, network, Diffrac(session, network, settings), settings)
