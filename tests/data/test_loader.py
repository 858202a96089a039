import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from nat.data import loader as module
from nat.data.loader import Batch, Loader
from nat.data.store import Store
from nat.runtime.distributed import Distributed
from nat.runtime.errors import UserError

CPU = torch.device("cpu")


def loader(
    params: Any, manifest: Path, batch: int = 16, processes: Distributed | None = None
) -> Loader:
    store = Store(manifest, params.machine.data, "train")
    return Loader(
        store, batch, params.augment, 0, processes or Distributed(CPU), "pretrain.batch_size"
    )


def test_an_epoch_shows_each_image_once_in_a_new_order(make_params: Any, manifest: Path) -> None:
    found = loader(make_params(), manifest, batch=20)
    assert (found.steps, found.images_per_epoch) == (
        4,
        80,
    )  # of 96, the incomplete batch is dropped
    first, second = (torch.cat([rows for rows, _ in found.epoch(e)]) for e in (0, 1))
    assert len(first.unique()) == len(second.unique()) == 80
    assert not torch.equal(first, second)
    assert torch.equal(first, torch.cat([rows for rows, _ in found.epoch(0)]))


def test_squares_are_cut_from_the_rows_images(make_params: Any, manifest: Path) -> None:
    found = loader(make_params(augment={"crop": 32, "flip": False}), manifest)
    for rows, images in found.epoch(0):
        assert torch.equal(images, found.store.batch(rows))


def test_processes_share_what_one_would_see(make_params: Any, manifest: Path) -> None:
    params = make_params()
    alone = list(loader(params, manifest).epoch(3))
    processes = [Distributed(CPU, rank=rank, size=4) for rank in range(4)]
    shared = [list(loader(params, manifest, processes=one).epoch(3)) for one in processes]
    for step, (rows, images) in enumerate(alone):
        assert torch.equal(torch.cat([each[step][0] for each in shared]), rows)
        assert torch.equal(torch.cat([each[step][1] for each in shared]), images)


def same(found: Iterable[Batch], expected: Iterable[Batch]) -> bool:
    pairs = zip(found, expected, strict=True)
    return all(torch.equal(a, b) for two in pairs for a, b in zip(*two, strict=True))


def pin(monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """Read into memory that is not pinned, as there may be no GPU; the rows that would be."""
    read: list[torch.Tensor] = []
    plain = Store.batch

    def batch(store: Store, rows: torch.Tensor, pinned: bool = False) -> torch.Tensor:
        if pinned:
            read.append(rows)
        return plain(store, rows)

    monkeypatch.setattr(Store, "batch", batch)
    return read


@pytest.mark.parametrize("piece", [7, 96, 4096])
def test_resident_images_give_the_same_batches(
    piece: int, make_params: Any, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = loader(make_params(), manifest)
    asked = []
    monkeypatch.setattr(module, "fits", lambda *words: not asked.append(words))
    monkeypatch.setattr(module, "PIECE", piece)
    pinned = pin(monkeypatch)
    found = loader(make_params(), manifest)
    assert (plain.resident, found.resident) == (False, True)
    assert asked == [(96 * 32 * 32, CPU)]
    assert torch.equal(found.images, torch.from_numpy(found.store.images.copy()))
    read = sorted(pinned, key=lambda rows: int(rows[0]))  # by threads, in any order
    assert torch.equal(torch.cat(read), torch.arange(96))
    monkeypatch.setattr(found.store, "batch", lambda _: pytest.fail("the file is read again"))
    for epoch in range(2):
        assert same(found.epoch(epoch), plain.epoch(epoch))


@pytest.mark.parametrize(("batch", "steps"), [(80, 1), (32, 3), (24, 4), (12, 8)])
def test_batches_read_ahead_are_the_same(
    batch: int, steps: int, make_params: Any, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For epochs shorter than, as long as and longer than what is read ahead."""
    pinned = pin(monkeypatch)
    found = loader(make_params(), manifest, batch)
    for epoch in range(2):
        assert same(found._arriving(epoch), found.epoch(epoch))
    assert [len(rows) for rows in pinned] == [batch] * steps * 2


def test_no_more_is_read_ahead_than_wanted(
    make_params: Any, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = pin(monkeypatch)
    for step, _ in enumerate(loader(make_params(), manifest, 8)._arriving(0)):
        assert len(read) <= step + 1 + module.AHEAD
    assert len(read) == 12


def test_a_fault_while_reading_ahead_is_raised(
    make_params: Any, manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin(monkeypatch)
    found = loader(make_params(), manifest)
    (file,) = (manifest.parent / "data/stores").glob("*/train.npy")
    os.truncate(file, file.stat().st_size - 1)
    with pytest.raises(UserError, match=r"ends before image 95"):
        list(found._arriving(0))


@pytest.mark.parametrize(("batch", "size"), [(15, 2), (6, 4), (4, 4)])
def test_a_batch_that_cannot_be_shared_is_refused(
    make_params: Any, manifest: Path, batch: int, size: int
) -> None:
    with pytest.raises(UserError, match=rf"pretrain\.batch_size: {batch} .* {size} processes"):
        loader(make_params(), manifest, batch, Distributed(CPU, size=size))
