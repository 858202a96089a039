"""SimCLR: the two views of an image are to be closer to each other than to all other views.

Chen et al. (2020): the head and the loss NT-Xent are those of section 2.1, the augmentations
appendix A's but for what vanishes here (nat/pretext/views.py). SGD instead of LARS, which the paper
has for batches of thousands.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nat.methods import TrunkSession
from nat.pretext.pairs import Pairs, PairSettings, encoder, gathered, views
from nat.pretext.training import pretrain_on
from nat.pretext.views import SIMCLR, Views
from nat.runtime.distributed import Distributed
from nat.runtime.settings.params import Positive

LABEL = "SimCLR"
REFERENCE = "Chen et al., 2020"
WHEN = "later"
MEASURE = "matched"
BETTER = "higher"
MEASURE_TEXT = "images whose nearest second view in the batch is their own, percent"


class Settings(PairSettings):
    """``temperature`` divides the cosines."""

    temperature: Positive


def nt_xent(first: torch.Tensor, second: torch.Tensor, temperature: float) -> torch.Tensor:
    """Eq. 1, averaged over all 2b views: cross entropy of finding the other view of an image.

    Args:
        first: float (b, d), of the first views.
        second: likewise, of the second ones.
        temperature: divides the cosines.
    """
    views = F.normalize(torch.cat([first, second]))
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    similar = (views @ views.T / temperature).masked_fill(itself, -torch.inf)
    other = torch.arange(len(views), device=views.device).roll(len(first))
    return F.cross_entropy(similar, other)


class Contrast(Pairs):
    """Views against all others in the batch of all processes."""

    def __init__(
        self, encoder: nn.Module, views: Views, temperature: float, distributed: Distributed
    ) -> None:
        super().__init__(encoder, views)
        self.temperature, self.distributed = temperature, distributed

    def embed(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Both at once, so that batch norm tells nobody which is which."""
        return self.encoder(torch.cat([first, second])).chunk(2)

    def loss(self, *embeddings: torch.Tensor) -> torch.Tensor:
        """NT-Xent."""
        first, second = (gathered(each, self.distributed) for each in embeddings)
        return nt_xent(first, second, self.temperature)


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to know an image again."""
    network = session.network(2)
    task = Contrast(
        encoder(session, network, settings, layers=2),
        views(session, settings, SIMCLR),
        settings.temperature,
        session.distributed,
    )
    pretrain_on(session, network, task, settings, whole=False)
