"""Colorization (Zhang et al., 2016): what colours do the parts of a grey image have?

Section 2 of their paper: the lightness of an image goes in, a distribution over 313 bins of its ab
plane comes out at a quarter of the resolution; cross entropy to softly encoded colours, weighted by
how rare a pixel's bin is in the images that are trained on (lambda 1/2). As there, the annealed
mean at temperature 0.38 is the colour that is guessed.

The trunk sees the lightness in three equal channels, so that no front end shows it colours; Sobel,
which takes the mean of channels, never does. Batch norm's statistics are gathered anew on the
images as the probe reads them, whose mean of channels is not quite their lightness.
Different from it: from conv5 a decoder goes up to the colours, where theirs has three more blocks
of convolutions at one resolution.
"""

import torch
import torch.nn.functional as F

from nat.data.store import Store
from nat.methods import NotServed, TrunkSession
from nat.network.model import Trunk, initialise
from nat.pretext.colours import bins, rarity, spread, to_lab
from nat.pretext.decoders import decoder
from nat.pretext.training import AdamTraining, Measures, Task, pretrain_on

LABEL = "Colorization"
REFERENCE = "Zhang et al., 2016"
MEASURE = "entropy"
BETTER = "lower"
MEASURE_TEXT = "cross entropy of colours, rare ones weighted more, nats a pixel"

SHRINK = 4  # pixels of an image a side of a pixel whose colour is guessed
UNIFORM = 0.5  # lambda
TEMPERATURE = 0.38
FARTHEST = 150  # in ab, of the thresholds that are averaged over
MOST, PIECE = 10_000, 256  # images that colours are counted in, at most and at once

Settings = AdamTraining


def coarse_colours(lab: torch.Tensor) -> torch.Tensor:
    """Mean a and b of squares of 4 x 4 pixels: float32 (b, 3, h, w) to (b * h/4 * w/4, 2)."""
    side = max(lab.shape[-1] // SHRINK, 1)
    return F.interpolate(lab[:, 1:], (side, side), mode="area").movedim(1, 3).flatten(0, 2)


def count_colours(images: Store, device: torch.device) -> torch.Tensor:
    """How many pixels of evenly spaced images are nearest to each bin: int64 (313,)."""
    points = bins().to(device)
    counts = torch.zeros(len(points), dtype=torch.int64, device=device)
    for rows in torch.arange(0, len(images), -(-len(images) // MOST)).split(PIECE):
        ab = coarse_colours(to_lab(images.batch(rows).to(device)))
        counts += torch.bincount(spread(ab, points)[0][:, 0], minlength=len(points))
    return counts


class Colours(Task):
    """The colours of an image of which the trunk sees the lightness."""

    points: torch.Tensor
    weights: torch.Tensor

    def __init__(self, trunk: Trunk, crop: int, counts: torch.Tensor) -> None:
        """``crop`` is the side of the images, pixels; ``counts`` from ``count_colours``."""
        super().__init__()
        self.trunk = trunk
        channels, side = trunk.map_of(crop)
        self.register_buffer("points", bins())
        self.register_buffer("weights", rarity(counts.cpu(), self.points, UNIFORM))
        size = max(crop // SHRINK, 1)
        self.decoder = decoder(channels, side, size, len(self.points), narrowest=channels)

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """The weighted cross entropy, averaged over pixels; see ``Task``.

        Measures also the area under the curve of the pixels whose guess is within a distance of
        their colour in ab, over the distances from 0 to 150, percent.
        """
        with torch.autocast(images.device.type, enabled=False):
            lab = to_lab(images)
            ab = coarse_colours(lab)
            nearest, shares = spread(ab, self.points)
        guesses = self.decoder(self.trunk(lab[:, :1].expand(-1, 3, -1, -1))).float()
        chances = guesses.movedim(1, 3).flatten(0, 2).log_softmax(1)
        entropy = -(chances.gather(1, nearest) * shares).sum(1)
        loss = (self.weights[nearest[:, 0]] * entropy).mean()
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            colours = (chances / TEMPERATURE).softmax(1) @ self.points
            near = (1 - (colours - ab).norm(dim=1) / FARTHEST).clamp(min=0)
        return loss, {"entropy": loss, "auc": 100 * near.mean()}


def train(session: TrunkSession, settings: AdamTraining) -> None:
    """Train the trunk to know colours.

    Raises:
        NotServed: the images are grey.
    """
    if session.images.channels != 3:
        raise NotServed("needs colour: images.channels is 1")
    network = session.network(2)
    counts = count_colours(session.images, session.device)
    task = Colours(network.trunk, session.crop, counts)
    initialise(task.decoder, session.generator("decoder"))
    pretrain_on(session, network, task, settings, whole=False)
