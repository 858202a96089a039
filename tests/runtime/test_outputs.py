"""Only an earlier output of the same command is replaced."""

import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from nat.runtime.errors import UserError
from nat.runtime.io import outputs
from nat.runtime.io.files import atomic_write, check_output, write_json
from nat.runtime.io.outputs import (
    FILE_OF_OURS,
    FOLDER_OF_OURS,
    NOTHING,
    Kind,
    any_of,
    archive,
    array,
    beginning,
    folder,
    json_like,
    json_where,
    names_of,
    tensors,
)


def put_text(text: str) -> Callable[[Path], Any]:
    return lambda path: path.write_text(text)


def put_json(content: Any) -> Callable[[Path], Any]:
    return put_text(json.dumps(content))


def put_array(path: Path) -> None:
    with open(path, "wb") as file:
        np.save(file, np.zeros(3))


def put_named_array(path: Path) -> None:
    put_array(path)
    names_of(path).write_text("[]")


def put_archive(**arrays: Any) -> Callable[[Path], Any]:
    def put(path: Path) -> None:
        with open(path, "wb") as file:
            np.savez(file, **arrays)

    return put


def put_tensors(**metadata: str) -> Callable[[Path], Any]:
    return lambda path: save_file({"a": torch.zeros(2)}, path, metadata)


def put_folder(*names: str, key: Callable[[Path], Any] | None = None) -> Callable[[Path], Any]:
    def put(path: Path) -> None:
        path.mkdir()
        for name in names:
            (path / name).write_text(name)
        if key:
            key(path / "key.json")

    return put


RESULT = json_where("a result", lambda found: "schema" in found and found["stage"] == "probe")


def of_stage(stage: str) -> Callable[[Path], Any]:
    return put_json({"schema": 1, "stage": stage, "measured": {}})


KINDS: list[tuple[Kind, Callable[[Path], Any], list[Callable[[Path], Any]]]] = [
    (beginning("x", b"words"), put_text("words of ours"), [put_text("others"), put_text("wor")]),
    (
        json_like({"a": 1}),
        put_json({"a": 2}),
        [
            put_json({"b": 2}),
            put_json({"a": 2, "b": 2}),
            put_json([1]),
            put_text("{"),
        ],
    ),
    (json_like([]), put_json([1]), [put_json({}), put_text("x")]),
    (
        RESULT,
        of_stage("probe"),
        [
            of_stage("train"),
            put_json({"stage": "probe"}),
            put_json({"schema": 1}),
            put_json(1),
            put_text("[" * 9999),
        ],
    ),
    (tensors("x", "network"), put_tensors(network="1"), [put_tensors(trunk="1"), put_text("x")]),
    (
        archive("x", ["a", "b"]),
        put_archive(a=1, b=2),
        [
            put_archive(a=1),
            put_archive(a=1, b=2, c=3),
            put_text("PK"),
        ],
    ),
    (array("x"), put_array, [put_named_array, put_text("x")]),
    (array("x", named=True), put_named_array, [put_array, put_text("x")]),
    (
        folder("x", "key.json", r"checkpoints", RESULT),
        put_folder(
            "checkpoints",
            ".gitignore",
            "._x",
            "Thumbs.db",
            key=of_stage("probe"),
        ),
        [
            put_folder("checkpoints"),
            put_folder("thesis.tex", key=of_stage("probe")),
            put_folder("Thumbs.db.docx", key=of_stage("probe")),
            put_folder(key=of_stage("train")),
            put_text("a file"),
        ],
    ),
    (
        any_of("x", r"a_.*\.txt"),
        put_folder("a_1.txt"),
        [put_folder("a_1.txt", "b.txt"), put_folder("a_1.txt.bak")],
    ),
    (NOTHING, put_text(""), [put_text("x")]),
    (FILE_OF_OURS, put_text("x"), [put_folder("x"), put_folder()]),
    (FOLDER_OF_OURS, put_folder("x"), [put_text("x"), put_text("")]),
]


def content(path: Path) -> Any:
    if path.is_dir():
        return {inner.name: content(inner) for inner in path.iterdir()}
    return path.read_bytes()


@pytest.mark.parametrize(("kind", "mine", "foreign"), KINDS)
def test_the_same_command_replaces_its_own_and_nothing_else(
    kind: Kind, mine: Callable, foreign: list[Callable], tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    path = tmp_path / "mine" / "out"
    mine(path)
    with atomic_write(path, kind) as temporary:
        put_folder("new")(temporary) if kind.folder else put_text("new")(temporary)
    assert content(path) == ({"new": b"new"} if kind.folder else b"new")
    for number, put in enumerate(foreign):
        (tmp_path / str(number)).mkdir()
        path = tmp_path / str(number) / "out"
        put(path)
        before = content(path.parent)
        with pytest.raises(UserError, match=r"exists and is not .*, so it is not replaced"):
            check_output(path, kind)
        with pytest.raises(UserError), atomic_write(path, kind):
            pytest.fail("the work should not begin")
        assert content(path.parent) == before


def test_a_huge_file_is_not_read_to_recognise_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "x.json", {"a": 1})
    monkeypatch.setattr(outputs, "LARGEST", 3)
    with pytest.raises(UserError, match="exists and is not JSON of the same command"):
        write_json(tmp_path / "x.json", {"a": 2})


@pytest.mark.parametrize("kind", [NOTHING, FOLDER_OF_OURS, FILE_OF_OURS])
def test_the_working_folder_and_those_that_hold_it_stay(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "home" / "project"
    (work / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to(work)
    monkeypatch.chdir(work)
    for name in ("", ".", "..", "inner/..", "../..", "/", str(work), str(tmp_path / "link")):
        with pytest.raises(UserError, match="is the working folder, or holds it"):
            check_output(Path(name), kind)
    assert (work / "inner").is_dir()


def test_a_device_stays(tmp_path: Path) -> None:
    """One of its own: were the code wrong, a test by root would replace the system's."""
    os.mkfifo(tmp_path / "pipe")
    paths = [tmp_path / "pipe"]
    with suppress(PermissionError):  # root's
        os.mknod(tmp_path / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        paths.append(tmp_path / "null")
    for path in paths:
        for kind in (NOTHING, FILE_OF_OURS, FOLDER_OF_OURS):
            with pytest.raises(UserError, match="is a device, pipe or socket"):
                check_output(path, kind)
        assert not path.is_file()


def test_a_link_is_replaced_and_not_what_it_points_to(tmp_path: Path) -> None:
    """As in DVC's cache, where other commits' outputs lie."""
    write_json(tmp_path / "cached.json", {"a": 1})
    (tmp_path / "out.json").symlink_to("cached.json")
    write_json(tmp_path / "out.json", {"a": 2})
    assert json.loads((tmp_path / "cached.json").read_text()) == {"a": 1}
    assert json.loads((tmp_path / "out.json").read_text()) == {"a": 2}
    assert not (tmp_path / "out.json").is_symlink()
