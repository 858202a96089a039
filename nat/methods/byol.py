"""BYOL: from one view, predict what a moving average of the network makes of the other.

Grill et al. (2020), section 3: projector and predictor of two layers each, the squared distance of
unit vectors, both ways, and a teacher whose decay rises to 1. Augmentations are appendix B's but
for what vanishes here (nat/pretext/views.py); SGD instead of LARS.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nat.methods import TrunkSession
from nat.pretext.pairs import Pairs, PairSettings, encoder, views
from nat.pretext.projection import projector
from nat.pretext.teacher import Teacher
from nat.pretext.training import pretrain_on
from nat.pretext.views import BYOL, Views
from nat.runtime.settings.params import Fraction

LABEL = "BYOL"
REFERENCE = "Grill et al., 2020"
WHEN = "later"
MEASURE = "loss"
BETTER = "lower"
MEASURE_TEXT = "squared distance of predictions from the teacher's unit vectors, both ways together"


class Settings(PairSettings):
    """``decay`` is the teacher's in the first step."""

    decay: Fraction


def error(predicted: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Eq. 2: squared distance of unit vectors, averaged over the batch.

    Args:
        predicted: float (b, d).
        wanted: likewise.
    """
    return 2 - 2 * F.cosine_similarity(predicted, wanted).mean()


class Bootstrap(Pairs):
    """Predicts a teacher's projections."""

    def __init__(
        self, encoder: nn.Module, views: Views, predictor: nn.Module, teacher: Teacher
    ) -> None:
        super().__init__(encoder, views)
        self.predictor, self.teacher = predictor, teacher

    def embed(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Projections, predictions of them, and the teacher's projections."""
        a, b = self.encoder(first), self.encoder(second)
        return a, b, self.predictor(a), self.predictor(b), self.teacher(first), self.teacher(second)

    def loss(self, *embeddings: torch.Tensor) -> torch.Tensor:
        """The error of both predictions, each of the other view."""
        _, _, from_first, from_second, first, second = embeddings
        return error(from_first, second) + error(from_second, first)

    def stepped(self) -> None:
        """The teacher follows."""
        self.teacher.follow(self.encoder)


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to predict its own past."""
    network = session.network(2)
    student = encoder(session, network, settings, layers=2)
    widths = [settings.outputs, settings.hidden, settings.outputs]
    predictor = projector(widths, session.generator("predictor"), f"{session.group}.hidden")
    steps = settings.epochs * (len(session.images) // settings.batch_size)
    teacher = Teacher(student, settings.decay, steps)
    task = Bootstrap(student, views(session, settings, BYOL), predictor, teacher)
    pretrain_on(session, network, task, settings, whole=False)
