"""Equation 2 with free targets: spherical k-means on deep features, learned together with them.

Section 3.1 says what comes of it: any image may be given to any target (the set Q), and the targets
move, so that nothing keeps the features from collapsing to one. This is NAT but for that: the same
network, loss and optimizer, with the closest of k unit vectors in place of a target of its own, and
these are parameters too. They start as the untrained network's features of k images.

The loss falls to 0 as the features collapse, which is the measure of the task, not of its worth:
see ``cosine``, the mean of that of two images' features, ``used``, the targets that a batch uses,
and ``evenness``, the entropy of these uses as a share of log k.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nat.methods import TrunkSession
from nat.network.loss import square_loss
from nat.network.model import Network
from nat.pretext.clusters import evenness, outputs_of_all
from nat.pretext.codebooks import drawn
from nat.pretext.training import Measures, Task, pretrain_on
from nat.runtime.settings.params import Classes, Dimension, Training

LABEL = "Free targets (spherical k-means)"
REFERENCE = ""
WHEN = "cited"
MEASURE = "distance"
BETTER = "lower"
MEASURE_TEXT = "squared distance to the closest target, 0 as the features collapse"
SAMPLE = 10  # images looked at for each first target


class Settings(Training):
    """The number of targets and their dimension, d."""

    k: Classes
    dimension: Dimension


class FreeTargets(Task):
    """The closest of some targets that move."""

    def __init__(self, session: TrunkSession, network: Network, settings: Settings) -> None:
        super().__init__()
        self.session, self.network = session, network
        self.targets = nn.Parameter(torch.zeros(settings.k, settings.dimension))

    def begin(self, epoch: int) -> None:
        """Before the first epoch, take the features of some images as targets."""
        if epoch == 0:
            k = len(self.targets)
            some = max(len(self.session.images) // (SAMPLE * k), 1)
            features = outputs_of_all(self.session, self, self.network, every=some)
            first = drawn(features, k, self.session.generator("targets"))
            with torch.no_grad():
                self.targets.copy_(F.normalize(first))

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """Eq. 2, summed over the batch as NAT's; see ``Task``."""
        features = F.normalize(self.network(images).float())
        targets = F.normalize(self.targets)
        closest = (features @ targets.T).detach().argmax(1)
        loss = square_loss(features, targets[closest])
        uses = F.one_hot(closest, len(targets)).sum(0)
        b = len(features)
        # of all pairs of different images
        cosine = (features.detach().sum(0).square().sum() - b) / (b * (b - 1))
        return loss, {
            "distance": loss / b,
            "cosine": cosine,
            "used": (uses > 0).sum(),
            "evenness": evenness(uses),
        }


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk and its targets, until they are alike."""
    network = session.network(settings.dimension)
    pretrain_on(session, network, FreeTargets(session, network, settings), settings)
