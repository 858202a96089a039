"""Stages in forks of a server that has loaded their libraries: commands of the project itself."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import write_image_folder
from dvc import dvcfile
from pipeline import ENVIRONMENT, commit, copy_project, run, stages_run, start
from tiny import PROJECT

from nat.lanes.worker import OURS, _rewrite_locks_plainly

EPOCHS = "pretrain.epochs=200"  # far more than are trained here


@pytest.mark.parametrize(
    ("command", "ours"),
    [
        ("python -m nat check", True),
        ("python -m nat pretrain --override target_type=onehot,targets.k=10 --seed 0", True),
        ("python -m nat.launch --nproc-per-node 2 -m nat pretrain", False),
        ("python -m nat check && python -m nat report", False),
        ("python -m nat check > file", False),
        ("python -m nat embed --images ~/images", False),
        ("python -m nat embed --images '$HOME'", False),
        ("python3 -m nat check", False),
    ],
)
def test_commands_that_need_a_shell_get_one(command: str, ours: bool) -> None:
    assert bool(OURS.fullmatch(command)) == ours


def test_a_stage_is_forked_and_ends_with_what_started_it(tmp_path: Path) -> None:
    """No Python is started for it; and a kill of all that would end it leaves no child."""
    folder = copy_project(tmp_path / "project", tmp_path / "images", tmp_path)
    write_image_folder(tmp_path / "images", a_class=40)
    params = folder / "params.yaml"
    params.write_text(params.read_text().replace("epochs: 3", "epochs: 100000"))
    run(folder, "git", "init", "-q")
    commit(folder, "start")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text("#!/bin/sh\nexit 77\n")
    (tmp_path / "bin/python").chmod(0o755)
    path = f"{tmp_path / 'bin'}{os.pathsep}{ENVIRONMENT['PATH']}"
    process = start(folder, sys.executable, "-m", "nat", "lanes", "pretrain@0", PATH=path)
    deadline = time.monotonic() + 240
    while not list((folder / "scratch").glob("*/state.pt")):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.1)
    below = psutil.Process(process.pid).children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(below, timeout=60)
    assert not alive
    process.communicate()
    assert stages_run(run(folder, "dvc", "repro", "--dry", "pretrain@0")) == {"pretrain@0"}


def test_a_lock_is_rewritten_in_the_bytes_that_dvc_gives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file that is no lock the comments stay."""
    stage = {"cmd": "python -m nat new", "params": {"lr": 1e-08, "name": "1e3", "at": "0" * 32}}
    files = tmp_path / "dvc", tmp_path / "plainly"
    for way, folder in zip((lambda: None, _rewrite_locks_plainly), files, strict=True):
        folder.mkdir()
        with monkeypatch.context() as patch:
            patch.setattr(dvcfile, "modify_yaml", dvcfile.modify_yaml)  # to be put back
            way()
            (folder / "dvc.lock").write_bytes((PROJECT / "dvc.lock").read_bytes())
            (folder / "dvc.yaml").write_text("stages:\n  report: {cmd: b} # why\n")
            for name in ("dvc.lock", "dvc.yaml"):
                with dvcfile.modify_yaml(str(folder / name)) as content:
                    content["stages"]["report"]["cmd"] = "python -m nat other"
                    content["stages"]["new"] = stage
    for name in ("dvc.lock", "dvc.yaml"):
        first, second = ((folder / name).read_bytes() for folder in files)
        assert first == second
        assert b"python -m nat other" in first
    assert b"# why" in second
