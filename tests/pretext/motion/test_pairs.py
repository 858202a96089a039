"""Batches of pairs: each pair once before any again, the same for any number of processes."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nat.pretext.motion.pairs import PairLoader
from nat.runtime.distributed import Distributed
from nat.runtime.errors import UserError

CPU = torch.device("cpu")


class Numbers:
    """Pairs that are their own number, with the corner that they are cut at."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def cut(self, rows: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
        return torch.cat([rows[:, None].float(), corners], 1)


def loader(pairs: int, images: int, batch: int, rank: int = 0, size: int = 1) -> PairLoader:
    session: Any = SimpleNamespace(
        group="baselines.egomotion",
        images=range(images),
        seed=0,
        device=CPU,
        distributed=Distributed(CPU, rank=rank, size=size),
    )
    return PairLoader(session, Numbers(pairs), batch)


def test_an_epoch_is_as_long_as_one_of_images() -> None:
    batches = loader(pairs=13, images=35, batch=4)
    assert (batches.steps, batches.images_per_epoch) == (8, 32)
    rows = [rows.tolist() for rows, _ in batches.epoch(0)]
    assert len(rows) == 8
    for start in (0, 3, 6):  # three batches of four are a pass over thirteen pairs
        seen = [row for batch in rows[start : start + 3] for row in batch]
        assert len(set(seen)) == len(seen)
    assert loader(pairs=100, images=35, batch=4).steps == 8


def test_each_epoch_has_draws_of_its_own_and_the_same_again() -> None:
    first, again, other = (
        torch.cat([cut for _, cut in loader(13, 35, 4).epoch(epoch)]) for epoch in (2, 2, 3)
    )
    assert first.equal(again)
    assert not first[:, 0].equal(other[:, 0])
    assert not first[:, 1:].equal(other[:, 1:])


def test_processes_share_the_batches_of_one() -> None:
    whole = [cut for _, cut in loader(13, 35, 4).epoch(1)]
    shares = [[cut for _, cut in loader(13, 35, 4, rank, 2).epoch(1)] for rank in (0, 1)]
    for batch, one, other in zip(whole, *shares, strict=True):
        assert batch.equal(torch.cat([one, other]))


def test_batches_larger_than_the_data_are_refused() -> None:
    with pytest.raises(UserError, match=r"^baselines\.egomotion\.frames: 13 pairs of frames"):
        loader(pairs=13, images=35, batch=14)
    with pytest.raises(UserError, match=r"^baselines\.egomotion\.batch_size: 36 is larger than"):
        loader(pairs=50, images=35, batch=36)
