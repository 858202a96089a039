"""Batches of random squares on the device, as every training reads them.

Where the pictures are when a batch is made:

- on the GPU, all of them, if they fit: cropping is one gather in its memory;
- else in the store's file. With a GPU, a thread reads the next batches ahead into pinned memory,
  from which they are copied while the GPU computes.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch

from nat.data.augment import Cuts, cut_out, draw_cuts
from nat.data.seeds import generator
from nat.data.store import Store, check_batch, epoch_batches
from nat.runtime.device import fits
from nat.runtime.distributed import Team
from nat.runtime.settings.params import Augment

AHEAD = 3  # batches read ahead
PIECE = 4096  # pictures copied to the GPU at once

Batch = tuple[torch.Tensor, torch.Tensor]


class Loader:
    """A split in random order, in batches, cropped and flipped.

    Attributes:
        steps: batches of an epoch; the incomplete last one is dropped.
        seen: pictures of an epoch, of all processes.
    """

    def __init__(
        self, store: Store, batch_size: int, augment: Augment, seed: int, team: Team, setting: str
    ) -> None:
        """``setting`` is what ``batch_size`` is called in params.yaml.

        Raises:
            UserError: the batch is larger than the data or cannot be shared by the processes.
        """
        check_batch(batch_size, len(store), setting)
        self.part = team.part(batch_size, setting)
        self.store, self.batch_size, self.augment = store, batch_size, augment
        self.seed, self.device = seed, team.device
        self.steps = len(store) // batch_size
        self.seen = self.steps * batch_size
        self.pictures: torch.Tensor | None = None
        if fits(store.pictures.nbytes, self.device):
            self.pictures = _copied(store, self.device)

    @property
    def resident(self) -> bool:
        """Whether all pictures are in the GPU's memory."""
        return self.pictures is not None

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the part of each batch of an epoch that is this process's.

        The draws are those of the whole batch, so that a picture is cut in the same way however
        many processes there are.

        Yields:
            rows, int64 (b,), on the CPU; their squares, uint8 (b, c, crop, crop), on the device.
        """
        if self.pictures is not None:
            for rows, cuts in self._plan(epoch):
                yield rows, cut_out(self.pictures, rows, cuts, self.augment.crop)
        elif self.device.type == "cuda":
            yield from self._read_ahead(epoch)
        else:
            for rows, cuts in self._plan(epoch):
                yield rows, self._cut(self.store.batch(rows), cuts)

    def _plan(self, epoch: int) -> Iterator[tuple[torch.Tensor, Cuts]]:
        draws = generator(self.seed, "augment", epoch)
        order = generator(self.seed, "order", epoch)
        size, (crop, flip) = self.store.size, (self.augment.crop, self.augment.flip)
        for rows in epoch_batches(len(self.store), self.batch_size, order):
            cuts = draw_cuts(len(rows), size, crop, flip, draws)
            yield rows[self.part], cuts.of(self.part)

    def _cut(self, pictures: torch.Tensor, cuts: Cuts) -> torch.Tensor:
        rows = torch.arange(len(pictures), device=pictures.device)
        return cut_out(pictures, rows, cuts, self.augment.crop)

    def _read_ahead(self, epoch: int) -> Iterator[Batch]:
        def read(rows: torch.Tensor) -> torch.Tensor:
            return self.store.batch(rows).pin_memory()

        waiting: deque = deque()
        with ThreadPoolExecutor(1) as reader:
            for rows, cuts in self._plan(epoch):
                waiting.append((rows, cuts, reader.submit(read, rows)))
                if len(waiting) > AHEAD:
                    yield self._arrived(*waiting.popleft())
            while waiting:
                yield self._arrived(*waiting.popleft())

    def _arrived(self, rows: torch.Tensor, cuts: Cuts, pictures: Future[torch.Tensor]) -> Batch:
        return rows, self._cut(pictures.result().to(self.device, non_blocking=True), cuts)


def _copied(store: Store, device: torch.device) -> torch.Tensor:
    """All pictures of a store on the device: uint8 (n, c, h, w)."""
    pictures = torch.empty(store.pictures.shape, dtype=torch.uint8, device=device)
    for rows in torch.arange(len(store)).split(PIECE):
        pictures[rows[0] : rows[-1] + 1] = store.batch(rows).to(device)
    return pictures
