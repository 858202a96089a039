"""Processes that end with the one that started them, and are bounded in memory."""

import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

from nat.runtime.signals import deaf_children

LOOK = 1.0  # seconds between looks at whether the launcher is still there
GRACE = 30.0  # seconds to tidy up in


class Ended(Exception):
    """The process ended without an answer."""


def end_with_parent() -> None:
    """For a process that was started by multiprocessing: end when the parent does.

    A process whose parent was killed would go on, or wait for work forever. Signals, which reach
    every process of a terminal, are left to the parent by ``deaf_children``.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def stop_with_launcher() -> None:
    """Stop, as by SIGTERM, when the process that started this one was killed.

    For processes under torchrun, which ends them itself unless it was killed.
    """
    launcher = os.getppid()

    def watch() -> None:
        while os.getppid() == launcher:
            time.sleep(LOOK)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE)  # it may wait for processes that have ended
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def call_apart(memory: int, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a new process, which is gone afterwards whatever happens.

    Args:
        memory: bytes that the process may take beyond what its libraries have.
        function: to call; it, the arguments and the result are sent between the processes.
        arguments: of the call.

    Raises:
        Ended: the process ended, or was ended, before there was a result.
        MemoryError: the call takes more than ``memory``; where the system bounds it, as Linux does.
    """
    # spawned, not forked: a fork of a process with threads (torch's, a progress bar's) may hang
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, memory, function, arguments))
    try:
        with deaf_children():  # at whose end this process may be stopped
            process.start()
        sender.close()
        failed, answer = receiver.recv()
    except EOFError as error:
        raise Ended from error
    finally:
        if process.pid is not None:
            process.kill()
            process.join()
    if failed:
        raise answer
    return answer


def _answer(
    sender: Connection, memory: int, function: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    end_with_parent()
    _bound(memory)
    try:
        found = False, function(*arguments)
    except Exception as error:
        # a plain one, since some do not survive being sent
        kind = MemoryError if isinstance(error, MemoryError) else ValueError
        found = True, kind(f"{type(error).__name__}: {error}")
    sender.send(found)


def _bound(memory: int) -> None:
    """Let this process take ``memory`` bytes more than it has, where the system can tell."""
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
