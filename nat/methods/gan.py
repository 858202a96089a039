"""Generative adversarial network: the trunk tells real images from generated ones.

Radford et al. (2016), DCGAN, sections 3 and 4: convolutions throughout, batch norm, a code uniform
in a cube, the discriminator's convolutions as features; the losses are Goodfellow et al.'s (2014),
the generator's the one that does not saturate. Different here: the discriminator is the trunk, with
max pooling and ReLU, and a linear layer; it sees images of both kinds through standardisation and
the front end, so that with Sobel's gradients the colours of generated images are left to chance;
the generator is as narrow as the trunk, and learns faster than it, since at equal rates the trunk
soon tells nearly all images right, and the generator no longer learns.

Neither loss tells how good the images are, as each depends on the opponent's strength. The measure
is therefore a distance between generated and real images, see nat/pretext/distance.py.
"""

import torch
from torch import nn

from nat.methods import TrunkSession
from nat.network.model import initialise
from nat.pretext.adversarial import (
    AdversarialTraining,
    Discriminator,
    Game,
    Maker,
    Shown,
    as_real,
    initialise_small,
    noise,
)
from nat.pretext.decoders import generator
from nat.pretext.distance import kernel_distance
from nat.pretext.training import Measures, pretrain_on
from nat.runtime.settings.params import Units

LABEL = "GAN"
REFERENCE = "Radford et al., 2016"
MEASURE = "distance"
BETTER = "lower"
MEASURE_TEXT = "kernel distance of generated from real standardised images"


class Settings(AdversarialTraining):
    """Numbers of the code."""

    code: Units


class Generating(Maker):
    """The generator's turn."""

    def __init__(self, discriminator: Discriminator, made_by: nn.Module, code: int) -> None:
        """``made_by`` makes an image, any numbers, of a code's ``code`` numbers."""
        super().__init__(discriminator)
        self.generator, self.code = made_by, code

    def shown(self, images: torch.Tensor) -> tuple[Shown, Shown]:
        """Images, and as many of codes that are drawn."""
        made = self.generator(noise(images, self.code))
        return (images,), (made.float().tanh(),)

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """The cross entropy of generated images for real ones; see ``Task``."""
        _, (made,) = self.shown(images)
        loss = as_real(self.judged(made))
        return loss, {"generator": loss, "distance": kernel_distance(images, made)}


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to tell real images from those of a generator, which learns from it."""
    network = session.network(2)
    trunk, crop = network.trunk, session.crop
    discriminator = Discriminator(trunk, nn.Linear(trunk.features(crop), 1))
    made_by = generator(settings.code, trunk.map_of(crop)[0], crop, trunk.channels)
    initialise(discriminator.head, session.generator("discriminator"))
    initialise_small(made_by, session.generator("generator"))
    maker = Generating(discriminator, made_by, settings.code)
    game = Game(discriminator, maker, settings.lr_discriminator)
    pretrain_on(session, network, game, settings, whole=False)
