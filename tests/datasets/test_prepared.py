"""When a store that was prepared before is taken, and when images are decoded again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ilsvrc import train_files, write_tree

from nat.datasets.filling import fill, unfinished
from nat.runtime.errors import UserError
from nat.runtime.io.locks import locked

Prepare = Callable[..., Path]


def no_decoding(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(unfinished, "write_chunks", lambda *_: pytest.fail("decoded again"))


def test_the_same_files_are_not_decoded_again(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tree(tmp_path / "in")
    first = prepare(folder).read_bytes()
    with monkeypatch.context() as patch:
        no_decoding(patch)
        assert prepare(folder).read_bytes() == first
    (store,) = (tmp_path / "data/stores").iterdir()
    right = (store / "train.npy").read_bytes()
    (store / "train.npy").write_bytes(right[:-1] + bytes([right[-1] ^ 1]))  # is seen, and mended
    prepare(folder)
    assert (store / "train.npy").read_bytes() == right


def another_file(folder: Path, _: pytest.MonkeyPatch) -> dict[str, Any]:
    first, second = sorted(train_files())[:2]
    (folder / "train" / first).write_bytes(train_files()[second])
    return {}


def another_size(*_: object) -> dict[str, Any]:
    return {"size": 28}


def more_channels(*_: object) -> dict[str, Any]:
    return {"channels": 3}


def other_code(_: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr(fill, "sha256", lambda path: f"another {path}")
    return {}


def another_decoder(_: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr(fill.features, "version", lambda name: f"another {name}")
    return {}


def another_pillow(_: Path, patch: pytest.MonkeyPatch) -> dict[str, Any]:
    patch.setattr(fill.PIL, "__version__", "0.0")
    return {}


CHANGES = [another_file, another_size, more_channels, other_code, another_decoder, another_pillow]


@pytest.mark.parametrize("change", CHANGES)
def test_another_of_what_decides_its_bytes_is_decoded(
    change: Callable, tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, decoded = write_tree(tmp_path / "in"), []
    prepare(folder)
    changes = change(folder, monkeypatch)
    write_chunks = unfinished.write_chunks

    def watched(*words: Any) -> Iterator:
        decoded.append(words)
        return write_chunks(*words)

    monkeypatch.setattr(unfinished, "write_chunks", watched)
    prepare(folder, **changes)
    assert len(decoded) == 2  # train and test


def test_what_another_process_has_prepared_meanwhile_is_taken(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, waits = write_tree(tmp_path / "in"), []

    @contextmanager
    def waited(path: Path) -> Iterator[None]:
        if not waits:
            waits.append(path)
            prepare(folder)
            no_decoding(monkeypatch)
        with locked(path):
            yield

    monkeypatch.setattr(fill, "locked", waited)
    assert prepare(folder).exists()
    assert waits


def test_a_manifest_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, prepare: Prepare, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_tree(tmp_path / "in")
    (tmp_path / "in.json").write_text("of another")
    no_decoding(monkeypatch)
    with pytest.raises(UserError, match=r"in\.json: exists and is not JSON of the same command"):
        prepare(folder)
    assert (tmp_path / "in.json").read_text() == "of another"
