"""Several processes, started, ended and told of as one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tiny import PROJECT, settings
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

from nat.launch import _first
from nat.runtime.boundary import LAUNCHED, LOST, report
from nat.runtime.distributed import init_distributed
from nat.runtime.errors import UserError
from nat.runtime.settings.load import load_params
from nat.targets import sample_targets, save_targets

STOP = "stopped by SIGTERM; run the same command again to go on"


def training(folder: Path, manifest: Path) -> list[str]:
    """The words that start an endless one of two processes."""
    machine = {"data": str(folder / "data"), "scratch": str(folder / "scratch")}
    endless = {"epochs": 10**5, "batch_size": 16, "knn_every": "never", "save_every": "never"}
    YAML().dump(settings(machine=machine, pretrain=endless), folder / "params.yaml")
    made = load_params(folder / "params.yaml").targets
    save_targets(sample_targets("sphere", 96, made, 0), folder / "targets.npy")
    words = ["-m", "nat.launch", "--standalone", "--nproc-per-node", "2", "-m", "nat", "pretrain"]
    words += ["--params", f"{folder}/params.yaml", "--images", str(manifest)]
    words += ["--targets", f"{folder}/targets.npy", "--out", f"{folder}/out/net"]
    return [sys.executable, *words, "--result", f"{folder}/out/net.json"]


def running(number: int) -> bool:
    """Whether a process runs; one that has ended may wait for somebody to ask."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_its_launcher(
    number: signal.Signals, manifest: Path, tmp_path: Path
) -> None:
    words = training(tmp_path, manifest)
    launcher = subprocess.Popen(words, cwd=PROJECT, stderr=subprocess.PIPE, text=True)
    ranks: list[int] = []
    try:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("scratch/*/state.pt")):
            assert launcher.poll() is None, launcher.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        found = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(launcher.pid)], capture_output=True, text=True
        )
        ranks = [int(word) for word in found.stdout.split()]
        assert len(ranks) == 2
        launcher.send_signal(number)
        _, told = launcher.communicate(timeout=60)  # the pipe is closed when the last has ended
        if number == signal.SIGTERM:
            *_, last = told.splitlines()  # after the epochs
            assert (launcher.returncode, last) == (143, STOP)
        assert not any(running(rank) for rank in ranks)
    finally:
        for process in (launcher.pid, *ranks):
            if running(process):
                os.kill(process, signal.SIGKILL)
    assert not list((tmp_path / "out").iterdir())


def failed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *ends: tuple[str | int, int]
) -> ChildFailedError:
    """Processes that reported a text, or ended with a code, and when, in seconds."""
    failures = {}
    for rank, (end, at) in enumerate(ends):
        file = folder / f"{rank}.json"
        if isinstance(end, str):
            monkeypatch.setenv(LAUNCHED, "1")
            monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(file))
            monkeypatch.setattr("time.time", lambda at=at: at)
            report(end)
        failures[rank] = ProcessFailure(rank, 1, end if isinstance(end, int) else 1, str(file))
        failures[rank].timestamp = at
    return ChildFailedError("nat", failures)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ([("error: a: b", 5), (STOP, 4)], "error: a: b"),
        ([(f"error: launcher: {LOST} (peer)", 4), ("error: a: b", 5)], "error: a: b"),
        ([("error: a: b", 5), ("error: c: d", 4)], "error: c: d"),
        ([(-15, 4), (-9, 5)], "error: launcher: process 1 was ended by SIGKILL; run the same"),
        ([(-11, 4)], "error: launcher: process 0 was ended by SIGSEGV"),
        ([(-15, 4)], "error: launcher: process 0 was ended by SIGTERM"),
        ([(2, 4), (STOP, 3)], "error: launcher: process 0 ended with exit code 2"),
    ],
)
def test_the_process_that_failed_by_itself_is_told_of(
    ends: list[tuple[str | int, int]],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _first(failed(tmp_path, monkeypatch, *ends)).startswith(said)


def test_a_wrong_number_of_processes_is_one_line() -> None:
    words = [sys.executable, "-m", "nat.launch", "--nproc-per-node", "many", "-m", "nat"]
    ended = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True)
    assert ended.returncode == 1
    assert ended.stderr == "error: launcher: Unsupported nproc_per_node value: many\n"


@pytest.mark.parametrize(("name", "value"), [("WORLD_SIZE", "2"), ("RANK", "first")])
def test_an_environment_of_processes_that_are_not_there_is_named(
    name: str, value: str, make_params: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a batch system or a user may have left it."""
    monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"^launcher: .*(RANK expected|invalid literal.*first)"):
        init_distributed(make_params().machine, "float32")  # type: ignore[operator]
