import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from nat.runtime.errors import UserError
from nat.runtime.io import files
from nat.runtime.io.files import (
    FORMER,
    atomic_write,
    check_output,
    discard,
    read_json,
    replace_folder,
    write_json,
)
from nat.runtime.io.outputs import FILE_OF_OURS, FOLDER_OF_OURS
from nat.runtime.io.paths import place, project_folder


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), atomic_write(path, FILE_OF_OURS) as temporary:  # noqa: PT012
        temporary.write_text("two")
        raise ZeroDivisionError
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with atomic_write(tmp_path / "out", FOLDER_OF_OURS) as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new"]


def test_an_unwritable_output_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/out\.json: cannot be written"):
        check_output(tmp_path / "file" / "out.json")


def test_json_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": [1, "é"]})
    assert read_json(path, "probe") == {"a": [1, "é"]}
    assert path.read_text() == '{\n  "a": [\n    1,\n    "é"\n  ]\n}\n'
    assert read_json(path, "probe", "a") == {"a": [1, "é"]}
    with pytest.raises(UserError, match=r"x\.json: has no a and b, so is not what .* nat probe"):
        read_json(path, "probe", "a", "b")
    with pytest.raises(UserError, match=r"x\.json: exists and is not JSON of the same command"):
        write_json(path, {"a": 1, "b": 2})
    path.write_text("[1]")
    with pytest.raises(UserError, match=r"x\.json: has no a"):
        read_json(path, "probe", "a")
    for damaged in ("{", "[" * 100_000):
        path.write_text(damaged)
        with pytest.raises(UserError, match="not valid JSON"):
            read_json(path, "probe")


def test_a_queued_experiments_copy_sees_the_projects_folders(tmp_path: Path) -> None:
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "tmp1a2b"
    copy.mkdir(parents=True)
    assert project_folder(copy) == tmp_path.resolve()
    assert project_folder(tmp_path) == tmp_path.resolve()


def test_an_absolute_folder_stays(tmp_path: Path) -> None:
    assert place(str(tmp_path)) == tmp_path


def leave_behind(path: Path, moved: bool) -> Path:
    """The temporary folder as a kill leaves it, with the former folder in it if ``moved``."""
    with atomic_write(path, FOLDER_OF_OURS) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
        left = path.parent / "copy"
        shutil.copytree(temporary.parent, left)
    if moved:
        path.rename(left / FORMER)
    return left.rename(temporary.parent)


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    path = tmp_path / "out"
    leave_behind(path, moved=False)
    (tmp_path / ".out.of.others").mkdir()
    (tmp_path / ".out.x.abcdefgh.part").mkdir()  # of the output out.x
    (tmp_path / ".new.abcdefgh.part").mkdir()  # of the output new
    check_output(path, FOLDER_OF_OURS)
    names = {".out.of.others", ".out.x.abcdefgh.part", ".new.abcdefgh.part", "out"}
    assert {entry.name for entry in tmp_path.iterdir()} == names


def test_a_folder_in_place_of_another_sweeps_too(tmp_path: Path) -> None:
    """Where no output was checked before."""
    path = tmp_path / "out"
    leave_behind(path, moved=False)
    (tmp_path / "newer").mkdir()
    replace_folder(tmp_path / "newer", path)
    assert list(tmp_path.iterdir()) == [path]
    assert not list(path.iterdir())


def test_a_folder_that_was_moved_aside_comes_back(tmp_path: Path) -> None:
    """The kill came between the two renames."""
    path = tmp_path / "out"
    leave_behind(path, moved=True)
    assert not path.exists()
    check_output(path, FOLDER_OF_OURS)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]
    assert [entry.name for entry in path.iterdir()] == ["new"]


def test_a_rename_that_fails_brings_the_former_folder_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").touch()

    def fail(self: Path, target: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Path, "replace", fail)
    with (
        pytest.raises(UserError, match=r"out: Input/output error"),
        atomic_write(path, FOLDER_OF_OURS) as t,
    ):
        t.mkdir()
    assert [entry.name for entry in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_temporary_of_a_process_that_works_stays(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "out") as first:
        first.write_text("first")
        with atomic_write(tmp_path / "out") as second:
            second.write_text("second")
        assert first.exists()
    assert (tmp_path / "out").read_text() == "first"


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o077])
def test_modes_are_the_umasks(mask: int, tmp_path: Path) -> None:
    """Whatever the library that wrote the file gives it: safetensors writes for the owner alone."""
    before = os.umask(mask)
    try:
        with atomic_write(tmp_path / "folder") as temporary:
            (temporary / "inner").mkdir(0o700, parents=True)
            save_file({"a": torch.zeros(1)}, temporary / "inner" / "a.safetensors")
        with atomic_write(tmp_path / "file") as temporary:
            save_file({"a": torch.zeros(1)}, temporary)
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
    files, folders = 0o666 & ~mask, 0o777 & ~mask
    assert modes == {"folder": folders, "inner": folders, "a.safetensors": files, "file": files}


def test_the_disk_has_a_file_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, bool]] = []
    original = files.sync
    path = tmp_path / "x.json"
    monkeypatch.setattr(
        files, "sync", lambda file: (synced.append((file.name, path.exists())), original(file))
    )
    write_json(path, {})
    assert synced == [("x.json", False)]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
def test_no_file_stays_open(tmp_path: Path) -> None:
    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    before = opened()
    for _ in range(3):
        write_json(tmp_path / "x.json", {})
    assert opened() == before


@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_to_a_folder_is_replaced_and_not_the_folder(tmp_path: Path, dangling: bool) -> None:
    path, other = tmp_path / "out", tmp_path / "other"
    path.symlink_to(other)
    if not dangling:
        other.mkdir()
        (other / "old").touch()
    with atomic_write(path, FOLDER_OF_OURS) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert not path.is_symlink()
    assert [entry.name for entry in path.iterdir()] == ["new"]
    assert other.exists() != dangling
    assert dangling or [entry.name for entry in other.iterdir()] == ["old"]
    assert len(list(tmp_path.iterdir())) == 2 - dangling


def test_another_process_that_puts_the_same_folder_there_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the moment between the two renamings."""
    path = tmp_path / "out"
    path.mkdir()
    original, others = Path.replace, []

    def late(self: Path, target: Path) -> Path:
        if not others:
            others.append(target)
            path.mkdir()
            (path / "of another").touch()
        return original(self, target)

    monkeypatch.setattr(Path, "replace", late)
    with atomic_write(path, FOLDER_OF_OURS) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert others == [path]
    assert [entry.name for entry in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_an_output_that_was_not_written_leaves_the_former_one(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(FileNotFoundError), atomic_write(path, FOLDER_OF_OURS):
        pass
    assert [entry.name for entry in path.iterdir()] == ["old"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_with_the_output(tmp_path: Path) -> None:
    def fail(number: int, name: str | None = None) -> None:
        with atomic_write(tmp_path / "out.json"):
            raise OSError(number, os.strerror(number), name)

    for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
        with pytest.raises(UserError, match=rf"out\.json: {os.strerror(number)}; make room"):
            fail(number)
    with pytest.raises(UserError, match=r"out\.json: "):
        fail(errno.ENOSPC, str(tmp_path / ".out.json.x" / "out.json"))
    with pytest.raises(OSError, match="elsewhere"):  # another's to tell of
        fail(errno.ENOSPC, "/elsewhere/file")
    with pytest.raises(FileNotFoundError):
        fail(errno.ENOENT)

    def fail_within() -> None:
        with atomic_write(tmp_path / "out") as temporary:
            temporary.mkdir()
            with atomic_write(temporary / "inner.json"):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(UserError, match=rf"^{tmp_path}/out: "):  # of the output, not its part
        fail_within()
    assert not list(tmp_path.iterdir())


def test_a_folder_is_discarded_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has gone from its place before anything in it is removed."""
    state, original, removed = tmp_path / "state", shutil.rmtree, []

    def watched(path: Path, **words: Any) -> None:
        removed.append(state.exists())
        original(path, **words)

    (state / "inner").mkdir(parents=True)
    monkeypatch.setattr(shutil, "rmtree", watched)
    discard(state)
    discard(state)
    assert removed == [False, False]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("opened", [False, True])
def test_a_temporary_folder_swept_before_it_is_locked_is_made_anew(
    opened: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes it for a forgotten one before it is open, or before its lock."""
    swept: list[Path] = []

    def lose() -> None:
        if not swept:
            (folder,) = tmp_path.glob(".x.json.*")
            swept.append(folder)
            folder.rmdir()

    def made(**words: Any) -> str:
        folder = mkdtemp(**words)
        lose()
        return folder

    def locked(handle: int) -> bool:
        lose()
        return try_lock(handle)

    mkdtemp, try_lock = tempfile.mkdtemp, files.try_lock
    if opened:
        monkeypatch.setattr(files, "try_lock", locked)
    else:
        monkeypatch.setattr(tempfile, "mkdtemp", made)
    write_json(tmp_path / "x.json", {})
    assert swept
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]
