"""Barlow Twins: features of two views are to agree, each saying what the others do not.

Zbontar et al. (2021), section 2: the cross-correlation of the batch's embeddings is drawn to the
identity; a projector of three layers. Augmentations are BYOL's, as in the paper, but for what
vanishes here (nat/pretext/views.py); SGD instead of LARS.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nat.methods import TrunkSession
from nat.pretext.pairs import Pairs, PairSettings, encoder, gathered, views
from nat.pretext.training import pretrain_on
from nat.pretext.views import BYOL, Views
from nat.runtime.distributed import Distributed
from nat.runtime.settings.params import Positive

LABEL = "Barlow Twins"
REFERENCE = "Zbontar et al., 2021"
WHEN = "later"
MEASURE = "loss"
BETTER = "lower"
MEASURE_TEXT = "squared distance of the views' cross-correlation from the identity, weighted"


class Settings(PairSettings):
    """``redundancy`` is lambda, the weight of correlations between features."""

    redundancy: Positive


def barlow_twins(first: torch.Tensor, second: torch.Tensor, redundancy: float) -> torch.Tensor:
    """Eq. 1: how far the cross-correlation (eq. 2) is from the identity, squared.

    Args:
        first: float (b, d), of the first views.
        second: likewise, of the second ones.
        redundancy: lambda.
    """
    first, second = (F.batch_norm(each, None, None, training=True) for each in (first, second))
    correlation = first.T @ second / len(first)
    same = correlation.diagonal()
    between = correlation.square().sum() - same.square().sum()
    return (1 - same).square().sum() + redundancy * between


class Decorrelation(Pairs):
    """Correlations in the batch of all processes."""

    def __init__(
        self, encoder: nn.Module, views: Views, redundancy: float, distributed: Distributed
    ) -> None:
        super().__init__(encoder, views)
        self.redundancy, self.distributed = redundancy, distributed

    def embed(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Projections."""
        return self.encoder(first), self.encoder(second)

    def loss(self, *embeddings: torch.Tensor) -> torch.Tensor:
        """Eq. 1."""
        first, second = (gathered(each, self.distributed) for each in embeddings)
        return barlow_twins(first, second, self.redundancy)


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to features that agree and differ."""
    network = session.network(2)
    task = Decorrelation(
        encoder(session, network, settings, layers=3),
        views(session, settings, BYOL),
        settings.redundancy,
        session.distributed,
    )
    pretrain_on(session, network, task, settings, whole=False)
