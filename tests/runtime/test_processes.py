import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import PROJECT

from nat.runtime.processes import Ended, call_apart

MEMORY = 2**28


def test_a_result_and_an_error_come_back() -> None:
    assert call_apart(MEMORY, divmod, 7, 2) == (3, 1)
    with pytest.raises(ValueError, match="ZeroDivisionError: "):
        call_apart(MEMORY, divmod, 7, 0)


def test_a_process_that_ends_is_told() -> None:
    with pytest.raises(Ended):
        call_apart(MEMORY, os._exit, 3)
    with pytest.raises(Ended):
        call_apart(MEMORY, signal.raise_signal, signal.SIGSEGV)


@pytest.mark.skipif(sys.platform != "linux", reason="the system bounds no memory")
def test_memory_is_bounded() -> None:
    assert len(call_apart(MEMORY, bytes, MEMORY // 4)) == MEMORY // 4
    assert len(call_apart(2**23, bytes, 2**20)) == 2**20  # beyond what Python itself takes
    with pytest.raises(MemoryError):
        call_apart(MEMORY, bytes, 2 * MEMORY)


def children(process: int) -> list[int]:
    return [
        int(word) for word in Path(f"/proc/{process}/task/{process}/children").read_text().split()
    ]


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds children in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_its_parent(how: int, tmp_path: Path) -> None:
    """However that ends, and though its own work would go on."""
    code = (
        "import time; from nat.runtime.processes import call_apart\n"
        "def work(path): open(path, 'w').close(); time.sleep(600)\n"
        f"if __name__ == '__main__': call_apart({MEMORY}, work, {str(tmp_path / 'begun')!r})\n"
    )
    (tmp_path / "script.py").write_text(code)
    env = os.environ | {"PYTHONPATH": str(PROJECT)}
    parent = subprocess.Popen(
        [sys.executable, str(tmp_path / "script.py")], env=env, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    started = children(parent.pid)
    assert started
    parent.send_signal(how)
    parent.wait(20)
    while any(alive(child) for child in started):
        assert time.monotonic() < deadline
        time.sleep(0.02)
