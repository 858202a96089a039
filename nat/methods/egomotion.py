"""Ego-motion: the trunk sees two frames, and the camera's motion between them is to be told.

Agrawal et al. (2015), sections 3 and 4. Two trunks of the same weights see a frame each; layers on
top of both see their features together and tell the class of the motion, a bin for each of its
degrees of freedom, with a softmax each; the loss is the mean of theirs.

Where no frames are named the motion is composed: a camera is moved over each image, shifted,
turned about its view axis and zoomed, which is the paper's experiment on MNIST, with the zoom
added. Real frames are read with their odometry, as the paper does with KITTI's: pairs at most some
frames apart, in both orders, and the bins of sideways and forward translation and of yaw, of the
same width from the least to the largest of all pairs.

Deviations: zoom; continuous shifts; batch norm; sizes of the layers on top; the learning rate's
schedule; where real frames are read, these stand for as many images as the images to train on.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import nn

from nat.methods import TrunkSession
from nat.network.model import Trunk, initialise, mlp
from nat.pretext.motion.composed import CameraMotion, largest
from nat.pretext.motion.odometry import RecordedMotion, with_odometry
from nat.pretext.motion.pairs import PairLoader
from nat.pretext.training import Measures, Task, pretrain_on
from nat.runtime.settings.params import Few, ModelSettings, Place, Training

LABEL = "Ego-motion"
REFERENCE = "Agrawal et al., 2015"
MEASURE = "accuracy"
BETTER = "higher"
MEASURE_TEXT = "motions whose bin is told, percent, mean over the degrees of freedom"


class Settings(Training):
    """The motion: composed, by its extremes, or read."""

    frames: Place | None
    odometry: Place | None
    apart: Few
    bins: Annotated[int, Field(ge=2, le=1000)]
    shift: Annotated[float, Field(gt=0, le=0.5)]
    turn: Annotated[float, Field(gt=0, le=180)]
    zoom: Annotated[float, Field(gt=1, le=4)]
    field: Annotated[float, Field(gt=0, le=1)]

    @model_validator(mode="after")
    def _frames_have_odometry(self) -> "Settings":
        if (self.frames is None) != (self.odometry is None):
            raise ValueError(
                "frames and odometry belong together; name both, or neither for composed motion"
            )
        return self


class Egomotion(Task):
    """The motion between two frames, from the features of both."""

    def __init__(
        self,
        trunk: Trunk,
        crop: int,
        model: ModelSettings,
        motion: CameraMotion | RecordedMotion,
    ) -> None:
        """``crop`` is the side of frames, pixels; ``motion`` tells their classes, of all axes."""
        super().__init__()
        self.trunk, self.motion = trunk, motion
        channels, side = trunk.map_of(crop)
        outputs = len(motion.axes) * motion.bins
        self.top = nn.Sequential(
            nn.Conv2d(2 * channels, channels, 3, padding=1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            *mlp(channels * side**2, model.hidden, outputs, model.dropout),
        )

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """Cross entropy, the mean over axes and pairs; see ``Task``."""
        pairs, classes = self.motion(images, rows)
        features = self.trunk(pairs.flatten(0, 1)).unflatten(0, (-1, 2)).flatten(1, 2)
        told = self.top(features).float().unflatten(1, (-1, self.motion.bins))
        loss = F.cross_entropy(told.flatten(0, 1), classes.flatten())
        right = 100 * (told.argmax(2) == classes).float().mean(0)
        names = (f"accuracy_{axis}" for axis in self.motion.axes)
        return loss, {"accuracy": right.mean(), **dict(zip(names, right.unbind(), strict=True))}


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to tell motion.

    Raises:
        UserError: see ``fit``; or frames or odometry are missing, damaged or of other kinds.
    """
    network = session.network(2)
    motion: CameraMotion | RecordedMotion
    loader = None
    if settings.frames is None:
        most = largest(settings.shift, settings.turn, settings.zoom)
        motion = CameraMotion(most, settings.bins, settings.field)
    else:
        pairs, motion = with_odometry(
            session, settings.frames, str(settings.odometry), settings.apart, settings.bins
        )
        loader = PairLoader(session, pairs, settings.batch_size)
    task = Egomotion(network.trunk, session.crop, session.params.model, motion)
    initialise(task.top, session.generator("top"))
    pretrain_on(session, network, task, settings, whole=False, loader=loader)
