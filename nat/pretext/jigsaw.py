"""Jigsaw puzzles (Noroozi & Favaro, 2016), whatever the stride of the trunk's conv1.

Section 3 of their paper: an image's 3 x 3 cells are put in an order drawn of a fixed list, whose
orders differ in as many places as can be, and the order is guessed. Of each cell a tile is shown,
drawn within it so that edges cannot be followed, and standardised by itself, as the trunk does
with any image. The tiles share all layers to fc6; fc7 sees them together, fc8 guesses.

Different from it: the grid fills one crop, with the paper's 64 of 75 px in proportion; a tile too
small for the trunk is enlarged (see pretext/tiles.py); there is batch norm, and colours are not
moved against each other, as the gradients of the channels' mean do not show it.
"""

from itertools import permutations
from typing import Annotated

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field
from torch import nn

from nat.methods import TrunkSession
from nat.network.model import Trunk, initialise
from nat.pretext.tiles import GRID, Siamese, cut_tiles, draw_jitter, share_right
from nat.pretext.training import Measures, Task, pretrain_on
from nat.runtime.settings.params import Training, Units

CELLS = GRID * GRID


class JigsawTraining(Training):
    """How many orders there are, a tile's share of its cell's side, and the units of fc6."""

    permutations: Annotated[int, Field(ge=2, le=10_000)]
    tile: Annotated[float, Field(gt=0, le=1)]
    units: Units


def far_orders(count: int, things: int, draws: torch.Generator) -> torch.Tensor:
    """Orders that are far from each other: the paper's Algorithm 1.

    The first is drawn; each next one has the largest sum of Hamming distances to those before it,
    the first such in lexicographic order.

    Args:
        count: of orders, at most ``things!``.
        things: to put in order, at most 9 or so.
        draws: a CPU generator.

    Returns:
        int64 (count, things), different permutations of 0 ... things - 1.
    """
    every = np.ascontiguousarray(np.array(list(permutations(range(things))), np.int8).T)
    alike = np.zeros(every.shape[1], np.int32)  # places shared with those chosen, in all
    chosen = [int(torch.randint(len(alike), (), generator=draws))]
    while len(chosen) < count:
        last = chosen[-1]
        shared = np.zeros(len(alike), np.int8)  # bytes, place by place: a tenth of the time
        for values in every:
            shared += values == values[last]
        alike += shared
        alike[last] = np.iinfo(np.int32).max // 2  # never again
        chosen.append(int(alike.argmin()))
    return torch.from_numpy(every.T[chosen].astype(np.int64))


class Jigsaw(Task):
    """Which of the orders an image's tiles are in."""

    orders: torch.Tensor

    def __init__(
        self, trunk: Trunk, crop: int, hidden: int, orders: torch.Tensor, settings: JigsawTraining
    ) -> None:
        """``crop`` is the side of the images, pixels; ``hidden`` the units of fc7."""
        super().__init__()
        self.cell = crop // GRID
        self.side = max(round(settings.tile * self.cell), 1)
        self.siamese = Siamese(trunk, self.side, settings.units)
        self.top = nn.Sequential(
            nn.Linear(CELLS * settings.units, hidden),
            nn.BatchNorm1d(hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, len(orders)),
        )
        self.register_buffer("orders", orders)

    def cut(self, images: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
        """The tiles in order.

        Args:
            images: uint8 (b, c, crop, crop).
            which: int64 (b,), of the orders: the k-th tile is of the cell that its order has k-th.

        Returns:
            uint8 (b * 9, c, side, side).
        """
        cells = self.orders[which]
        top, left = (
            self.cell * where + draw_jitter(where, self.cell - self.side)
            for where in (cells // GRID, cells % GRID)
        )
        return cut_tiles(images, top, left, self.side)

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """Softmax cross entropy over orders; see ``Task``."""
        which = torch.randint(len(self.orders), (len(images),), device=images.device)
        codes = self.siamese(self.cut(images, which)).unflatten(0, (len(images), CELLS))
        guesses = self.top(codes.flatten(1)).float()
        return F.cross_entropy(guesses, which), {"accuracy": share_right(guesses, which)}


def train_jigsaw(session: TrunkSession, settings: JigsawTraining, trunk: str | None = None) -> None:
    """Train ``trunk``, or that of params.yaml, to solve puzzles."""
    network = session.network(2, trunk)
    orders = far_orders(settings.permutations, CELLS, session.generator("orders"))
    hidden = session.params.model.hidden
    task = Jigsaw(network.trunk, session.crop, hidden, orders, settings)
    for name, part in (("fc6", task.siamese.fc6), ("top", task.top)):
        initialise(part, session.generator(name))
    pretrain_on(session, network, task, settings, whole=False)
