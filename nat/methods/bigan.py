"""Bidirectional GAN: an encoder is learnt as the inverse of a generator (Donahue et al., 2017).

Section 3: the discriminator sees pairs, an image x with its code E(x), or a code z with its image
G(z), so that the best E and G invert each other. Section 3.5: E and G are trained on the losses
with real and made exchanged, which do not saturate. E is the trunk with a linear layer; z is
uniform in a cube. Different here: generator and discriminator are DCGAN's, see
nat/pretext/adversarial.py, and narrower; an MLP joins the code to the features of the standardised
image; it is of the crop's size, where the paper's at ImageNet's scale is of 64 px; the learning
rate stays constant; both sides take turns.

The measure is how well the encoder inverts the generator, the error of G(E(x)), which no loss asks
for: 2 where what comes out has nothing to do with the image. GAN's distance stands beside it.
"""

import torch
import torch.nn.functional as F
from torch import nn

from nat.methods import TrunkSession
from nat.network.front_ends import standardise
from nat.network.model import Trunk, initialise, mlp
from nat.pretext.adversarial import (
    AdversarialTraining,
    Convolutions,
    Discriminator,
    Game,
    Maker,
    Shown,
    as_made,
    as_real,
    initialise_small,
    noise,
)
from nat.pretext.decoders import generator
from nat.pretext.distance import kernel_distance
from nat.pretext.training import Measures, pretrain_on
from nat.runtime.settings.params import Units

LABEL = "BiGAN"
REFERENCE = "Donahue et al., 2017"
MEASURE = "inversion"
BETTER = "lower"
MEASURE_TEXT = "squared error a pixel of standardised images that were encoded and generated again"


class Settings(AdversarialTraining):
    """Numbers of the code; units of the discriminator's two hidden layers."""

    code: Units
    hidden: Units


class Encoding(Maker):
    """The encoder's and the generator's turn."""

    def __init__(self, discriminator: Discriminator, trunk: Trunk, crop: int, code: int) -> None:
        """``crop`` is the side of the images, pixels; ``code`` the numbers of a code."""
        super().__init__(discriminator)
        self.trunk, self.code = trunk, code
        self.head = nn.Linear(trunk.features(crop), code)
        self.generator = generator(code, trunk.map_of(crop)[0], crop, trunk.channels)

    def made_of(self, codes: torch.Tensor) -> torch.Tensor:
        """G: images in [-1, 1], float32 (b, c, crop, crop), of codes (b, code)."""
        return self.generator(codes).float().tanh()

    def shown(self, images: torch.Tensor) -> tuple[Shown, Shown]:
        """Images with their codes, and codes that are drawn with their images."""
        codes, drawn = self.head(self.trunk(images).flatten(1)), noise(images, self.code)
        return (images, codes), (self.made_of(drawn), drawn)

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """The sum of both cross entropies, exchanged; see ``Task``."""
        real, made = self.shown(images)
        loss = as_made(self.judged(*real)) + as_real(self.judged(*made))
        with torch.no_grad():
            inverted = standardise(self.made_of(real[1]))
        return loss, {
            "generator": loss,
            "distance": kernel_distance(images, made[0]),
            "inversion": F.mse_loss(inverted, standardise(images)),
        }


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to find the code by which a generator makes an image."""
    network = session.network(2)
    trunk, crop = network.trunk, session.crop
    convolutions = Convolutions(crop, trunk.channels)
    joint, setting = convolutions.features + settings.code, f"{session.group}.hidden"
    discriminator = Discriminator(convolutions, mlp(joint, settings.hidden, 1, 0.0, setting))
    maker = Encoding(discriminator, trunk, crop, settings.code)
    initialise_small(discriminator, session.generator("discriminator"))
    initialise(maker.head, session.generator("encoder"))
    initialise_small(maker.generator, session.generator("generator"))
    game = Game(discriminator, maker, settings.lr_discriminator)
    pretrain_on(session, network, game, settings)
