"""What systems and programs leave in a folder changes no stage: .dvcignore, asked of DVC itself."""

import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo
from pipeline import copy_project, run

JUNK = [
    ".DS_Store", "._network.safetensors", "Thumbs.db", "desktop.ini", "Desktop.ini",
    ".ipynb_checkpoints/a.py", ".a.py.swp", "a.py~", "#a.py#", ".#a.py", "a.py.orig",
    "@eaDir/a@SynoEAStream", "#recycle/a", ".nfs0000000000000001", ".fuse_hidden0001",
    ".idea/a.xml", ".network.safetensors.abcd1234.part/network.safetensors", "__pycache__/a.pyc",
]  # fmt: skip


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A project whose stages count as run, and every folder that one depends on or writes."""
    root = tmp_path_factory.mktemp("junk")
    project = copy_project(root / "project", root / "images", root)
    run(project, "dvc", "config", "core.no_scm", "true")
    with Repo(project) as repo:
        outputs = {Path(out.fs_path) for stage in repo.index.stages for out in stage.outs}
        needed = {Path(dep.fs_path) for stage in repo.index.stages for dep in stage.deps}
    for path in outputs:
        if path.suffix or path.name == "checked":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("an output")
        else:
            path.mkdir(parents=True, exist_ok=True)
            (path / "network.safetensors").write_text("an output")
    for path in needed:
        if not path.exists():
            (path / "within").mkdir(parents=True) if not path.suffix else path.touch()
    run(project, "dvc", "commit", "--force", "--quiet")
    return project, sorted(path for path in outputs | needed if path.is_dir())


def test_the_declared_folders_are_known(folders: tuple[Path, list[Path]]) -> None:
    project, declared = folders
    names = {str(path.relative_to(project)) for path in declared}
    assert {"nat/report", "artifacts/networks/nat-0", "artifacts/results", "results"} < names
    assert {"reports/figures", "reports/tables"} < names


def test_junk_in_a_declared_folder_changes_no_stage(folders: tuple[Path, list[Path]]) -> None:
    project, declared = folders
    assert "up to date" in run(project, "dvc", "status")
    for folder in declared:
        for name in JUNK:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("junk")
    assert "up to date" in run(project, "dvc", "status")


def test_a_file_that_matters_changes_it(folders: tuple[Path, list[Path]]) -> None:
    project, declared = folders
    for folder in declared:
        (folder / "more.py").write_text("no junk")
    status = run(project, "dvc", "status")
    for folder in declared:
        assert str(folder.relative_to(project)) in status, folder
    for folder in declared:
        (folder / "more.py").unlink()
        shutil.rmtree(folder / ".ipynb_checkpoints", ignore_errors=True)
