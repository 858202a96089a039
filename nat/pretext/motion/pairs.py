"""Batches of pairs of frames, for a training that sees these instead of crops of images."""

from collections.abc import Iterator
from itertools import count, islice
from typing import Protocol

import torch

from nat.data.seeds import generator
from nat.data.store import check_batch, epoch_batches
from nat.methods import TrunkSession
from nat.runtime.errors import UserError


class Pairs(Protocol):
    """Pairs of frames."""

    def __len__(self) -> int: ...

    def cut(self, rows: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
        """Those of some rows, int64 (b,), as squares: uint8 (b, 2, c, crop, crop), on the CPU.

        ``corners`` is float (b, 2), from 0 to 1: how far down and across of where it may be.
        """


class PairLoader:
    """Pairs in random order, in as many batches an epoch as the images to train on would give.

    Each is seen once before any is seen again, but for those that fill no batch.

    Attributes:
        steps: batches of an epoch.
        images_per_epoch: pairs of an epoch, of all processes.
    """

    def __init__(self, session: TrunkSession, pairs: Pairs, batch_size: int) -> None:
        """``batch_size`` is that of all processes together.

        Raises:
            UserError: a batch is larger than the images or the pairs, or cannot be shared by the
                processes.
        """
        setting = f"{session.group}.batch_size"
        check_batch(batch_size, len(session.images), setting)
        self.steps = len(session.images) // batch_size
        self.images_per_epoch = self.steps * batch_size
        if len(pairs) < batch_size:
            raise UserError(
                f"{session.group}.frames: {len(pairs)} pairs of frames in it, fewer than a batch "
                f"of {batch_size}; use more frames, or lower {setting}"
            )
        self._pairs, self._batch_size, self._seed = pairs, batch_size, session.seed
        self._shard = session.distributed.shard(batch_size, setting)
        self._device = session.device

    def epoch(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield the part of each batch of an epoch that is this process's.

        Yields:
            rows, int64 (b,), on the CPU; pairs, uint8 (b, 2, c, crop, crop), on the device.
        """
        order = generator(self._seed, "order", epoch)
        draws = generator(self._seed, "augment", epoch)
        passes = (epoch_batches(len(self._pairs), self._batch_size, order) for _ in count())
        for rows in islice((rows for each in passes for rows in each), self.steps):
            corners = torch.rand(len(rows), 2, generator=draws)
            cut = self._pairs.cut(rows[self._shard], corners[self._shard])
            yield rows[self._shard], cut.to(self._device, non_blocking=True)
