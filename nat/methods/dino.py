"""DINO: sort one view among prototypes as a moving average of the network sorts the other.

Caron et al. (2021), section 3.1, in its simplest form: two views of the same kind instead of large
and small crops. The teacher's outputs are centred, against one prototype for all images, and
sharpened, against all prototypes alike. The head has batch norm and ReLU, as the trunk does, where
the paper's, made for transformers, has none and GELU. Temperatures are the paper's, without warmup.
Augmentations are BYOL's, as in the paper, but for what vanishes here (nat/pretext/views.py); SGD is
the paper's for convolutional networks.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nat.methods import TrunkSession
from nat.network.model import initialise
from nat.pretext.pairs import Pairs, PairSettings, encoder, views
from nat.pretext.teacher import Teacher
from nat.pretext.training import pretrain_on
from nat.pretext.views import BYOL, Views
from nat.runtime.device import check_weights
from nat.runtime.distributed import Distributed
from nat.runtime.settings.params import Dimension, Fraction

LABEL = "DINO"
REFERENCE = "Caron et al., 2021"
WHEN = "later"
MEASURE = "loss"
BETTER = "lower"
MEASURE_TEXT = "cross entropy of the teacher's and the student's prototypes, nats"
STUDENT, TEACHER = 0.1, 0.04  # temperatures
KEPT = 0.9  # of the centre, in a step


class Settings(PairSettings):
    """How many prototypes there are; ``decay`` is the teacher's in the first step."""

    prototypes: Dimension
    decay: Fraction


class Prototypes(nn.Linear):
    """Cosines with unit vectors that are learnt: weight normalisation, with lengths of 1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float (b, d) -> (b, prototypes)."""
        return F.linear(F.normalize(x), F.normalize(self.weight))


def cross_entropy(
    student: torch.Tensor, teacher: torch.Tensor, centre: torch.Tensor
) -> torch.Tensor:
    """Eq. 1 and 2, averaged over the batch, with the teacher centred and sharpened.

    Args:
        student: float (b, k), of one view.
        teacher: likewise, of the other view.
        centre: (k,).
    """
    return F.cross_entropy(student / STUDENT, ((teacher - centre) / TEACHER).softmax(1))


class Distillation(Pairs):
    """Learns from its teacher; the centre is the mean of what the teacher has said."""

    centre: torch.Tensor

    def __init__(
        self,
        encoder: nn.Module,
        views: Views,
        prototypes: Prototypes,
        teacher: Teacher,
        distributed: Distributed,
    ) -> None:
        """``teacher`` is that of the encoder and the prototypes, one after the other."""
        super().__init__(encoder, views)
        self.prototypes, self.teacher, self.distributed = prototypes, teacher, distributed
        self.register_buffer("centre", torch.zeros(prototypes.out_features))

    def embed(self, first: torch.Tensor, second: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Projections, and how student and teacher sort the views."""
        a, b = self.encoder(first), self.encoder(second)
        sorted_by = self.prototypes(a), self.prototypes(b)
        return a, b, *sorted_by, self.teacher(first), self.teacher(second)

    def loss(self, *embeddings: torch.Tensor) -> torch.Tensor:
        """The mean of both ways; then the centre moves."""
        _, _, first, second, of_first, of_second = embeddings
        entropy = cross_entropy(first, of_second, self.centre)
        entropy = (entropy + cross_entropy(second, of_first, self.centre)) / 2
        mean = self.distributed.all_reduce(torch.cat([of_first, of_second]).mean(0))
        self.centre.lerp_(mean / self.distributed.size, 1 - KEPT)
        return entropy

    def stepped(self) -> None:
        """The teacher follows."""
        self.teacher.follow(nn.Sequential(self.encoder, self.prototypes))


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to sort images as it did before.

    Raises:
        UserError: no memory holds so many prototypes.
    """
    network = session.network(2)
    check_weights(settings.outputs * settings.prototypes, f"{session.group}.prototypes")
    student = encoder(session, network, settings, layers=3)
    prototypes = Prototypes(settings.outputs, settings.prototypes, bias=False)
    initialise(prototypes, session.generator("prototypes"))
    steps = settings.epochs * (len(session.images) // settings.batch_size)
    teacher = Teacher(nn.Sequential(student, prototypes), settings.decay, steps)
    task = Distillation(
        student, views(session, settings, BYOL), prototypes, teacher, session.distributed
    )
    pretrain_on(session, network, task, settings, whole=False)
