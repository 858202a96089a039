"""Artifacts on another machine: a DVC remote, here a folder, between two clones.

Three stages of the pipeline stand for all; tests/test_pipeline.py pulls the whole of it.
"""

import shutil
import sys
from pathlib import Path

import pytest
from conftest import write_image_folder
from pipeline import clone_with_remote, commit, copy_project, run, stages_run

STAGE = "probe@random-0"


def artifacts(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.glob("artifacts/**/*"))
        if path.is_file() and path.name != ".gitignore"
    }


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which a trunk was made and probed."""
    root = tmp_path_factory.mktemp("remote")
    write_image_folder(root / "images", a_class=40)
    folder = copy_project(root / "project", root / "images", root)
    run(folder, "git", "init", "-q")
    commit(folder, "start")
    run(folder, "dvc", "repro", STAGE)
    commit(folder, "results")
    return folder


@pytest.fixture(scope="module")
def clone(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It elsewhere, with what was pushed, after the original's cache is gone."""
    clone = clone_with_remote(project, tmp_path_factory.mktemp("elsewhere"), "--with-deps", STAGE)
    shutil.rmtree(project / ".dvc" / "cache")
    return clone


def test_what_is_pulled_is_what_was_pushed(project: Path, clone: Path) -> None:
    pulled = artifacts(clone)
    assert pulled == artifacts(project)
    assert "artifacts/networks/random-0/network.safetensors" in pulled
    assert (clone / "data/images.json").read_bytes() == (project / "data/images.json").read_bytes()
    assert not (clone / "data" / "stores").exists()  # too large to share: made from the images


def test_nothing_is_computed_again(clone: Path) -> None:
    before = artifacts(clone)
    output = run(clone, "dvc", "repro", STAGE)
    assert "up to date" in output
    assert stages_run(output) == set()
    shutil.rmtree(clone / "artifacts")
    output = run(clone, "dvc", "repro", STAGE)  # out of the cache
    assert stages_run(output) == set()
    assert artifacts(clone) == before


def test_the_store_made_here_is_the_same(clone: Path) -> None:
    words = (sys.executable, "-m", "nat", "prepare", "images", "--out", "data/images.json")
    run(clone, *words)
    assert (clone / "data" / "stores").exists()
    assert "up to date" in run(clone, "dvc", "repro", STAGE)
