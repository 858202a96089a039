"""Stages in forks of a server that has loaded their libraries: commands of the project itself."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import write_image_folder
from pipeline import ENVIRONMENT, commit, copy_project, run, stages_run, start

from nat.lanes.worker import OURS

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
