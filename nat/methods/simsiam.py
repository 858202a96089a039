"""SimSiam: from one view, predict what the same network makes of the other, without a gradient.

Chen & He (2021), section 3: a projector of three layers with batch norm on the last, a predictor
with a narrow middle, the negative cosine both ways, SGD with a cosine. Augmentations are those of
section 3 but for what vanishes here (nat/pretext/views.py).
"""

import torch
import torch.nn.functional as F
from torch import nn

from nat.methods import TrunkSession
from nat.pretext.pairs import Pairs, PairSettings, encoder, views
from nat.pretext.projection import projector
from nat.pretext.training import pretrain_on
from nat.pretext.views import SIMSIAM, Views
from nat.runtime.settings.params import Units

LABEL = "SimSiam"
REFERENCE = "Chen & He, 2021"
WHEN = "later"
MEASURE = "loss"
BETTER = "lower"
MEASURE_TEXT = "minus the cosine of predictions and the other views' projections"


class Settings(PairSettings):
    """``bottleneck`` is the width of the predictor's middle."""

    bottleneck: Units


def disagreement(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Eq. 1 with its stopped gradient: minus the cosine, averaged over the batch.

    Args:
        predicted: float (b, d).
        wanted: likewise, as a constant.
    """
    return -F.cosine_similarity(predicted, wanted.detach()).mean()


class Siamese(Pairs):
    """Predicts its own projections of the other view."""

    def __init__(self, encoder: nn.Module, views: Views, predictor: nn.Module) -> None:
        super().__init__(encoder, views)
        self.predictor = predictor

    def embed(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Projections, and predictions from them."""
        a, b = self.encoder(first), self.encoder(second)
        return a, b, self.predictor(a), self.predictor(b)

    def loss(self, *embeddings: torch.Tensor) -> torch.Tensor:
        """Eq. 2, from -1 for predictions that are right."""
        first, second, from_first, from_second = embeddings
        return (disagreement(from_first, second) + disagreement(from_second, first)) / 2


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to predict itself."""
    network = session.network(2)
    widths = [settings.outputs, settings.bottleneck, settings.outputs]
    task = Siamese(
        encoder(session, network, settings, layers=3, last_norm=True),
        views(session, settings, SIMSIAM),
        projector(widths, session.generator("predictor"), f"{session.group}.bottleneck"),
    )
    pretrain_on(session, network, task, settings, whole=False)
