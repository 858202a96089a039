"""Paths in params.yaml: relative ones are the project's, from wherever a stage runs."""

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from click.testing import CliRunner
from conftest import write_image_folder
from ilsvrc import publish, write_tree
from pydantic import BaseModel
from ruamel.yaml import YAML
from tiny import ALL, PROJECT, machine, settings

from nat.cli import main
from nat.data.store import Store
from nat.datasets import cifar10, fashion_mnist, imagenet
from nat.datasets import folder as own_folder
from nat.datasets.filling.prepare import prepare_images
from nat.runtime.errors import UserError
from nat.runtime.io.paths import place, project_folder
from nat.runtime.settings.params import Images, Params
from nat.voc.data.archives import YEAR, obtain_devkit


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: a queued experiment's copy of the project ``tmp_path / "project"``."""
    folder = tmp_path / "project/.dvc/tmp/exps/temp/tmpabc"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def images(folder: str, **changes: object) -> Images:
    group = {"source": "folder", "folder": folder, **ALL, **changes}
    return Params.model_validate(settings(images=group)).images


def read_images(folder: Path, named: str) -> None:
    write_image_folder(folder, a_class=4)
    assert sum(map(len, own_folder.read(images(named), machine()).splits.values())) == 12


def read_class_folders(folder: Path, named: str) -> None:
    write_tree(folder)
    found = imagenet.read(
        images(named, source="imagenet"), machine(scratch=folder.parent / "scratch")
    )
    assert len(found.splits["train"])


def read_clothes(folder: Path, named: str) -> None:
    folder.mkdir()
    for name in fashion_mnist.SHA256:
        (folder / name).touch()
    assert fashion_mnist.find(named, "data") == folder


def read_batches(folder: Path, named: str) -> None:
    first = folder / cifar10.CIFAR10.base_folder / cifar10.CIFAR10.train_list[0][0]
    first.parent.mkdir(parents=True)
    first.touch()
    assert cifar10._find(named, "data") == first.parent


def read_devkit(folder: Path, named: str) -> None:
    (folder / YEAR).mkdir(parents=True)
    assert obtain_devkit(named, "data") == folder


@pytest.mark.parametrize(
    "read", [read_images, read_class_folders, read_clothes, read_batches, read_devkit]
)
def test_a_queued_experiment_reads_the_project_s_own_folder(
    copy: Path, read: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(copy, monkeypatch)
    read(project_folder() / "mine", "mine/")  # a slash at the end changes nothing


def kinds(annotation: Any) -> set[Any]:
    """The types that a setting may have besides lists, without what else is asked of it."""
    if get_origin(annotation) is Annotated:
        return kinds(get_args(annotation)[0])
    if isinstance(annotation, UnionType) or get_origin(annotation) is Union:
        return {kind for one in get_args(annotation) for kind in kinds(one)}
    return set() if get_origin(annotation) is list else {annotation}


def test_every_setting_that_names_a_path_is_resolved_in_one_place() -> None:
    """The settings that may be any text are paths, and modules that read them call ``place``."""
    free = {
        f"{group}.{name}"
        for group, field in Params.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for name, inner in field.annotation.model_fields.items()
        if kinds(inner.annotation) - {NoneType} == {str}
    }
    assert free == {
        "machine.data", "machine.device", "machine.keep", "machine.scratch", "machine.tensorboard",
        "images.folder", "images.source",
        "proposals.test", "proposals.trainval", "voc.folder",
    }  # fmt: skip
    for file in PROJECT.glob("nat/**/*.py"):
        code = file.read_text()
        if re.search(r"expanduser|Path\((str\()?(settings|params|machine)\.", code):
            assert file.name == "paths.py", file


def test_home_folders_and_absolute_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert place("~") == place("~/") == tmp_path
    assert place("~/a b/ü#/") == tmp_path / "a b/ü#"
    assert place("/a//b/") == Path("/a/b")
    assert place("./~odd") == tmp_path / "~odd"
    with pytest.raises(UserError, match="~nobody-of-this-name/x: there is no such user"):
        place("~nobody-of-this-name/x")


def test_a_project_behind_a_link_is_the_one_that_it_names(
    copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to("project")
    monkeypatch.chdir(tmp_path / "link")
    assert place("data") == tmp_path / "project/data"
    monkeypatch.chdir(tmp_path / "link" / os.path.relpath(copy, tmp_path / "project"))
    assert place("data") == tmp_path / "project/data"


@pytest.mark.parametrize(
    ("folder", "tracked"),
    [
        ("artifacts", "artifacts"),
        ("artifacts/networks/nat-0", "artifacts"),
        ("data/../reports/", "reports"),
        ("link", "artifacts"),
        ("nat/x", "nat"),
    ],
)
@pytest.mark.parametrize("setting", ["data", "scratch", "keep", "tensorboard"])
def test_a_working_folder_is_none_that_dvc_tracks(
    setting: str, folder: str, tracked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC would remove an interrupted training with the output that it lies in."""
    (tmp_path / "link").symlink_to("artifacts")
    (tmp_path / "artifacts").mkdir()
    YAML().dump(settings(), tmp_path / "params.yaml")
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(main, ["check", "--set", f"machine.{setting}={folder}"])
    assert told.exit_code == 1
    assert told.output.startswith(
        f"error: machine.{setting}: {folder} lies in the project's {tracked}"
    )
    assert not (tmp_path / "data").exists()
    CliRunner().invoke(
        main, ["check", "--set", f"machine.{setting}=natural"], catch_exceptions=False
    )
    assert (tmp_path / "data/checked").exists()


def test_data_on_another_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_params: Any
) -> None:
    """Stores behind a link: nothing is renamed from disk to disk."""
    other = Path("/dev/shm")
    if not (os.access(other, os.W_OK) and other.stat().st_dev != tmp_path.stat().st_dev):
        pytest.skip("there is no other disk at /dev/shm")
    write_image_folder(tmp_path / "images", a_class=6)
    group = {"source": "folder", "folder": str(tmp_path / "images"), **ALL}
    with tempfile.TemporaryDirectory(dir=other) as disk:
        (tmp_path / "data").mkdir()
        (tmp_path / "data/stores").symlink_to(disk)
        manifest = tmp_path / "images.json"
        for _ in range(2):  # the second finds it prepared
            params = make_params(images=group, machine={"data": str(tmp_path / "data")})
            prepare_images(params, manifest)
        assert len(Store(manifest, str(tmp_path / "data"), "train")) == 17
        assert len(list(Path(disk).iterdir())) == 1
