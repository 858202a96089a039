import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nat.data import discovery
from nat.data.discovery import Unused, leftover, look, search, shown
from nat.runtime.errors import UserError

SYSTEMS = [
    "__MACOSX",
    "@eaDir",
    "lost+found",
    ".ipynb_checkpoints",
    ".DS_Store",
    "._cat",
    "._p000.jpg",
    "Thumbs.db",
    "thumbs.DB",
    "desktop.ini",
    "$RECYCLE.BIN",
    "System Volume Information",
]


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(root: Path) -> tuple[list[str], str]:
    unused = Unused()
    return [file.name for file in search(root, unused)], str(unused)


@pytest.mark.parametrize("name", SYSTEMS)
def test_what_systems_leave_is_neither_folder_nor_image(name: str, tmp_path: Path) -> None:
    assert leftover(name)
    put(tmp_path, "a.jpg", f"{name}/b.jpg", "cat/c.jpg")
    (tmp_path / "cat" / name).touch()
    assert found(tmp_path) == (
        ["a.jpg", "cat/c.jpg"],
        f"hidden or left by a system: 2 ({', '.join(sorted([name, f'cat/{name}']))})",
    )
    unused = Unused()
    assert [folder.name for folder in look(tmp_path, unused)[0]] == ["cat"]


def test_endings_in_any_case(tmp_path: Path) -> None:
    names = ["a.JPG", "b.Webp", "c.TIFF", "d.bmp", "e.gif", "f.avif", "g.JPEG", "h.pgm", "i.tif"]
    put(tmp_path, *names, "j.psd", "k.txt", "l.TXT", "m.mp4", "n.json", "jpg", "o.")
    assert found(tmp_path) == (names, "files of other kinds: 7 (.txt 2, . 1, .json 1, ...)")


def test_links_are_followed(tmp_path: Path) -> None:
    put(tmp_path, "out/more/x.jpg", "out/one.png", "in/a.jpg")
    (tmp_path / "in" / "more").symlink_to(tmp_path / "out" / "more")
    (tmp_path / "in" / "two.png").symlink_to("../out/one.png")
    assert found(tmp_path / "in") == (["a.jpg", "more/x.jpg", "two.png"], "")
    (tmp_path / "linked").symlink_to("in")
    assert found(tmp_path / "linked")[0] == ["a.jpg", "more/x.jpg", "two.png"]


def test_links_that_lead_nowhere_are_counted(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg")
    (tmp_path / "b.jpg").symlink_to("none.jpg")
    (tmp_path / "c").symlink_to("none")
    (tmp_path / "d").symlink_to("d")
    (tmp_path / "e.jpg").symlink_to("a.jpg/below")
    assert found(tmp_path) == (["a.jpg"], "dangling links: 4 (b.jpg, c, d, ...)")


def test_loops_of_links_end(tmp_path: Path) -> None:
    put(tmp_path, "in/cat/a.jpg", "in/dog/b.jpg")
    (tmp_path / "in/cat/self").symlink_to(".")
    (tmp_path / "in/cat/up").symlink_to("..")
    (tmp_path / "in/dog/out").symlink_to(tmp_path)
    (tmp_path / "in/dog/cat").symlink_to("../cat")
    names, unused = found(tmp_path / "in")
    assert names == ["cat/a.jpg", "dog/b.jpg", "dog/cat/a.jpg"]
    assert unused == "links to a folder around them: 5 (cat/self, cat/up, dog/cat/self, ...)"


def test_two_folders_that_lead_into_each_other(tmp_path: Path) -> None:
    put(tmp_path, "cat/a.jpg", "dog/b.jpg")
    (tmp_path / "cat/x").symlink_to("../dog")
    (tmp_path / "dog/y").symlink_to("../cat")
    assert found(tmp_path)[0] == ["cat/a.jpg", "cat/x/b.jpg", "dog/b.jpg", "dog/y/a.jpg"]


def test_pipes_are_no_images(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jpg")
    assert found(tmp_path) == ([], "pipes, sockets or devices: 1 (a.jpg)")


def test_a_folder_may_be_called_as_a_image(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg/b.jpg")
    assert found(tmp_path) == (["a.jpg/b.jpg"], "")


def test_folders_deeper_than_calls_can_go(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(sys.getrecursionlimit() + 100):
        deep /= "d"
        deep.mkdir()
    (deep / "a.jpg").touch()
    try:
        names, _ = found(tmp_path)
    finally:  # as pytest's own clearing away would be too deep in calls
        (deep / "a.jpg").unlink()
        while deep != tmp_path:
            deep.rmdir()
            deep = deep.parent
    assert names == ["d/" * (sys.getrecursionlimit() + 100) + "a.jpg"]


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not passed over: its images would be missing without a word."""
    put(tmp_path, "cat/a.jpg", "dog/b.jpg")
    scandir: Callable = os.scandir

    def refusing(path: Path) -> object:
        if Path(path).name == "dog":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(discovery.os, "scandir", refusing)
    with pytest.raises(UserError, match=r"/dog: cannot be looked into \(Permission denied\)"):
        search(tmp_path, Unused())
    with pytest.raises(UserError, match=r"/none: cannot be looked into \(No such file"):
        search(tmp_path / "none", Unused())


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=8)


@settings(deadline=None, max_examples=60)
@given(paths=st.sets(st.lists(NAMES, min_size=1, max_size=3).map(tuple), max_size=12))
def test_every_file_is_found_or_counted(
    paths: set[tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """In the order of sorting paths part by part, and the count is one printable line."""
    root = tmp_path_factory.mktemp("in")
    written = set()
    for parts in paths:
        path = root.joinpath(*(f"d{part}" for part in parts[:-1]), f"f{parts[-1]}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        path.with_suffix(".other").touch()
        written.add(path.relative_to(root).as_posix())
    unused = Unused()
    names = [file.name for file in search(root, unused)]
    assert names == sorted(written, key=lambda name: name.split("/"))
    if written:
        assert str(unused) == f"files of other kinds: {len(written)} (.other {len(written)})"


def test_names_are_shown_in_a_line() -> None:
    assert shown("café") == "café"
    assert shown("a\nb\udcff\x1b") == r"a\nb\udcff\x1b"


def test_counts_of_two_folders_are_one() -> None:
    both, train, val = Unused(), Unused(), Unused()
    assert not both
    train.add(discovery.OTHER, "a.txt")
    train.add(discovery.EMPTY, "z")
    for name in "dcba":
        val.add(discovery.EMPTY, name)
    val.add(discovery.OTHER, "a.txt")
    both.include(train, "train")
    both.include(val, "val")
    assert str(both) == (
        "files of other kinds: 2 (.txt 2); folders without images: 5 (train/z, val/a, val/b, ...)"
    )
