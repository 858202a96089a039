"""Two users of one machine who share the folders of images and of interrupted trainings.

Both run the same experiment, the second with no right to what the first has written.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import write_image_folder
from pipeline import ENVIRONMENT
from ruamel.yaml import YAML
from tiny import ALL, PROJECT, settings
from users import NOBODY, another_user

NETWORK = "network/network.safetensors"


class User:
    """Somebody with a copy of the project."""

    def __init__(self, home: Path, shared: Path, prefix: list[str]) -> None:
        self.home, self.prefix = home, prefix
        home.mkdir()
        shutil.copytree(PROJECT / "nat", home / "nat", ignore=shutil.ignore_patterns("__pycache__"))
        content = settings(
            machine={"data": str(shared / "data"), "scratch": str(shared / "scratch")},
            images={"source": "folder", "folder": str(shared / "images"), **ALL},
            pretrain={"epochs": 2, "save_every": "never", "knn_every": "never"},
        )  # fmt: skip
        YAML().dump(content, home / "params.yaml")
        if prefix:
            os.chown(home, NOBODY, NOBODY)

    def start(self, *words: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self.prefix, sys.executable, "-m", "nat", *words],
            cwd=self.home,
            env=ENVIRONMENT | {"HOME": str(self.home), "MPLCONFIGDIR": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def nat(self, *words: str) -> str:
        process = self.start(*words)
        told = process.communicate(timeout=120)[0]
        assert process.returncode == 0, told
        return told

    def pretraining(self) -> "subprocess.Popen[str]":
        words = ["--images", "images.json", "--targets", "targets.npy", "--out", "network"]
        return self.start("pretrain", *words, "--result", "result.json")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images; a data folder, the first user's; scratch, into which all may write, as in /tmp."""
    folder = tmp_path_factory.mktemp("shared")
    write_image_folder(folder / "images", a_class=12)
    (folder / "scratch").mkdir()
    (folder / "scratch").chmod(0o1777)
    return folder


@pytest.fixture(scope="module")
def users(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[User, User]:
    """Two with the same images and targets, in a store that the first has prepared."""
    prefix = another_user()
    if not prefix:
        pytest.skip("only root can start a process as another user")
    homes = tmp_path_factory.mktemp("homes")
    first, second = User(homes / "first", shared, []), User(homes / "second", shared, prefix)
    first.nat("prepare", "images", "--out", "images.json")
    first.nat("targets", "--images", "images.json", "--out", "targets.npy")
    for name in ("images.json", "targets.npy"):
        shutil.copy(first.home / name, second.home)
    return first, second


def left(shared: Path) -> list[str]:
    return sorted(path.name for path in (shared / "scratch").iterdir())


def ends_well(process: "subprocess.Popen[str]") -> None:
    told = process.communicate(timeout=120)[0]
    assert process.returncode == 0, told


def test_both_train_the_same_run_at_once(users: tuple[User, User], shared: Path) -> None:
    for process in [user.pretraining() for user in users]:
        ends_well(process)
    first, second = (user.home / NETWORK for user in users)
    assert first.read_bytes() == second.read_bytes()
    assert second.stat().st_uid == NOBODY
    assert left(shared) == []


def test_the_second_is_not_kept_by_what_the_first_left(
    users: tuple[User, User], shared: Path
) -> None:
    """Killed in its training, with its state and lock still there."""
    first, second = users
    for user in users:
        shutil.rmtree(user.home / "network")
    killed = first.pretraining()
    while killed.poll() is None and not list(shared.glob("scratch/*/state.pt")):
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    remains = left(shared)
    assert any((shared / "scratch" / name).is_dir() for name in remains)
    ends_well(second.pretraining())
    assert left(shared) == remains  # the first goes on from its own state
    ends_well(first.pretraining())
    assert (first.home / NETWORK).read_bytes() == (second.home / NETWORK).read_bytes()
    assert left(shared) == []


def test_the_second_finds_prepared_what_the_first_prepared(
    users: tuple[User, User], shared: Path
) -> None:
    first, second = users
    stores = sorted(path.name for path in (shared / "data/stores").iterdir())
    second.nat("prepare", "images", "--out", "mine.json")
    assert (second.home / "mine.json").read_bytes() == (first.home / "images.json").read_bytes()
    assert sorted(path.name for path in (shared / "data/stores").iterdir()) == stores
    # other images have no place to go, which is said
    words = ["prepare", "images", "--out", "other.json", "--set", "images.size=34"]
    process = second.start(*words)
    told = process.communicate(timeout=120)[0].splitlines()
    assert process.returncode == 1, told
    assert told[-1].startswith("error: "), told
    assert str(shared / "data") in told[-1]
    assert not [line for line in told if line.startswith("Traceback")]
