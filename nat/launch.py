"""Torchrun whose report is one line: ``python -m nat.launch OPTIONS -m nat COMMAND``.

The options are torchrun's. Torchrun itself adds a traceback of some 40 lines of its own to whatever
a process reports; here the process that failed first is told of as it would be alone.
"""

import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from nat.runtime.boundary import LAUNCHED, LOST, report
from nat.runtime.openmp import spin_shortly
from nat.runtime.signals import Stopped, deafen, listen, told

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError


def main(words: list[str] | None = None) -> NoReturn:
    """Start the processes, wait for them, and exit as the first that failed."""
    spin_shortly()
    try:
        listen()
        code = _run(words)
    except Stopped as stopped:
        deafen()
        report(told(stopped.number))
        code = 128 + stopped.number
    sys.exit(code)


def _run(words: list[str] | None) -> int:
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous.api import RendezvousError
    from torch.distributed.run import parse_args, run

    logging.disable(logging.ERROR)  # torchrun's own words for what is reported here
    os.environ[LAUNCHED] = "1"
    try:
        run(parse_args(words))
    except ChildFailedError as error:
        report(_first(error))
        return 1
    except SignalException as error:  # by now its processes have ended
        raise Stopped(error.sigval) from error
    except (RendezvousError, DistError, ValueError, OSError) as error:
        # options that do not fit together, a port in use, machines that do not meet
        report(f"error: launcher: {error}")
        return 1
    return 0


def _first(error: "ChildFailedError") -> str:
    """What a process said that failed by itself, rather than by the end of another."""
    first: list[str] = []
    later: list[str] = []  # by which torchrun ends the others, or which they end by
    for rank, failure in sorted(error.failures.items(), key=lambda item: item[1].timestamp):
        if isinstance(failure.message, dict):
            said = str(failure.message["message"])
            (later if LOST in said or said.startswith("stopped by") else first).append(said)
        elif failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            said = f"error: launcher: process {rank} was ended by {name}; run the same again"
            if name == "SIGKILL":
                said += ", with a smaller batch if it was for want of memory"
            (later if name == "SIGTERM" else first).append(said)
        else:
            said = f"error: launcher: process {rank} ended with exit code {failure.exitcode}"
            first.append(said)
    return (first + later)[0]


if __name__ == "__main__":
    main()
