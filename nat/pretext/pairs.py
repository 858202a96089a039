"""What methods share that compare two views of each image: settings, measures, the whole batch."""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from nat.methods import TrunkSession
from nat.network.model import Network
from nat.pretext.projection import projector
from nat.pretext.training import CosineTraining, Measures, Task
from nat.pretext.views import Recipe, Views
from nat.runtime.distributed import Distributed
from nat.runtime.settings.params import Dimension, Units


class PairSettings(CosineTraining):
    """The least share of a crop that a view shows; units of the head's layers, and its outputs."""

    area: Annotated[float, Field(gt=0, le=1)]
    hidden: Units
    outputs: Dimension


def encoder(
    session: TrunkSession, network: Network, settings: PairSettings, layers: int, **more: bool
) -> nn.Sequential:
    """The network's trunk and a head of so many linear layers; see ``projector``.

    Raises:
        UserError: no memory holds the head.
    """
    inputs = network.trunk.features(session.crop)
    widths = [inputs, *[settings.hidden] * (layers - 1), settings.outputs]
    draws = session.generator("projector")
    return nn.Sequential(network.trunk, projector(widths, draws, f"{session.group}.hidden", **more))


def views(session: TrunkSession, settings: PairSettings, recipe: Recipe) -> Views:
    """The views that the settings ask for."""
    return Views(recipe, settings.area, session.params.augment.flip)


class Pairs(Task):
    """Two views of each image, which a method embeds and compares."""

    def __init__(self, encoder: nn.Module, views: Views) -> None:
        """``encoder`` is the trunk and the head that follows: from images to float (b, d)."""
        super().__init__()
        self.encoder, self.views = encoder, views

    def embed(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """What the loss compares, float (b, d) each; the first two are of the first and the second
        view, by the network that learns.
        """
        raise NotImplementedError

    def loss(self, *embeddings: torch.Tensor) -> torch.Tensor:
        """The loss of float32 embeddings."""
        raise NotImplementedError

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """The loss; see ``Task``."""
        embeddings = self.embed(*self.views(images))
        with torch.autocast(images.device.type, enabled=False):
            embeddings = tuple(each.float() for each in embeddings)
            return self.loss(*embeddings), measured(*embeddings[:2])


@torch.no_grad()
def measured(first: torch.Tensor, second: torch.Tensor) -> Measures:
    """How well views are told apart, and whether they collapse.

    Args:
        first: float32 (b, d), of the first views.
        second: likewise, of the second ones.

    Returns:
        ``matched``, images whose nearest second view, by the cosine, is their own, percent; and
        ``spread``, the standard deviation of unit vectors' coordinates, times sqrt(d): 1 if they
        are all over the sphere, 0 if all are the same (Chen & He, 2021, section 4.1).
    """
    first, second = F.normalize(first), F.normalize(second)
    own = torch.arange(len(first), device=first.device)
    matched = (first @ second.T).argmax(1) == own
    spread = torch.cat([first, second]).std(0).mean() * first.shape[1] ** 0.5
    return {"matched": 100 * matched.float().mean(), "spread": spread}


def gathered(own: torch.Tensor, distributed: Distributed) -> torch.Tensor:
    """Embeddings of all processes' images, for a loss that is of the whole batch.

    Every process computes the whole loss, and its gradient by its own embeddings, which therefore
    needs no exchange. It is multiplied by the number of processes, as theirs are then averaged.

    Args:
        own: float (b, d), of this process's images.
        distributed: the processes.

    Returns:
        float (size * b, d).
    """
    if distributed.size == 1:
        return own
    fixed = own.detach()
    parts = list(distributed.all_gather(fixed).chunk(distributed.size))
    parts[distributed.rank] = fixed + distributed.size * (own - fixed)
    return torch.cat(parts)
