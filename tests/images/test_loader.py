from pathlib import Path
from typing import Any

import pytest
import torch

from nat.errors import UserError
from nat.images.loader import Loader
from nat.images.store import Store
from nat.training.team import Team

CPU = torch.device("cpu")


def loader(params: Any, manifest: Path, batch: int = 16, team: Team | None = None) -> Loader:
    store = Store(manifest, params.machine.data, "train")
    return Loader(store, batch, params.augment, 0, team or Team(CPU), "pretrain.batch_size")


def test_an_epoch_shows_each_picture_once_in_a_new_order(make_params: Any, manifest: Path) -> None:
    found = loader(make_params(), manifest, batch=20)
    assert (found.steps, found.seen) == (4, 80)  # of 96, the incomplete batch is dropped
    first, second = (torch.cat([rows for rows, _ in found.epoch(e)]) for e in (0, 1))
    assert len(first.unique()) == len(second.unique()) == 80
    assert not torch.equal(first, second)
    assert torch.equal(first, torch.cat([rows for rows, _ in found.epoch(0)]))


def test_squares_are_cut_from_the_rows_pictures(make_params: Any, manifest: Path) -> None:
    found = loader(make_params(augment={"crop": 32, "flip": False}), manifest)
    for rows, pictures in found.epoch(0):
        assert torch.equal(pictures, found.store.batch(rows))


def test_processes_share_what_one_would_see(make_params: Any, manifest: Path) -> None:
    params = make_params()
    alone = list(loader(params, manifest).epoch(3))
    teams = [Team(CPU, rank=rank, size=4) for rank in range(4)]
    shared = [list(loader(params, manifest, team=team).epoch(3)) for team in teams]
    for step, (rows, pictures) in enumerate(alone):
        assert torch.equal(torch.cat([each[step][0] for each in shared]), rows)
        assert torch.equal(torch.cat([each[step][1] for each in shared]), pictures)


@pytest.mark.parametrize(("batch", "size"), [(15, 2), (6, 4), (4, 4)])
def test_a_batch_that_cannot_be_shared_is_refused(
    make_params: Any, manifest: Path, batch: int, size: int
) -> None:
    with pytest.raises(UserError, match=rf"pretrain\.batch_size: {batch} .* {size} processes"):
        loader(make_params(), manifest, batch, Team(CPU, size=size))
