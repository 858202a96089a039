"""Context encoder with the adversarial term (Pathak et al., 2016, section 3.2).

Eq. 3: 0.999 of the reconstruction loss, 0.001 of a discriminator's, which is to tell the whole
output from an image; its context is not shown, as in the paper. Different here, besides what
context_encoder.py says: the discriminator sees standardised images; its opponent's loss is the one
that does not saturate (Goodfellow et al., 2014, section 3).
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import nn

from nat.methods import TrunkSession
from nat.network.model import initialise
from nat.pretext.adversarial import (
    AdversarialTraining,
    Convolutions,
    Discriminator,
    Game,
    Maker,
    Shown,
    as_real,
    initialise_small,
)
from nat.pretext.inpainting import Inpainting
from nat.pretext.training import Measures, pretrain_on

LABEL = "Context encoder, adversarial"
REFERENCE = "Pathak et al., 2016"
WHEN = "cited"
MEASURE = "error"
BETTER = "lower"
MEASURE_TEXT = "squared error a missing pixel of standardised images"


class Settings(AdversarialTraining):
    """The weight of the adversarial loss; the reconstruction's is the rest of 1."""

    adversarial: Annotated[float, Field(gt=0, lt=1)]


class Completing(Maker):
    """The context encoder's turn."""

    def __init__(self, discriminator: Discriminator, inpainting: Inpainting, weight: float) -> None:
        """``weight`` is that of the adversarial loss."""
        super().__init__(discriminator)
        self.inpainting, self.weight = inpainting, weight

    def shown(self, images: torch.Tensor) -> tuple[Shown, Shown]:
        """Images, and what is made of them with blocks missing."""
        return (images,), (self.inpainting.complete(images)[0],)

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """Both losses, weighted; see ``Task``."""
        made, error = self.inpainting.complete(images)
        adversarial = as_real(self.judged(made))
        loss = (1 - self.weight) * error + self.weight * adversarial
        return loss, {"error": error, "generator": adversarial}


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to find what is missing, and to make it look real."""
    network = session.network(2)
    trunk = network.trunk
    convolutions = Convolutions(session.crop, trunk.channels)
    discriminator = Discriminator(convolutions, nn.Linear(convolutions.features, 1))
    inpainting = Inpainting(trunk, session.crop)
    initialise_small(discriminator, session.generator("discriminator"))
    initialise(inpainting.decoder, session.generator("decoder"))
    maker = Completing(discriminator, inpainting, settings.adversarial)
    game = Game(discriminator, maker, settings.lr_discriminator)
    pretrain_on(session, network, game, settings, whole=False)
