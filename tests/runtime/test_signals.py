"""Signals to real processes: one line, the usual exit code, nothing left behind, and it goes on."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import write_image_folder
from PIL import Image
from ruamel.yaml import YAML
from tiny import ALL, PROJECT, settings

from nat.runtime import signals
from nat.runtime.settings.load import load_params
from nat.targets import sample_targets, save_targets

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}
LINE = "stopped by {}; run the same command again to go on\n"
NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM", signal.SIGHUP: "SIGHUP"}


def hear() -> None:
    """The tests' own shell may ignore Ctrl-C, which processes inherit."""
    for number in CODES:
        signal.signal(number, signal.SIG_DFL)


@contextmanager
def started(words: list[str]) -> Iterator[subprocess.Popen]:
    """A process in a session of its own, which a test leaves neither alive nor with children."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=PROJECT,
        start_new_session=True,
        preexec_fn=hear,
        **pipes,
    )
    try:
        yield process
        deadline = time.monotonic() + 10  # the tracker of multiprocessing ends after the others
        while session(process) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not session(process)
    finally:
        for number in session(process):
            os.kill(number, signal.SIGKILL)
        process.wait()


def session(process: subprocess.Popen) -> list[int]:
    """The processes that it has started, itself included while it runs."""
    found = subprocess.run(
        ["ps", "-o", "pid=,stat=", "-s", str(process.pid)], capture_output=True, text=True
    ).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "Z" not in line.split()[1]]


def until(happened: Callable[[], object], process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("number", CODES)
@pytest.mark.parametrize("code", [0, 1])
def test_a_command_that_has_ended_is_not_stopped(number: signal.Signals, code: int) -> None:
    """Its outputs are there, and its exit code tells of them."""
    lines = (
        "import os, sys, time, nat.runtime.boundary",
        "from nat.__main__ import main",
        f"nat.runtime.boundary.run = lambda: sys.exit({code})",
        "try: main()",
        f"finally: os.kill(os.getpid(), {int(number)}), time.sleep(0.1)",  # as Python ends
    )
    with started(["-c", "\n".join(lines)]) as process:
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == code


def stopped(process: subprocess.Popen, number: signal.Signals, state: Path) -> None:
    """Send the signal; the process says in one line where its state is, and ends."""
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    *epochs, last = told.splitlines(keepends=True)
    told_of = re.fullmatch(r"(.+) after epoch \d+ \(state: (.+)\)\n", last)
    assert told_of
    assert told_of[1] == LINE.format(NAMES[number]).rstrip()
    assert Path(told_of[2]).parent == state
    assert Path(told_of[2], "state.pt").exists()
    assert all(re.match(r"\S+ \d+/\d+: loss |\S+: resuming at epoch ", line) for line in epochs)
    assert process.returncode == CODES[number]


class Job:
    """A tiny pipeline's parameter file in a folder."""

    def __init__(self, folder: Path, **groups: object) -> None:
        self.folder = folder
        machine = {"data": str(folder / "data"), "scratch": str(folder / "scratch")}
        groups["machine"] = machine | groups.get("machine", {})  # type: ignore[operator]
        YAML().dump(settings(**groups), folder / "params.yaml")

    def words(self, *words: object) -> list[str]:
        return ["-m", "nat", *map(str, words), "--params", str(self.folder / "params.yaml")]


AT_IMPORT = """
import os, runpy, sys
class Finder:
    def find_spec(name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), {number})
sys.meta_path.insert(0, Finder)
sys.argv = ["nat", "check", "--out", os.devnull]
runpy.run_module("nat", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    "module",
    ["nat.runtime.signals", "nat.runtime.boundary", "click", "pydantic", "nat.cli"],
)
def test_ctrl_c_while_modules_are_loaded_is_one_line(module: str) -> None:
    with started(["-c", AT_IMPORT.format(module=module, number=int(signal.SIGINT))]) as process:
        assert process.communicate(timeout=60)[1] == LINE.format("Ctrl-C")
    assert process.returncode == 130


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_are_told_likewise(number: signal.Signals) -> None:
    with started(["-c", AT_IMPORT.format(module="ruamel.yaml", number=int(number))]) as process:
        assert process.communicate(timeout=60)[1] == LINE.format(NAMES[number])
    assert process.returncode == CODES[number]


def test_what_is_ignored_for_a_command_stays_ignored() -> None:
    """By nohup, or by a shell for what it starts in the background."""
    code = (
        "import os, signal\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from nat.runtime.signals import listen\n"
        "listen()\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "print('goes on')"
    )
    with started(["-c", code]) as process:
        assert process.communicate(timeout=60) == ("goes on\n", "")


def test_a_signal_that_python_would_drop_stops_all_the_same() -> None:
    """Python prints and forgets what is raised in a destructor."""
    code = (
        "import os, signal, time\n"
        "from nat.runtime.signals import Stopped, listen\n"
        "listen()\n"
        "class Last:\n"
        "    def __del__(self):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "try:\n"
        "    Last()\n"
        "    time.sleep(20)\n"
        "except Stopped as stopped:\n"
        "    print(stopped.number)"
    )
    with started(["-c", code]) as process:
        assert process.communicate(timeout=10) == ("15\n", "")


def test_an_error_that_a_library_made_of_a_stop_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its cause or context; or, where no more than a text is left, by how recent it is."""
    monkeypatch.setattr(signals, "_latest", None)
    caused, within, other = ImportError("x"), ImportError("y"), ImportError("z")
    caused.__cause__, within.__context__ = ValueError(), signals.Stopped(2)
    caused.__cause__.__cause__ = signals.Stopped(15)
    found = [signals.stopped_by(error) for error in (caused, within, other)]
    assert found == [15, 2, None]
    for ago, number in ((1.0, 15), (60.0, None)):
        monkeypatch.setattr(signals, "_latest", (time.monotonic() - ago, 15))
        assert signals.stopped_by(other) == number


def test_other_errors_that_python_would_drop_are_told_as_ever() -> None:
    code = (
        "from nat.runtime.signals import listen\n"
        "listen()\n"
        "class Last:\n"
        "    def __del__(self):\n"
        "        raise ValueError('of a destructor')\n"
        "Last()"
    )
    with started(["-c", code]) as process:
        output, errors = process.communicate(timeout=60)
    assert output == ""
    assert "Exception ignored in" in errors
    assert "ValueError: of a destructor" in errors


def test_children_are_deaf_from_the_first_one_on() -> None:
    """The start of multiprocessing's tracker, which comes with the first, lets signals through."""
    code = (
        "import multiprocessing, signal\n"
        "from nat.runtime.signals import STOPPING, deaf_children\n"
        "context = multiprocessing.get_context('spawn')\n"
        "with deaf_children():\n"
        "    child = context.Process(target=print, args=('child',))\n"
        "    child.start()\n"
        "    deaf = set(STOPPING) <= signal.pthread_sigmask(signal.SIG_BLOCK, ())\n"
        "child.join()\n"
        "print(deaf, set(STOPPING) & signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    )
    with started(["-c", code]) as process:
        assert process.communicate(timeout=60) == ("child\nTrue set()\n", "")


def test_steps_that_belong_together_are_not_torn_apart() -> None:
    code = (
        "import os, signal\n"
        "from nat.runtime.signals import Stopped, held, listen\n"
        "listen()\n"
        "try:\n"
        "    with held():\n"
        "        with held():\n"
        "            os.kill(os.getpid(), signal.SIGTERM)\n"
        "        print('together')\n"
        "    print('never')\n"
        "except Stopped as stopped:\n"
        "    print(stopped.number)"
    )
    with started(["-c", code]) as process:
        assert process.communicate(timeout=60) == ("together\n15\n", "")


def test_a_second_signal_does_not_disturb_the_tidying_up() -> None:
    code = (
        "import os, signal, time\n"
        "from nat.runtime.signals import Stopped, listen\n"
        "listen()\n"
        "try:\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "    finally:\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
        "        print('tidied up')\n"
        "except Stopped as stopped:\n"
        "    print(stopped.number)"
    )
    with started(["-c", code]) as process:
        assert process.communicate(timeout=60) == ("tidied up\n2\n", "")


def test_a_training_stops_and_goes_on(manifest: Path, tmp_path: Path) -> None:
    targets = tmp_path / "targets.npy"
    job = Job(tmp_path, pretrain={"epochs": 100_000, "knn_every": "never", "save_every": "never"})
    words = job.words("pretrain", "--images", manifest, "--targets", targets)
    words += ["--out", f"{tmp_path}/out/net", "--result", f"{tmp_path}/out/result.json"]
    made = load_params(tmp_path / "params.yaml").targets
    save_targets(sample_targets("sphere", 96, made, 0), targets)
    for number in (signal.SIGINT, signal.SIGTERM):  # the second goes on from the first's state
        # the history is written after the state
        states = {f: f.stat().st_mtime_ns for f in tmp_path.glob("scratch/*/history.csv")}
        with started(words) as process:
            until(
                lambda before=states: any(
                    file.stat().st_mtime_ns != before.get(file)
                    for file in tmp_path.glob("scratch/*/history.csv")
                ),
                process,
            )
            stopped(process, number, tmp_path / "scratch")
    assert not list((tmp_path / "out").iterdir())
    (file,) = (tmp_path / "scratch").glob("nat-0-*/state.pt")
    assert torch.load(file, weights_only=True)["next"] > 1


def test_decoding_processes_end_with_it(tmp_path: Path) -> None:
    images = tmp_path / "images"
    write_image_folder(images, 2)
    large = tmp_path / "large.png"
    draws = np.random.default_rng(0)
    Image.fromarray(draws.integers(0, 256, (1500, 1500, 3), np.uint8)).save(large, compress_level=1)
    for index in range(400):
        os.link(large, images / "disc" / f"large-{index}.png")
    job = Job(
        tmp_path,
        machine={"threads": 2},
        images={"source": "folder", "folder": str(images), **ALL},
    )
    words = job.words("prepare", "images", "--out", tmp_path / "out" / "p.json")
    # to the whole group as from a terminal or from Slurm, and to the parent alone
    for number, send in ((signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill)):
        with started(words) as process:
            until(lambda: list(tmp_path.glob("data/stores/*/journal")), process)
            until(lambda started=process: len(session(started)) >= 3, process)
            send(process.pid, number)
            _, told = process.communicate(timeout=60)
            *noted, last = told.splitlines(keepends=True)
            assert last == LINE.format(NAMES[number])
            assert all(line.startswith("images: ") for line in noted)  # found, and the space
            assert process.returncode == CODES[number]
        assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("send", [os.killpg, os.kill])
def test_a_process_that_reads_a_foreign_file_ends_with_it(send: Callable[[int, int], None]) -> None:
    code = (
        "import time\n"
        "from nat.runtime.processes import call_apart\n"
        "from nat.runtime.signals import Stopped, listen\n"
        "listen()\n"
        "try:\n"
        "    call_apart(2**30, time.sleep, 100)\n"
        "except Stopped as stopped:\n"
        "    print(stopped.number)"
    )
    with started(["-c", code]) as process:
        # one more is multiprocessing's own
        until(lambda: len(session(process)) >= 3, process)
        send(process.pid, signal.SIGINT)
        assert process.communicate(timeout=20) == ("2\n", "")
