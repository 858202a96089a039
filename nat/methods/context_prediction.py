"""Context prediction (Doersch et al., 2015): where does one patch of an image lie to another?

Section 3 of their paper: patches in a 3 x 3 grid with gaps and jitter, so that edges cannot be
followed from one to the next; each goes through the same layers up to fc6, two of them together
through three more to a softmax over the eight directions. As there, a patch takes part in several
pairs: here the one in the middle is paired with each of its neighbours. Where there is colour, two
channels of a patch are dropped for noise of a hundredth of the third's deviation.

Different from it: the grid fills one crop, with a patch's side, its gaps and jitter in the paper's
proportions (96, 48 and 7 either way of 398 px); a patch too small for the trunk is enlarged (see
pretext/tiles.py); some patches are not shown at a lower resolution; batch norm is this project's.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator

from nat.methods import TrunkSession
from nat.network.model import Trunk, initialise, mlp
from nat.pretext.tiles import GRID, Siamese, cut_tiles, draw_jitter, share_right
from nat.pretext.training import Measures, Task, pretrain_on
from nat.runtime.settings.params import Fraction, Training

LABEL = "Context prediction"
REFERENCE = "Doersch et al., 2015"
MEASURE = "accuracy"
BETTER = "higher"
MEASURE_TEXT = "directions guessed right, percent; by chance 12.5"

MIDDLE = GRID * GRID // 2
DIRECTIONS = GRID * GRID - 1
NOISE = 0.01  # of the deviation of the channel that is kept


class Settings(Training):
    """Shares of a crop's side: a patch's, and the pixels that it is moved by at most in all."""

    patch: Annotated[float, Field(gt=0, le=1 / GRID)]
    jitter: Fraction

    @model_validator(mode="after")
    def _fit(self) -> "Settings":
        if GRID * self.patch + self.jitter > 1:
            raise ValueError("three of patch and jitter are more than the whole crop, 1")
        return self


def drop_colours(patches: torch.Tensor) -> torch.Tensor:
    """Keep one channel of each patch, drawn, and put noise around its mean for the others.

    Args:
        patches: uint8 (n, 3, h, w).

    Returns:
        float32, same shape.
    """
    x = patches.float()
    kept = F.one_hot(torch.randint(3, (len(x),), device=x.device), 3)[:, :, None, None]
    alone = (x * kept).sum(1, keepdim=True)
    std, mean = torch.std_mean(alone, (2, 3), keepdim=True, correction=0)
    return torch.where(kept.bool(), x, mean + NOISE * std * torch.randn_like(x))


class Directions(Task):
    """Where the middle patch's neighbours lie."""

    rows: torch.Tensor
    columns: torch.Tensor

    def __init__(self, trunk: Trunk, crop: int, hidden: int, settings: Settings) -> None:
        """``crop`` is the side of the images, pixels; ``hidden`` the units of fc6 to fc8."""
        super().__init__()
        self.side = max(round(settings.patch * crop), 1)
        self.jitter = min(round(settings.jitter * crop), crop - GRID * self.side)
        free = crop - GRID * self.side - self.jitter
        gap = free // (GRID - 1)
        corners = (free % (GRID - 1)) // 2 + torch.arange(GRID) * (self.side + gap)
        self.siamese = Siamese(trunk, self.side, hidden)
        self.top = mlp(2 * hidden, hidden, DIRECTIONS, 0.0)
        self.register_buffer("rows", corners.repeat_interleave(GRID))
        self.register_buffer("columns", corners.repeat(GRID))

    def cut(self, images: torch.Tensor) -> torch.Tensor:
        """All nine patches of images, uint8 (b, c, crop, crop): uint8 (b * 9, c, side, side)."""
        top, left = (
            corners + draw_jitter(corners.expand(len(images), -1), self.jitter)
            for corners in (self.rows, self.columns)
        )
        return cut_tiles(images, top, left, self.side)

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """Softmax cross entropy over directions; see ``Task``."""
        patches = self.cut(images)
        if patches.shape[1] == 3:
            patches = drop_colours(patches)
        codes = self.siamese(patches).unflatten(0, (len(images), -1))
        middle = codes[:, MIDDLE : MIDDLE + 1].expand(-1, DIRECTIONS, -1)
        around = torch.cat([codes[:, :MIDDLE], codes[:, MIDDLE + 1 :]], 1)
        guesses = self.top(torch.cat([middle, around], 2).flatten(0, 1)).float()
        directions = torch.arange(DIRECTIONS, device=images.device).repeat(len(images))
        accuracy = share_right(guesses, directions)
        return F.cross_entropy(guesses, directions), {"accuracy": accuracy}


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk to know where patches lie."""
    network = session.network(2)
    task = Directions(network.trunk, session.crop, session.params.model.hidden, settings)
    for name, part in (("fc6", task.siamese.fc6), ("top", task.top)):
        initialise(part, session.generator(name))
    pretrain_on(session, network, task, settings, whole=False)
