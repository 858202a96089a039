"""Signals that ask a command to stop: what is under way tidies up, and the state stays.

Ctrl-C, ``kill`` and a closed terminal raise one exception in the main thread, so that every
``finally`` block runs: temporary files are removed, processes are ended, locks are given back. This
module loads nothing heavy, as a command listens before it loads anything else.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ONE_WISH = 1.0  # seconds in which a second signal is the same wish, as two may be sent
RECENT = 5.0  # seconds in which an error is taken for what a library has made of a stop
AGAIN = 0.01  # seconds until an exception that went nowhere is raised anew


class Stopped(BaseException):
    """A signal asks the command to stop.

    No Exception, which handlers of errors would take it for; no KeyboardInterrupt, of which click
    makes an "Aborted!".

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


_latest: tuple[float, int] | None = None  # when, and which signal
_holding = 0  # blocks of `held` under way
_waiting: Stopped | None = None  # what came meanwhile
_saved = ""  # where the work under way could go on


def listen() -> None:
    """Let the signals raise Stopped, but for those that the caller lets be ignored (nohup).

    Of several processes under torchrun the first alone writes, and so has something to tidy up; the
    others end at once, rather than wait in an exchange that no one else takes part in.
    """
    alone = "TORCHELASTIC_RUN_ID" not in os.environ or os.environ.get("RANK", "0") == "0"
    for number in STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop if alone else signal.SIG_DFL)
    sys.unraisablehook = _raise_again


def _stop(number: int, _: FrameType | None) -> None:
    global _latest, _waiting
    now = time.monotonic()
    if _latest is not None and now - _latest[0] < ONE_WISH:
        return
    _latest = now, number
    if _holding:
        _waiting = Stopped(number)
        return
    raise Stopped(number)


@contextmanager
def held() -> Iterator[None]:
    """A few steps that belong together: a signal during the block stops at its end."""
    global _holding, _waiting
    if threading.current_thread() is not threading.main_thread():  # which alone hears signals
        yield
        return
    _holding += 1
    try:
        yield
    finally:
        _holding -= 1
        if _waiting is not None and not _holding:
            stopped, _waiting = _waiting, None
            raise stopped


@contextmanager
def deaf_children() -> Iterator[None]:
    """Processes of ``multiprocessing`` that start within hear none of the signals.

    Their parent, which hears them too, ends them; else each would end in a traceback of its own.
    They are deaf from their first moment on, as the mask of blocked signals is inherited. A signal
    during the block, which another thread may take in, stops this process at its end: a process
    half started would end in a traceback too.
    """
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # its start unblocks the signals
    with held():
        former = signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _raise_again(lost: "sys.UnraisableHookArgs") -> None:
    """Python drops what is raised in a destructor or in a callback of its garbage collector."""
    stopped = lost.exc_value
    if not isinstance(stopped, Stopped):
        sys.__unraisablehook__(lost)
        return

    def raise_it(*_: object) -> None:
        raise stopped

    signal.signal(signal.SIGALRM, raise_it)
    signal.setitimer(signal.ITIMER_REAL, AGAIN)


def stopped_by(error: BaseException) -> int | None:
    """The signal of which a library has made another exception, such as an ImportError.

    Some keep it as the cause, and some, pydantic among them, no more than its text.
    """
    if _latest is not None and time.monotonic() - _latest[0] < RECENT:
        return _latest[1]
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, Stopped):
        cause = cause.__cause__ or cause.__context__
    return None if cause is None else cause.number


def saved(where: str) -> None:
    """Remember what to tell of a stop from now on: from where it goes on. Empty: nothing."""
    global _saved
    _saved = where


def told(number: int) -> str:
    """What a user reads of a stop."""
    name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    return f"stopped by {name}; run the same command again to go on{_saved}"


def deafen() -> None:
    """Ignore further signals: the command ends now."""
    for number in (*STOPPING, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
