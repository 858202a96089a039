"""Locks between processes of one machine, or of several that share a disk.

A lock is a file that its holder removes again. Whoever waited for it may then hold the lock of a
file that is gone while another process holds that of a new one, so the file's identity is asked
after every wait.
"""

import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path``; another process that wants it waits, and says so.

    The folder is made where it is missing; the file is removed afterwards.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if not try_lock(handle):
                print(f"{path.stem}: {_holder(handle)}", file=sys.stderr, flush=True)
                fcntl.flock(handle, fcntl.LOCK_EX)
            if is_open(path, handle):
                with suppress(OSError):  # of a full disk; then it is not told who holds it
                    os.ftruncate(handle, 0)
                    os.pwrite(handle, f"{os.getpid()} {socket.gethostname()}".encode(), 0)
                break
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(handle)


def _holder(handle: int) -> str:
    """What to do about the process that holds a lock, as it wrote itself into the file."""
    pid, _, host = os.pread(handle, 1000, 0).decode(errors="replace").partition(" ")
    if not pid.isdecimal():
        return "another process works on it; waiting"
    elsewhere = f" on {host}" if host != socket.gethostname() else ""
    return (
        f"process {pid}{elsewhere} works on it; waiting. (A stage goes on if DVC alone was killed; "
        f"it ends by itself, or by `kill {pid}`, and this one goes on from its state.)"
    )


def try_lock(handle: int) -> bool:
    """Lock an open file or folder unless somebody else holds it.

    Raises:
        OSError: the disk has no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_open(path: Path, handle: int) -> bool:
    """Whether ``path`` still names what ``handle`` was opened on."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
