import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import PROJECT

from nat.runtime.io import locks
from nat.runtime.io.locks import locked

# holds the lock for a moment, with a file that says so; fails if another holds it too
HOLDER = """
import sys, time
from pathlib import Path
from nat.runtime.io.locks import locked
lock, busy = map(Path, sys.argv[1:])
for _ in range(20):
    with locked(lock):
        busy.touch(exist_ok=False)
        time.sleep(0.001)
        busy.unlink()
"""


def test_one_holder_at_a_time_although_each_removes_the_file(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "x.lock"), str(tmp_path / "busy")]
    holders = [subprocess.Popen(words, cwd=PROJECT, stderr=subprocess.DEVNULL) for _ in range(4)]
    assert [holder.wait() for holder in holders] == [0] * 4
    assert not list(tmp_path.iterdir())


def test_who_waits_says_so(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLDER, str(tmp_path / "x.lock"), str(tmp_path / "busy")]
    with locked(tmp_path / "x.lock"):
        waiting = subprocess.Popen(words, cwd=PROJECT, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
        assert waiting.poll() is None
    _, told = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    (line,) = told.splitlines()
    assert line.startswith(f"x: process {os.getpid()} works on it; waiting. (A stage goes on if ")
    assert f"`kill {os.getpid()}`" in line


def test_a_holder_that_is_not_known_is_waited_for_too(tmp_path: Path) -> None:
    """One that could not write itself into the file, as the disk was full."""
    lock = tmp_path / "x.lock"
    words = [sys.executable, "-c", HOLDER, str(lock), str(tmp_path / "busy")]
    with locked(lock):
        os.truncate(lock, 0)
        waiting = subprocess.Popen(words, cwd=PROJECT, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
    _, told = waiting.communicate(timeout=60)
    assert (waiting.returncode, told) == (0, "x: another process works on it; waiting\n")


def test_a_holder_on_another_machine_is_named_with_it(tmp_path: Path) -> None:
    lock = tmp_path / "x.lock"
    words = [sys.executable, "-c", HOLDER, str(lock), str(tmp_path / "busy")]
    with locked(lock):
        lock.write_text("123 elsewhere")
        waiting = subprocess.Popen(words, cwd=PROJECT, stderr=subprocess.PIPE, text=True)
        time.sleep(0.5)
    _, told = waiting.communicate(timeout=60)
    assert told.startswith("x: process 123 on elsewhere works on it; waiting. ")


def test_the_lock_names_its_holder_alone(tmp_path: Path) -> None:
    """Not with the rest of a longer name that a killed process left."""
    lock = tmp_path / "x.lock"
    lock.write_text(f"123456789 {'x' * 300}")
    with locked(lock):
        assert lock.read_text() == f"{os.getpid()} {socket.gethostname()}"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts open files in /proc")
def test_a_lock_of_a_file_that_is_gone_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its holder removed it; no file stays open."""

    def opened() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def gone(path: Path, handle: int) -> bool:
        if not vain:
            vain.append(path)
            path.unlink()
        return is_open(path, handle)

    vain: list[Path] = []
    is_open = locks.is_open
    monkeypatch.setattr(locks, "is_open", gone)
    before = opened()
    with locked(tmp_path / "x.lock"):
        assert (tmp_path / "x.lock").exists()
    assert vain
    assert opened() == before


def test_the_lock_is_gone_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "new" / "x.lock"):
        raise ZeroDivisionError
    assert not list((tmp_path / "new").iterdir())
