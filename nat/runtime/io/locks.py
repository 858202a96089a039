"""Locks between processes of one machine, or of several that share a disk.

A lock is a file that its holder removes again. Whoever waited for it may then hold the lock of a
file that is gone while another process holds that of a new one, so the file's identity is asked
after every wait.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
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
                print(f"{path.stem}: another process works on it; waiting", file=sys.stderr)
                fcntl.flock(handle, fcntl.LOCK_EX)
            if is_open(path, handle):
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
