"""The processes that decode, as their work ends and as they are stopped."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import PROJECT

from nat.datasets.filling.chunks import Chunk, write_chunks
from nat.runtime.errors import UserError

SIZE, ROWS = 8, 4
# the first process to decode starts as usual, the second takes far longer than the work does
SLOW_START = """
import os, sys, time
if "--multiprocessing-fork" in sys.orig_argv:
    try:
        os.close(os.open(os.environ["FIRST"], os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        time.sleep(30)
        open("awake", "w").close()
"""
STOPPED = f"""
import os, signal, threading, time
from pathlib import Path
from nat.datasets.filling.chunks import Chunk, write_chunks
from nat.runtime.signals import Stopped, listen

listen()
here = Path()
chunks = [
    Chunk(n, n, Path("rows"), 0, here, ["image.png"], None, {SIZE}, 1, False) for n in range({ROWS})
]
kill = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM))
try:
    written = 0
    for number, faults in write_chunks(iter(chunks), 2):
        assert not faults
        written += 1
        if written == {ROWS}:
            kill.start()
    time.sleep(10)
except Stopped as stopped:
    print(written, stopped.number)
"""


# as from a terminal; the parent is slow to end its children, so that they could say something
CTRL_C = f"""
import multiprocessing, os, signal, time
from pathlib import Path
from nat.datasets.filling.chunks import Chunk, write_chunks
from nat.runtime.signals import Stopped, listen

listen()
active_children = multiprocessing.active_children
multiprocessing.active_children = lambda: (time.sleep(1), active_children())[1]
chunks = [
    Chunk(n, n, Path("rows"), 0, Path(), ["image.png"], None, {SIZE}, 1, False)
    for n in range({ROWS})
]
try:
    for _ in write_chunks(iter(chunks), 2):
        os.killpg(0, signal.SIGINT)
        time.sleep(10)
except Stopped as stopped:
    print(stopped.number)
"""


def ran(code: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SLOW_START)
    Image.fromarray(np.full((SIZE, SIZE), 7, np.uint8)).save(tmp_path / "image.png")
    (tmp_path / "rows").write_bytes(bytes(ROWS * SIZE * SIZE))
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": f"{tmp_path / 'site'}{os.pathsep}{PROJECT}",
            "FIRST": str(tmp_path / "first"),
        },
        capture_output=True,
        text=True,
        timeout=60,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_stopped_while_a_process_that_is_not_needed_any_more_starts(tmp_path: Path) -> None:
    """It would look for the locks of a parent that has gone, and end in a traceback."""
    found = ran(STOPPED, tmp_path)
    assert (tmp_path / "first").exists()
    assert (found.stdout, found.stderr) == (f"{ROWS} 15\n", "")
    assert (tmp_path / "rows").read_bytes() == bytes([7]) * ROWS * SIZE * SIZE
    assert not (tmp_path / "awake").exists()


def test_processes_that_start_and_that_work_are_deaf_to_ctrl_c(tmp_path: Path) -> None:
    found = ran(CTRL_C, tmp_path)
    assert (tmp_path / "first").exists()
    assert (found.stdout, found.stderr) == ("2\n", "")


@pytest.mark.parametrize("processes", [1, 2])
def test_a_file_that_is_gone_is_none_of_the_unreadable_images(
    processes: int, tmp_path: Path
) -> None:
    """It may be there again when the work goes on."""
    (tmp_path / "rows").write_bytes(bytes(SIZE * SIZE))
    chunk = Chunk(0, 0, tmp_path / "rows", 0, tmp_path, ["a.png"], None, SIZE, 1, False)
    with pytest.raises(UserError, match=r"a\.png: cannot be read \(No such file or directory\)"):
        list(write_chunks(iter([chunk]), processes))


def test_a_process_that_was_killed_is_told(tmp_path: Path) -> None:
    Image.fromarray(np.full((SIZE, SIZE), 7, np.uint8)).save(tmp_path / "image.png")
    (tmp_path / "rows").write_bytes(bytes(100 * SIZE * SIZE))
    chunks = (
        Chunk(n, n, tmp_path / "rows", 0, tmp_path, ["image.png"], None, SIZE, 1, False)
        for n in range(100)
    )
    written = write_chunks(chunks, 2)
    next(written)
    for process in multiprocessing.active_children():
        process.kill()
    with pytest.raises(UserError, match=r"machine\.threads: 2: a decoding process was killed"):
        list(written)


def test_other_children_of_the_process_live_on(tmp_path: Path) -> None:
    """Those of a program that uses this package."""
    Image.fromarray(np.full((SIZE, SIZE), 7, np.uint8)).save(tmp_path / "image.png")
    (tmp_path / "rows").write_bytes(bytes(SIZE * SIZE))
    chunk = Chunk(0, 0, tmp_path / "rows", 0, tmp_path, ["image.png"], None, SIZE, 1, False)
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,))
    other.start()
    assert list(write_chunks(iter([chunk]), 2)) == [(0, {})]
    assert other.is_alive()
    other.kill()
    other.join()
