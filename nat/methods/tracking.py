"""Tracked patches: what was tracked from one frame to a later one is closer than anything else.

Wang & Gupta (2015), section 5. Two fully connected layers on top of conv5 give a vector for each
patch. Its cosine distance to the patch that it has become is to be less than to patches of other
tracks, by a margin, the triplet loss; these are K of the batch for each track, in the first epochs
drawn at random, then those with the largest loss.

Where no frames are named the motion is composed: an image as an object is moved over another one.
Real frames are searched for what moves, which is tracked; see nat/pretext/motion/tracks.py.

Deviations: batch norm in the layers on top; no learning rate in steps; the negatives are the last
patches of other tracks, of a process's own part of the batch. The loss is averaged over triplets.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from nat.methods import TrunkSession
from nat.network.model import Trunk, initialise
from nat.pretext.motion.composed import MovingObject, largest
from nat.pretext.motion.pairs import PairLoader
from nat.pretext.motion.tracks import tracked
from nat.pretext.training import Measures, Task, pretrain_on
from nat.runtime.device import check_weights
from nat.runtime.settings.params import Dimension, Few, Place, Training

LABEL = "Tracked patches"
REFERENCE = "Wang & Gupta, 2015"
MEASURE = "ordered"
BETTER = "higher"
MEASURE_TEXT = "triplets in the right order, percent of all of a batch"


class Settings(Training):
    """The triplets, and the motion: composed, by its extremes, or read."""

    frames: Place | None
    span: Few
    patch: Annotated[float, Field(gt=0, le=1)]
    margin: Annotated[float, Field(gt=0, le=2)]
    negatives: Few
    random_epochs: Annotated[int, Field(ge=0, le=10**6)]
    dimension: Dimension
    shift: Annotated[float, Field(ge=0, le=0.5)]
    turn: Annotated[float, Field(ge=0, le=180)]
    zoom: Annotated[float, Field(ge=1, le=4)]
    travel: Annotated[float, Field(ge=0, le=1)]


class Triplets(Task):
    """Ranks the last patch of each track before those of others."""

    def __init__(
        self, trunk: Trunk, crop: int, hidden: int, settings: Settings, motion: MovingObject | None
    ) -> None:
        """``crop`` is the patches' side, pixels; without ``motion`` it is given pairs of them."""
        super().__init__()
        self.trunk, self.motion, self.settings = trunk, motion, settings
        features = trunk.features(crop)
        check_weights((features + settings.dimension) * hidden, "model.hidden")
        self.top = nn.Sequential(
            nn.Flatten(),
            nn.Linear(features, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, settings.dimension),
        )
        self.hard = False

    def begin(self, epoch: int) -> None:
        """Take the hardest negatives from some epoch on."""
        self.hard = epoch >= self.settings.random_epochs

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """The triplet loss, the mean over triplets; see ``Task``."""
        pairs = images if self.motion is None else self.motion(images)
        vectors = self.top(self.trunk(pairs.flatten(0, 1))).float()
        first, last = F.normalize(vectors).unflatten(0, (-1, 2)).unbind(1)
        with torch.autocast(images.device.type, enabled=False):
            loss, ordered = triplet_loss(
                first @ last.T, self.settings.margin, self.settings.negatives, self.hard
            )
        return loss, {"ordered": ordered}


def triplet_loss(
    cosines: torch.Tensor, margin: float, negatives: int, hard: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """max(0, D(first, last) - D(first, other) + margin), where D is 1 - cosine.

    Args:
        cosines: float (b, b), of each track's first patch to every track's last patch.
        margin: of the loss.
        negatives: other tracks for each, at most; all if there are not as many.
        hard: whether those with the largest loss are taken, or random ones.

    Returns:
        the mean over triplets; the share of all b (b - 1) whose own patch is closer, percent.
    """
    count = len(cosines)
    own = cosines.diagonal()[:, None]
    # without the diagonal: each row goes on with the next one's beginning
    others = cosines.flatten()[1:].view(count - 1, count + 1)[:, :-1].reshape(count, count - 1)
    ranks = others.detach() if hard else torch.rand_like(others)
    chosen = others.gather(1, ranks.topk(min(negatives, count - 1)).indices)
    loss = (chosen - own + margin).clamp(min=0).mean()
    return loss, 100 * (own > others).float().mean()


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to know again what has moved.

    Raises:
        UserError: see ``fit``; or frames are missing, damaged or of other kinds.
    """
    network = session.network(2)
    motion, loader = None, None
    if settings.frames is None:
        motion = MovingObject(
            largest(settings.shift, settings.turn, settings.zoom), settings.travel
        )
    else:
        patches = tracked(session, settings.frames, settings.span, settings.patch)
        loader = PairLoader(session, patches, settings.batch_size)
    task = Triplets(network.trunk, session.crop, session.params.model.hidden, settings, motion)
    initialise(task.top, session.generator("top"))
    pretrain_on(session, network, task, settings, whole=False, loader=loader)
