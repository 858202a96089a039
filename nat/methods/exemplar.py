"""Exemplar networks (Dosovitskiy et al., 2014): an image and its distortions are a class.

Section 2 of their paper: surrogate classes, softmax cross entropy, fc6 between the convolutions and
the classes. There they are at most 32,000 patches of 32 px with many edges; here ``classes`` images
spaced evenly among those trained on, cut and mirrored as for every row, then distorted at each look
anew (see pretext/distortions.py). Only so many are looked at, but as often as NAT looks at images
in all: of each image a class, an epoch would show one example of each. fc7 has a row of weights for
every class, which is what the NAT paper calls impractical for large sets. There is batch norm.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nat.data.store import Store
from nat.methods import TrunkSession
from nat.network.model import Trunk, initialise
from nat.pretext.distortions import distorted
from nat.pretext.tiles import share_right
from nat.pretext.training import Measures, Task, pretrain_on
from nat.runtime.device import check_weights
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Classes, Training, Units

LABEL = "Exemplar"
REFERENCE = "Dosovitskiy et al., 2014"
WHEN = "cited"
MEASURE = "accuracy"
BETTER = "higher"
MEASURE_TEXT = "images told from all others, percent"

MOST = 1000  # images that pixels' principal components are computed of


class Settings(Training):
    """How many images are a class each, and the units of fc6."""

    classes: Classes
    units: Units


def components(images: Store) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of pixels (0 to 1), float32 (c,), and their principal axes, (c, c) in columns."""
    rows = torch.arange(0, len(images), -(-len(images) // MOST))
    pixels = images.batch(rows).double().div(255).transpose(0, 1).flatten(1)
    mean = pixels.mean(1)
    _, axes = torch.linalg.eigh((pixels - mean[:, None]).mm((pixels - mean[:, None]).T))
    return mean.float(), axes.float()


class Exemplars(Task):
    """Which image a distorted one is."""

    mean: torch.Tensor
    axes: torch.Tensor

    def __init__(
        self,
        trunk: Trunk,
        crop: int,
        count: int,
        units: int,
        colours: tuple[torch.Tensor, torch.Tensor],
    ) -> None:
        """``count`` images with sides of ``crop`` pixels; ``colours`` from ``components``."""
        super().__init__()
        self.trunk = trunk
        inputs = trunk.features(crop)
        self.top = nn.Sequential(
            nn.Flatten(),
            nn.Linear(inputs, units),
            nn.BatchNorm1d(units),
            nn.ReLU(inplace=True),
            nn.Linear(units, count),
        )
        self.register_buffer("mean", colours[0])
        self.register_buffer("axes", colours[1])

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """Softmax cross entropy over images; see ``Task``."""
        with torch.autocast(images.device.type, enabled=False):
            seen = distorted(images, self.mean, self.axes)
        guesses = self.top(self.trunk(seen)).float()
        rows = rows.to(images.device, non_blocking=True)
        return F.cross_entropy(guesses, rows), {"accuracy": share_right(guesses, rows)}


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to tell some images from each other.

    Raises:
        UserError: there are fewer images, or no memory holds a row of weights for each.
    """
    count, group = settings.classes, session.group
    if count > len(session.images):
        raise UserError(
            f"{group}.classes: {count} is larger than the {len(session.images)} images to train "
            "on; use at most that"
        )
    check_weights(count * settings.units, f"{group}.classes")
    network, images = session.network(2), session.images.thinned(count)
    task = Exemplars(network.trunk, session.crop, count, settings.units, components(images))
    initialise(task.top, session.generator("top"))
    loader = session.loader(images, settings.batch_size, f"{group}.batch_size")
    pretrain_on(session, network, task, settings, loader=loader)
