"""RotNet (Gidaris et al., 2018): by how many quarter turns is an image turned?

Section 3 of their paper, on the network that is trained with labels elsewhere: trunk and MLP, here
with four outputs. There every image of a batch is shown at all four turns; here at ``copies`` of
them, different ones that are drawn, as each costs as much as a batch of another method.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field

from nat.methods import TrunkSession
from nat.network.model import Network
from nat.pretext.tiles import share_right
from nat.pretext.training import Measures, Task, pretrain_on
from nat.runtime.settings.params import Training

LABEL = "RotNet"
REFERENCE = "Gidaris et al., 2018"
WHEN = "later"
MEASURE = "accuracy"
BETTER = "higher"
MEASURE_TEXT = "turns guessed right, percent; by chance 25"

TURNS = 4


class Settings(Training):
    """At how many of the four turns an image is shown."""

    copies: Annotated[int, Field(ge=1, le=TURNS)]


class Turns(Task):
    """By how much images are turned."""

    def __init__(self, network: Network, copies: int) -> None:
        """``network`` has four outputs."""
        super().__init__()
        self.network, self.copies = network, copies

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """Softmax cross entropy over turns; see ``Task``."""
        shares = torch.rand(len(images), TURNS, device=images.device)
        turns = shares.argsort(1)[:, : self.copies].T.flatten()
        every = torch.stack([images.rot90(turn, (2, 3)) for turn in range(TURNS)])
        which = torch.arange(len(images), device=images.device).repeat(self.copies)
        guesses = self.network(every[turns, which]).float()
        return F.cross_entropy(guesses, turns), {"accuracy": share_right(guesses, turns)}


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the network to tell what is up."""
    network = session.network(TURNS)
    pretrain_on(session, network, Turns(network, settings.copies), settings)
