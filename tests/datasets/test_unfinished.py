"""The disk under a store that is being filled."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from nat.datasets.filling import unfinished
from nat.datasets.filling.encoded import Encoded
from nat.datasets.filling.journal import Journal
from nat.datasets.filling.unfinished import Unfinished
from nat.runtime.settings.params import Images

COUNT, SIZE = 100, 64


def begin(folder: Path) -> Unfinished:
    numbers = np.zeros(COUNT, np.int64)
    split = Encoded(folder, [f"{i}.png" for i in range(COUNT)], numbers, numbers, numbers)
    images = Images.model_construct(size=SIZE, channels=1)
    return Unfinished("train", split, folder, images, False, Journal(folder / "journal"))


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="the system reserves nothing")
def test_the_rows_are_reserved_before_any_is_decoded(tmp_path: Path) -> None:
    array = begin(tmp_path)
    facts = array.part.stat()
    assert facts.st_size == len(array.header) + COUNT * SIZE**2
    assert facts.st_blocks * 512 >= facts.st_size
    assert np.load(array.part, mmap_mode="r").shape == (COUNT, 1, SIZE, SIZE)


def test_too_small_a_disk_is_left_as_it_was(tmp_path: Path) -> None:
    with (
        files_of_at_most(COUNT * SIZE**2 // 2),
        pytest.raises(OSError, match="File too large"),
    ):
        begin(tmp_path)
    assert not list(tmp_path.iterdir())
    assert begin(tmp_path).part.exists()


def test_rows_that_were_cut_short_are_laid_out_anew(tmp_path: Path) -> None:
    """What the journal says of them does not hold any more."""
    array = begin(tmp_path)
    with array.journal.following(array.part):
        array.journal.add("train", 0, {})
    assert begin(tmp_path).journal.of("train") == {0: {}}
    os.truncate(array.part, array.part.stat().st_size - 1)
    again = begin(tmp_path)
    assert again.part.stat().st_size == len(again.header) + COUNT * SIZE**2
    assert again.journal.of("train") == {}


@pytest.mark.parametrize("reason", [errno.EOPNOTSUPP, errno.EINVAL])
def test_file_systems_that_reserve_nothing_do(
    reason: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(unfinished.os, "posix_fallocate", refuse, raising=False)
    array = begin(tmp_path)
    assert array.part.stat().st_size == len(array.header) + COUNT * SIZE**2


def test_a_file_system_that_has_no_room_to_reserve_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(unfinished.os, "posix_fallocate", refuse, raising=False)
    with pytest.raises(OSError, match="No space left"):
        begin(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_journal_holds_no_part_of_a_line_after_a_full_disk(tmp_path: Path) -> None:
    array, path = tmp_path / "train.part", tmp_path / "journal"
    array.touch()
    journal = Journal(path)
    with journal.following(array):
        journal.add("train", 0, {})
    before = path.read_bytes()
    with (
        files_of_at_most(len(before) + 5),
        pytest.raises(OSError, match="File too large"),
        journal.following(array),
    ):
        journal.add("train", 1, {64: "no image"})
    assert path.read_bytes() == before
    with journal.following(array):  # there is room again
        journal.add("train", 2, {})
    assert Journal(path).of("train") == {0: {}, 1: {64: "no image"}, 2: {}}
