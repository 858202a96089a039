"""Filling in parallel and after interruptions ends in the bytes that write_store would write."""

import json
import multiprocessing
import pkgutil
import shutil
import time
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ilsvrc import A_CLASS, VAL, WNIDS, Files, publish, train_files, write_archives, write_tree
from tiny import ALL, settings

from nat.data.squares import read_square
from nat.data.store import Source, Split, write_store
from nat.datasets.filling import journal, space, unfinished
from nat.datasets.filling.journal import Journal
from nat.datasets.filling.prepare import prepare_images
from nat.datasets.filling.unfinished import kept_rows
from nat.datasets.imagenet import read
from nat.runtime.errors import UserError
from nat.runtime.io.arrays import header
from nat.runtime.settings.params import Params

SIZE = 24
TRAIN = A_CLASS * len(WNIDS)
# rows of the store, counted as if all were readable, and what is wrong with them
DAMAGED = {4: "truncated", 20: "empty file", TRAIN - 2: "no image of a known kind"}


def damaged() -> Files:
    files = train_files()
    names = sorted(files)
    first, second, third = DAMAGED
    files[names[first]] = files[names[first]][:-300]
    files[names[second]] = b""
    files[names[third]] = b"<html>404</html>"
    return files


def settings_of(folder: Path, work: Path, threads: int = 1, **changes: object) -> dict:
    group = {
        "source": "imagenet",
        "folder": str(folder),
        **ALL,
        "size": SIZE,
    }
    machine = {"data": str(work / "data"), "scratch": str(work / "scratch"), "threads": threads}
    return settings(images=group | changes, augment={"crop": 8}, machine=machine)


def params_of(folder: Path, work: Path, threads: int = 1, **changes: object) -> Params:
    return Params.model_validate(settings_of(folder, work, threads, **changes))


def store_of(work: Path) -> Path:
    (folder,) = (work / "data" / "stores").glob("imagenet-*")
    return folder


def contents(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def refusal(params: Params, manifest: Path) -> str:
    with pytest.raises(UserError) as caught:
        prepare_images(params, manifest)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "ROWS", 5)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_bytes_are_those_of_write_store(threads: int, tmp_path: Path) -> None:
    params = params_of(write_tree(tmp_path / "in"), tmp_path, threads)
    prepare_images(params, tmp_path / "a.json")
    encoded = read(params.images, params.machine)
    splits = {
        name: Split(
            len(split),
            [read_square((split.root / n).read_bytes(), SIZE, 1, False) for n in split.names],
            split.labels,
        )
        for name, split in encoded.splits.items()
    }
    source = Source("imagenet", WNIDS, splits)
    plain = write_store(source, SIZE, 1, str(tmp_path / "plain"), tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert store_of(tmp_path).name == plain.name
    filled = contents(store_of(tmp_path))
    filled.pop("prepared.json")
    assert filled == contents(plain)


def test_unreadable_images_are_left_out_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    whole = params_of(write_tree(tmp_path / "whole"), tmp_path / "a")
    prepare_images(whole, tmp_path / "a.json")
    params = params_of(write_tree(tmp_path / "in", damaged()), tmp_path / "b", corrupt_limit=3)
    prepare_images(params, tmp_path / "b.json")
    assert json.loads((tmp_path / "b.json").read_text())["splits"]["train"]["count"] == TRAIN - 3
    rows = list(range(TRAIN - 3))
    rows[4], rows[20] = TRAIN - 3, TRAIN - 1  # the last readable ones stand in
    for name in ("train", "train_labels"):
        everything = np.load(store_of(tmp_path / "a") / f"{name}.npy")
        file = store_of(tmp_path / "b") / f"{name}.npy"
        kept = np.load(file)
        assert np.array_equal(kept, everything[rows])
        assert file.stat().st_size == len(header(kept.shape, kept.dtype)) + kept.nbytes
    names = sorted(train_files())
    lines = (store_of(tmp_path / "b") / "unreadable.txt").read_text().splitlines()
    assert len(lines) == 3
    for line, (row, reason) in zip(lines, DAMAGED.items(), strict=True):
        assert line.startswith(f"train\t{names[row]}\t")
        assert reason in line
    assert "left out 3 unreadable ones" in capsys.readouterr().err


def test_too_many_unreadable_images_name_one(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "in", damaged())
    said = refusal(params_of(folder, tmp_path), tmp_path / "m.json")
    assert f"train/{sorted(train_files())[4]}: no readable image (" in said
    assert "images.corrupt_limit allows 0" in said
    said = refusal(params_of(folder, tmp_path, corrupt_limit=2), tmp_path / "m.json")
    assert f"{sorted(train_files())[TRAIN - 2]}: no readable" in said
    assert "unreadable so far: 3, images.corrupt_limit allows 2" in said
    assert not (tmp_path / "m.json").exists()
    prepare_images(params_of(folder, tmp_path, corrupt_limit=3), tmp_path / "m.json")
    assert not list((tmp_path / "data" / "stores").glob("unfinished-*"))


def test_a_lower_limit_holds_for_what_was_found_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tree(tmp_path / "in", damaged())
    last = max((folder / "val").glob("*/*"))
    last.write_bytes(b"")
    with monkeypatch.context() as patch:
        patch.setattr("nat.datasets.filling.fill.write_json", lambda *_: pytest.fail("stopped"))
        with pytest.raises(pytest.fail.Exception):
            prepare_images(params_of(folder, tmp_path, corrupt_limit=4), tmp_path / "m.json")
    said = refusal(params_of(folder, tmp_path, corrupt_limit=1), tmp_path / "m.json")
    assert f"{last}: no readable image (empty file); unreadable so far: 4" in said


def test_no_readable_image_at_all(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "in", dict.fromkeys(train_files(), b"no"))
    said = refusal(params_of(folder, tmp_path, corrupt_limit=1000), tmp_path / "m.json")
    assert "no readable image for train" in said


@given(st.data())
def test_the_last_stand_in_for_gaps(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 40))
    gaps = data.draw(st.sets(st.integers(0, count - 1)))
    rows = kept_rows(count, gaps).tolist()
    assert sorted(rows) == [row for row in range(count) if row not in gaps]
    assert all(rows[row] == row for row in range(len(rows)) if row not in gaps)


def prepare_slowly(params: Params, manifest: Path) -> None:
    """What a child process does until it is killed."""
    write_chunks = unfinished.write_chunks

    def slowly(chunks, processes):
        for result in write_chunks(chunks, processes):
            yield result
            time.sleep(0.2)

    unfinished.write_chunks, journal.SECONDS = slowly, 0.0
    prepare_images(params, manifest)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds children in /proc")
@pytest.mark.parametrize("threads", [1, 2])
def test_a_killed_preparation_goes_on(
    threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while chunks are written, resumed with another number of processes."""
    write_archives(tmp_path / "in", damaged())
    publish(tmp_path / "in", monkeypatch)
    undisturbed = params_of(tmp_path / "in", tmp_path / "undisturbed", corrupt_limit=3)
    prepare_images(undisturbed, tmp_path / "undisturbed.json")

    params = params_of(tmp_path / "in", tmp_path, threads, corrupt_limit=3)
    # forked, so that it knows the archives' checksums; what it spawns is as in earnest
    process = multiprocessing.get_context("fork").Process(
        target=prepare_slowly, args=(params, tmp_path / "m.json")
    )
    process.start()
    stores = tmp_path / "data" / "stores"
    deadline = time.monotonic() + 120
    while not (journals := list(stores.glob("*/journal"))) or lines(journals[0]) < 2:
        assert time.monotonic() < deadline
        assert process.is_alive()
        time.sleep(0.02)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.join()
    assert 2 <= lines(journals[0]) < TRAIN // 5
    while any(alive(child) for child in children):  # none is left waiting for work
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert len(children) >= threads - 1

    with open(journals[0], "a") as file:
        file.write('["train", 7')  # as if the kill had cut a line short
    written: list[int] = []
    add = Journal.add
    monkeypatch.setattr(
        Journal, "add", lambda self, s, n, f: written.append(n) or add(self, s, n, f)
    )
    before = lines(journals[0])
    resumed = params_of(tmp_path / "in", tmp_path, 3 - threads, corrupt_limit=3)
    prepare_images(resumed, tmp_path / "m.json")
    assert len(written) == -(-TRAIN // 5) + -(-VAL // 5) - before
    assert (tmp_path / "m.json").read_bytes() == (tmp_path / "undisturbed.json").read_bytes()
    assert contents(store_of(tmp_path)) == contents(store_of(tmp_path / "undisturbed"))
    assert not list(stores.glob("unfinished-*"))


def lines(path: Path) -> int:
    return path.read_text().count("\n")


def alive(process: str) -> bool:
    """A zombie that nobody has waited for is not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("where", ["rename", "truncate", "save", "write_json", "store_folder"])
def test_an_end_at_any_later_step_goes_on(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the decoding: while gaps are closed, between the splits, before the manifest."""
    params = params_of(write_tree(tmp_path / "in", damaged()), tmp_path, corrupt_limit=3)
    prepare_images(params, tmp_path / "first.json")
    wanted = contents(store_of(tmp_path))
    shutil.rmtree(store_of(tmp_path))
    target = {
        "rename": "nat.datasets.filling.unfinished.sync",
        "truncate": "nat.datasets.filling.unfinished.Unfinished._header",
        "save": "nat.datasets.filling.fill.save_array",
        "write_json": "nat.datasets.filling.fill.write_json",
        "store_folder": "nat.datasets.filling.fill.store_folder",
    }[where]
    calls = {"truncate": 1, "write_json": 1}.get(where, 0)
    with monkeypatch.context() as patch:
        plain = pkgutil.resolve_name(target)

        def stop(*words: object, **options: object) -> object:
            nonlocal calls
            calls -= 1
            if calls < 0:
                raise KeyboardInterrupt
            return plain(*words, **options)

        patch.setattr(target, stop)
        with pytest.raises(KeyboardInterrupt):
            prepare_images(params, tmp_path / "m.json")
    prepare_images(params, tmp_path / "m.json")
    assert contents(store_of(tmp_path)) == wanted
    assert (tmp_path / "m.json").read_bytes() == (tmp_path / "first.json").read_bytes()


@pytest.mark.parametrize("where", ["unfinished.sync", "fill.save_array", "fill.write_json"])
@pytest.mark.parametrize("damage", ["line", "all", "foreign"])
def test_a_damaged_journal_costs_work_and_nothing_else(
    where: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether the split's gaps are still open or closed already."""
    params = params_of(write_tree(tmp_path / "in", damaged()), tmp_path, corrupt_limit=3)
    prepare_images(params, tmp_path / "first.json")
    wanted = contents(store_of(tmp_path))
    shutil.rmtree(store_of(tmp_path))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"nat.datasets.filling.{where}", stop)
        with pytest.raises(KeyboardInterrupt):
            prepare_images(params, tmp_path / "m.json")
    (kept,) = (tmp_path / "data" / "stores").glob("*/journal")
    first, _, rest = kept.read_bytes().partition(b"\n")
    assert b'"train"' in first
    other = {"line": b"\xff" + first[1:], "all": b"", "foreign": b"no journal"}[damage]
    kept.write_bytes(other + (b"\n" + rest if damage == "line" else b""))
    prepare_images(params, tmp_path / "m.json")
    assert contents(store_of(tmp_path)) == wanted
    assert (tmp_path / "m.json").read_bytes() == (tmp_path / "first.json").read_bytes()


def test_too_small_a_disk_is_said_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    usage = namedtuple("usage", "total used free")
    need = (TRAIN + VAL) * SIZE * SIZE
    monkeypatch.setattr(space.shutil, "disk_usage", lambda _: usage(0, 0, need - 1))
    monkeypatch.setattr(unfinished, "write_chunks", lambda *_: pytest.fail("began to decode"))
    forgotten = tmp_path / "data" / "stores" / "unfinished-other"
    forgotten.mkdir(parents=True)
    folder = write_tree(tmp_path / "in")
    for source in ("imagenet", "folder"):
        said = refusal(params_of(folder, tmp_path, source=source), tmp_path / "m.json")
        assert "the images need 0.0 MB more, 0.0 MB are free; name a larger disk" in said
        assert f"remove the unfinished {forgotten}" in said
    assert "36 train + 12 test, 576 bytes each: 0.0 MB in" in capsys.readouterr().err


def test_a_full_disk_is_an_error_and_no_loss(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = params_of(write_tree(tmp_path / "in"), tmp_path)
    plain, left = unfinished.write_chunks, 3

    def full(chunks, processes):
        nonlocal left
        for result in plain(chunks, processes):
            left -= 1
            if left < 0:
                raise OSError(28, "No space left on device", "train.part")
            yield result

    with monkeypatch.context() as patch:
        patch.setattr(unfinished, "write_chunks", full)
        with pytest.raises(OSError, match="No space left"):
            prepare_images(params, tmp_path / "m.json")
    (journal,) = (tmp_path / "data/stores").glob("*/journal")
    assert lines(journal) == 3
    prepare_images(params, tmp_path / "m.json")
    assert store_of(tmp_path).is_dir()
