"""VICReg: embeddings of two views agree, each feature varies, and no two vary together.

Bardes et al. (2022), section 4.1: invariance, variance and covariance, weighted 25, 25 and 1 there;
a projector of three layers. Augmentations are those of appendix C.1 but for what vanishes here
(nat/pretext/views.py); SGD instead of LARS.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nat.methods import TrunkSession
from nat.pretext.pairs import Pairs, PairSettings, encoder, gathered, views
from nat.pretext.training import pretrain_on
from nat.pretext.views import VICREG, Views
from nat.runtime.distributed import Distributed
from nat.runtime.settings.params import Positive

LABEL = "VICReg"
REFERENCE = "Bardes et al., 2022"
WHEN = "later"
MEASURE = "loss"
BETTER = "lower"
MEASURE_TEXT = "squared distance of the views, with the terms that keep features apart, weighted"
DEVIATION, EPSILON = 1, 1e-4  # gamma and epsilon of eq. 1 and 2


class Settings(PairSettings):
    """The weights of the loss's terms: lambda, mu and nu."""

    invariance: Positive
    variance: Positive
    covariance: Positive


def variance(embeddings: torch.Tensor) -> torch.Tensor:
    """Eq. 1: how far features' standard deviations fall short of 1, averaged over features."""
    deviation = (embeddings.var(0) + EPSILON).sqrt()
    return F.relu(DEVIATION - deviation).mean()


def covariance(embeddings: torch.Tensor) -> torch.Tensor:
    """Eq. 3 and 4: squared covariances of different features, over the number of features."""
    matrix = embeddings.T.cov()
    return (matrix.square().sum() - matrix.diagonal().square().sum()) / len(matrix)


def vicreg(
    first: torch.Tensor, second: torch.Tensor, weights: tuple[float, float, float]
) -> torch.Tensor:
    """Eq. 6.

    Args:
        first: float (b, d), of the first views.
        second: likewise, of the second ones.
        weights: lambda, mu and nu.
    """
    agree, vary, differ = weights
    short, shared = (term(first) + term(second) for term in (variance, covariance))
    return agree * F.mse_loss(first, second) + vary * short + differ * shared


class Regularised(Pairs):
    """Agreement, with moments of the batch of all processes."""

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        weights: tuple[float, float, float],
        distributed: Distributed,
    ) -> None:
        """``weights`` are lambda, mu and nu."""
        super().__init__(encoder, views)
        self.weights, self.distributed = weights, distributed

    def embed(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Projections."""
        return self.encoder(first), self.encoder(second)

    def loss(self, *embeddings: torch.Tensor) -> torch.Tensor:
        """Eq. 6."""
        first, second = (gathered(each, self.distributed) for each in embeddings)
        return vicreg(first, second, self.weights)


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to features that agree, vary and differ."""
    network = session.network(2)
    task = Regularised(
        encoder(session, network, settings, layers=3),
        views(session, settings, VICREG),
        (settings.invariance, settings.variance, settings.covariance),
        session.distributed,
    )
    pretrain_on(session, network, task, settings, whole=False)
