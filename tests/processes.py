"""Real processes of nat's commands, stopped at a chosen moment.

Starting Python and importing torch takes seconds, a command on tiny data tenths of one. So a server
process imports everything once and forks a process for each run (``start``), which is otherwise
what ``python -m nat`` is; ``start_whole`` starts the latter itself, alone or by torchrun.
"""

import importlib
import itertools
import multiprocessing
import multiprocessing.forkserver
import os
import pkgutil
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

PROJECT = Path(__file__).parents[1]
# what changes names or makes files; a file's content is flushed in between
CHANGES = {
    "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate",
    "os.chmod", "open", "subprocess.Popen",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR
HANDLED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ENDS_WITHIN = 60.0  # seconds, a command on tiny data; else it hangs


@dataclass(frozen=True)
class Moment:
    """When a process gets a signal.

    Attributes:
        kind: ``part`` of the time that an undisturbed run takes; ``before`` or ``after`` a change
            of the file system's names, counted from 1.
        at: which part, or which change.
    """

    kind: str
    at: float

    def __str__(self) -> str:
        return f"{self.kind}:{self.at:g}"

    @classmethod
    def parse(cls, text: str) -> "Moment":
        kind, _, at = text.partition(":")
        if kind not in ("part", "before", "after"):
            raise ValueError(f"{text}: should be part:0.5, before:3 or after:3")
        return cls(kind, float(at))


@dataclass
class Ended:
    """How a process ended.

    Attributes:
        code: its exit code, negative for a signal.
        seconds: from its start.
        output: what it printed, standard output and standard error.
        changes: those that it made to the file system, in words, if they were counted.
    """

    code: int
    seconds: float
    output: str
    changes: list[str] = field(default_factory=list)


def signal_at_change(
    moment: Moment | None, number: signal.Signals, note: Callable[[str], None] = lambda _: None
) -> None:
    """Send this process a signal just before or just after its n-th change of names.

    Every change is noted. After: before the interpreter does anything else, which its profiler
    tells. Signals that can be handled come at the first change at the earliest, when nat listens.
    """
    counter = itertools.count(1)

    def strike(*_: object) -> None:
        sys.setprofile(None)
        os.kill(os.getpid(), number)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event not in CHANGES or not changes_names(event, arguments):
            return
        count = next(counter)
        if count == 1:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
        note(f"{event} {' '.join(str(a) for a in arguments[: 1 + (event == 'os.rename')])}\n")
        if moment is not None and count == moment.at:
            if moment.kind == "before":
                os.kill(os.getpid(), number)
            elif moment.kind == "after":
                sys.setprofile(strike)

    sys.addaudithook(watch)


def changes_names(event: str, arguments: tuple[Any, ...]) -> bool:
    """Whether it concerns the run: opened to write, and no device."""
    if event == "subprocess.Popen":
        return True
    path = arguments[0]
    if not isinstance(path, str | bytes | os.PathLike) or os.fsdecode(path).startswith("/dev/"):
        return False
    return event != "open" or bool(arguments[2] & WRITING)


def run_nat(words: list[str]) -> None:
    """What ``python -m nat`` does, in this process."""
    sys.argv = ["nat", *words]
    runpy.run_module("nat", run_name="__main__", alter_sys=True)


def _forked(
    words: list[str],
    folder: Path,
    log: Path,
    environment: Mapping[str, str],
    replaced: Mapping[str, Any],
    moment: Moment | None,
    number: signal.Signals,
) -> None:
    """The body of a forked process."""
    os.setsid()  # a group of its own, as a shell gives every command
    os.chdir(folder)
    os.environ.update(environment)
    multiprocessing.set_start_method(None, force=True)  # not the server's, whose locks have names
    tempfile.tempdir = None  # read TMPDIR anew
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    for one in HANDLED:
        signal.signal(one, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
    for name, value in replaced.items():
        module, _, attribute = name.rpartition(".")
        getattr(importlib.import_module(module), attribute)  # or else it has another name now
        setattr(sys.modules[module], attribute, value)
    changes = os.open(log.with_suffix(".changes"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    signal_at_change(moment, number, lambda line: os.write(changes, os.fsencode(line)) and None)
    run_nat(words)


def modules_to_load() -> list[str]:
    """All of nat's, so that no run pays for imports."""
    import nat

    return ["torch.distributed"] + [
        one.name
        for one in pkgutil.walk_packages(nat.__path__, "nat.")
        if "__main__" not in one.name
    ]


_context = multiprocessing.get_context("forkserver")


def serve() -> None:
    """Start the server, whose environment every fork has; more calls do nothing."""
    _context.set_forkserver_preload(modules_to_load())
    path = os.pathsep.join(str(folder) for folder in (PROJECT, PROJECT / "tests"))
    with mock.patch.dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS="1"):
        multiprocessing.forkserver.ensure_running()


class Process:
    """A running command."""

    def __init__(self, folder: Path, log: Path, pid: int, wait: Callable[[float], int | None]):
        self.folder, self.log, self.pid, self._wait = folder, log, pid, wait
        self._start = time.perf_counter()
        self.code: int | None = None

    def ended(self, timeout: float) -> bool:
        """Whether it ends within ``timeout`` seconds."""
        if self.code is None:
            self.code = self._wait(max(timeout, 0))
        return self.code is not None

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone, if it still runs."""
        if not self.ended(0):
            with suppress(ProcessLookupError):  # it ends in this moment
                os.kill(self.pid, number)

    def stopped(self, timeout: float = ENDS_WITHIN) -> bool:
        """Wait until it has stopped (SIGSTOP) or ended; whether it has stopped."""
        deadline = time.monotonic() + timeout
        while not self.ended(0):
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2][0]
            if state == "T":
                return True
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.log}: neither stopped nor ended in {timeout} s")
            time.sleep(0.002)
        return False

    def finish(self) -> Ended:
        """Wait for its end.

        Raises:
            TimeoutError: it hangs; it has been killed.
        """
        if not self.ended(ENDS_WITHIN):
            self.signal(signal.SIGKILL)
            self.ended(ENDS_WITHIN)
            raise TimeoutError(f"still running after {ENDS_WITHIN} s: {self.log.read_text()}")
        assert self.code is not None
        changes = self.log.with_suffix(".changes")
        return Ended(
            self.code,
            time.perf_counter() - self._start,
            self.log.read_text(errors="replace"),
            changes.read_text(errors="replace").splitlines() if changes.exists() else [],
        )


def start(
    words: list[str],
    folder: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
    replaced: Mapping[str, Any] | None = None,
    moment: Moment | None = None,
    number: signal.Signals = signal.SIGKILL,
) -> Process:
    """Fork a process that runs ``nat WORDS``.

    Args:
        words: of the command line.
        folder: to run it in.
        log: file for what it prints; beside it, ``.changes``, a line for each change of names.
        environment: variables to set.
        replaced: modules' attributes by full name, and what to put in their places first.
        moment: at a change, to signal itself.
        number: that signal.
    """
    serve()
    log.touch()  # also if it is killed before it comes to that
    rest = (environment or {}, replaced or {}, moment, number)
    process = _context.Process(target=_forked, args=(words, folder, log, *rest))
    process.start()
    assert process.pid is not None

    def wait(timeout: float) -> int | None:
        process.join(timeout)
        return process.exitcode

    return Process(folder, log, process.pid, wait)


def start_whole(words: list[str], folder: Path, log: Path, processes: int = 1) -> Process:
    """Start Python and ``nat WORDS`` in it, several by torchrun; it counts no changes."""
    launch = [sys.executable]
    if processes > 1:
        launch += f"-m torch.distributed.run --standalone --nproc-per-node {processes}".split()
    launch += ["-m", "nat"]
    with open(log, "wb") as file:
        process = subprocess.Popen(
            [*launch, *words],
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"},
        )

    def wait(timeout: float) -> int | None:
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    return Process(folder, log, process.pid, wait)


def alive(folder: Path, within: float = 5.0) -> list[str]:
    """The processes that still work in ``folder`` after ``within`` seconds, by command line."""
    deadline = time.monotonic() + within
    while found := list(_working_in(folder)):
        if time.monotonic() > deadline:
            return [f"{pid} {words}" for pid, words in found]
        time.sleep(0.01)
    return []


def end_all(folder: Path) -> None:
    """Kill whatever still works in ``folder``."""
    for pid, _ in _working_in(folder):
        os.kill(pid, signal.SIGKILL)


def _working_in(folder: Path) -> Iterator[tuple[int, str]]:
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                words = (process / "cmdline").read_bytes().split(b"\0")
                yield int(process.name), os.fsdecode(b" ".join(words)).strip()[-200:]
        except OSError:  # ended meanwhile, or somebody else's
            continue


@contextmanager
def tidied(folder: Path) -> Iterator[None]:
    """Afterwards no process works in ``folder``, however the block ends."""
    try:
        yield
    finally:
        end_all(folder)
