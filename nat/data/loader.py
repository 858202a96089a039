"""Batches of random squares on the device, as every training reads them.

Where the images are when a batch is made:

- on the GPU, all of them, if they fit: cropping is a gather in its memory;
- else in the store's file. With a GPU, threads read the next batches ahead into pinned memory,
  from which they are copied while the GPU computes.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import tee

import torch

from nat.data.augment import Cuts, cut_out, draw_cuts
from nat.data.seeds import generator
from nat.data.store import Store, check_batch, epoch_batches
from nat.runtime.device import fits
from nat.runtime.distributed import Distributed
from nat.runtime.progress import progress
from nat.runtime.settings.params import Augment

READERS = 4  # threads that read ahead
AHEAD = 4  # batches read ahead
PIECE = 512  # images copied to the GPU at once

Batch = tuple[torch.Tensor, torch.Tensor]


class Loader:
    """A split in random order, in batches, cropped and flipped.

    Attributes:
        steps: batches of an epoch; the incomplete last one is dropped.
        images_per_epoch: images of an epoch, of all processes.
    """

    def __init__(
        self,
        store: Store,
        batch_size: int,
        augment: Augment,
        seed: int,
        distributed: Distributed,
        setting: str,
    ) -> None:
        """``setting`` is what ``batch_size`` is called in params.yaml.

        Raises:
            UserError: the batch is larger than the data or cannot be shared by the processes.
        """
        check_batch(batch_size, len(store), setting)
        self._shard = distributed.shard(batch_size, setting)
        self.store, self.batch_size, self.augment = store, batch_size, augment
        self.seed, self.device = seed, distributed.device
        self.steps = len(store) // batch_size
        self.images_per_epoch = self.steps * batch_size
        self.images: torch.Tensor | None = None
        if fits(store.images.nbytes, self.device):
            self.images = copied(store, self.device)

    @property
    def resident(self) -> bool:
        """Whether all images are in the GPU's memory."""
        return self.images is not None

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the part of each batch of an epoch that is this process's.

        The draws are those of the whole batch, so that an image is cut in the same way however
        many processes there are.

        Yields:
            rows, int64 (b,), on the CPU; their squares, uint8 (b, c, crop, crop), on the device.
        """
        if self.images is not None:
            for rows, cuts in self._plan(epoch):
                yield rows, cut_out(self.images, rows, cuts, self.augment.crop)
        elif self.device.type == "cuda":
            yield from self._arriving(epoch)
        else:
            for rows, cuts in self._plan(epoch):
                yield rows, self._cut(self.store.batch(rows), cuts)

    def _plan(self, epoch: int) -> Iterator[tuple[torch.Tensor, Cuts]]:
        draws = generator(self.seed, "augment", epoch)
        order = generator(self.seed, "order", epoch)
        size, (crop, flip) = self.store.size, (self.augment.crop, self.augment.flip)
        for rows in epoch_batches(len(self.store), self.batch_size, order):
            cuts = draw_cuts(len(rows), size, crop, flip, draws)
            yield rows[self._shard], cuts.of(self._shard)

    def _cut(self, images: torch.Tensor, cuts: Cuts) -> torch.Tensor:
        rows = torch.arange(len(images), device=images.device)
        return cut_out(images, rows, cuts, self.augment.crop)

    def _arriving(self, epoch: int) -> Iterator[Batch]:
        plan, again = tee(self._plan(epoch))
        images = read_ahead(self.store, (rows for rows, _ in again), self.device)
        for (rows, cuts), squares in zip(plan, images, strict=True):
            yield rows, self._cut(squares, cuts)


def copied(store: Store, device: torch.device) -> torch.Tensor:
    """All images of a store in the GPU's memory: uint8 (n, c, h, w)."""
    images = torch.empty(store.images.shape, dtype=torch.uint8, device=device)
    pieces = images.split(PIECE)
    parts = read_ahead(store, torch.arange(len(store)).split(PIECE), device)
    bar = progress(parts, "images to the GPU", total=len(pieces))
    for piece, part in zip(pieces, bar, strict=True):
        piece.copy_(part)
    return images


def read_ahead(
    store: Store, batches: Iterable[torch.Tensor], device: torch.device
) -> Iterator[torch.Tensor]:
    """The images of each batch of rows on the GPU, while threads read and copy the next ones."""
    # a stream of their own, so that copies do not wait for computations
    copies = torch.cuda.Stream(device) if device.type == "cuda" else None

    def fetch(rows: torch.Tensor) -> tuple[torch.Tensor, torch.cuda.Event | None]:
        images = store.batch(rows, pinned=True)
        if copies is None:
            return images, None
        with torch.cuda.stream(copies):
            return images.to(device, non_blocking=True), copies.record_event()

    def arrived(images: torch.Tensor, there: torch.cuda.Event | None) -> torch.Tensor:
        if there is not None:
            computing = torch.cuda.current_stream(device)
            computing.wait_event(there)
            images.record_stream(computing)  # or else its memory would be given to the next copy
        return images

    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(READERS) as readers:
        for rows in batches:
            waiting.append(readers.submit(fetch, rows))
            if len(waiting) > AHEAD:
                yield arrived(*waiting.popleft().result())
        while waiting:
            yield arrived(*waiting.popleft().result())
