"""Denoising autoencoder: the whole image from one with hidden pixels (Vincent et al., 2008).

Section 2.3: a fixed share of an image's numbers is set to 0, and the autoencoder is to make the
image as it was, hidden or not. Different here: all layers of the trunk are trained at once, not
stacked; whole pixels are hidden, and get the mean of the others, which is the 0 of a standardised
image; the error is squared, as the autoencoder's, instead of a cross entropy.
"""

from typing import Annotated

import torch
from pydantic import Field

from nat.methods import TrunkSession
from nat.network.model import Trunk, initialise
from nat.pretext.corruption import hide, pixels
from nat.pretext.reconstruction import Reconstruction
from nat.pretext.training import AdamTraining, pretrain_on

LABEL = "Denoising autoencoder"
REFERENCE = "Vincent et al., 2008"
WHEN = "cited"
MEASURE = "error"
BETTER = "lower"
MEASURE_TEXT = "squared error a pixel of standardised images, from corrupted ones"


class Settings(AdamTraining):
    """The share of pixels hidden, nu of the paper."""

    corrupted: Annotated[float, Field(gt=0, le=0.9)]


class Denoising(Reconstruction):
    """An image from what is left of it."""

    def __init__(self, trunk: Trunk, crop: int, corrupted: float) -> None:
        """``crop`` is the side of the images, pixels; ``corrupted`` the share of pixels hidden."""
        super().__init__(trunk, crop)
        self.corrupted = corrupted

    def seen(self, images: torch.Tensor) -> torch.Tensor:
        """With pixels hidden."""
        return hide(images, pixels(images, self.corrupted))


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to find what is hidden."""
    network = session.network(2)
    task = Denoising(network.trunk, session.crop, settings.corrupted)
    initialise(task.decoder, session.generator("decoder"))
    pretrain_on(session, network, task, settings, whole=False)
