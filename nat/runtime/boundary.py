"""Where errors end: a user's fault is one line on standard error, a fault of ours says that it is.

What a user can mend is a UserError with the remedy in it. A few faults of the machine come as
other exceptions from anywhere, and are told here: files, memory, missing packages, lost processes.
Everything else is a programming error and keeps its traceback.
"""

import errno
import json
import os
import sys
import time
import traceback
from typing import NoReturn

from nat.runtime.errors import UserError, printable
from nat.runtime.signals import Stopped, stopped_by

LONGEST = 2000  # characters of a line
LAUNCHED = "NAT_LAUNCH"  # set by nat.launch, which tells itself what its processes report
LOST = "lost the other processes"
BROKEN = ("connection closed by peer", "connection reset by peer", "broken pipe", "socket closed")

# What a command's memory goes into, by its settings.
MEMORY = {
    "prepare": "images.size, voc.size or machine.threads",
    "proposals": "proposals.short_side, proposals.count or machine.threads",
    "targets": "targets.dimension, or set targets.precision to float16",
    "pretrain": "pretrain.batch_size, model.hidden or targets.dimension",
    "train": "the batch_size of its method in baselines, or model.hidden",
    "probe": "probe.batch_size or probe.hidden",
    "finetune": "finetune.batch_size, finetune.input, finetune.hidden or finetune.crops",
    "detect": "detect.images, detect.regions, detect.long_side or detect.hidden",
    "embed": "--size",
}


def run() -> NoReturn:
    """Run the command line.

    Raises:
        Stopped: a signal asked for it.
        SystemExit: the command has ended.
    """
    try:
        from nat.cli import main

        main()
        sys.exit(0)
    except Exception as error:
        number = stopped_by(error)
        if number is not None:
            raise Stopped(number) from error
        line = told(error)  # of what failed before any command began
        if line is not None:
            report(line)
        else:
            traceback.print_exc()
            report(f"bug: {type(error).__name__}: this is the project's fault, not yours; please "
                   "report it with the lines above and the command")  # fmt: skip
    sys.exit(1)


def told(error: Exception, command: str | None = None) -> str | None:
    """An error as a line for the user, or None for a programming error.

    Args:
        error: what a command raised.
        command: its name.
    """
    if isinstance(error, UserError):
        return f"error: {error}"
    if _out_of_memory(error):
        remedy = f"; lower {MEMORY[command]}" if command in MEMORY else ""
        return f"error: not enough memory ({_reason(error)}){remedy}"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"error: {place}{error.strerror or error}"
    if isinstance(error, ImportError):
        return _missing(error)
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return "error: machine.threads: the system starts no more threads; use fewer"
    if os.environ.get("WORLD_SIZE", "1") != "1" and _lost_the_others(error):
        return f"error: launcher: {LOST} ({_reason(error)}); one of them failed"
    if _of_torch(error, "torch._dynamo.exc", "TorchDynamoException"):
        return (
            f"error: machine.compile: torch.compile failed ({_reason(error)}); set it to false, or "
            "mend what it names"
        )
    return None


def _out_of_memory(error: Exception) -> bool:
    """Of Python, NumPy, OpenCV, the system, PyTorch on the CPU and on a GPU."""
    if isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno == errno.ENOMEM
    ):
        return True
    kind, text = type(error).__module__.partition(".")[0], str(error).lower()
    if kind == "cv2":
        return "insufficient memory" in text
    texts = ("out of memory", "can't allocate memory", "alloc_failed", "std::bad_alloc")
    return isinstance(error, RuntimeError) and any(words in text for words in texts)


def _missing(error: ImportError) -> str | None:
    """A package that is not installed, or that does not load here; not a module of the project."""
    name = (error.name or "").partition(".")[0]
    if not name or name == __name__.partition(".")[0]:
        return None
    return (
        f"error: the Python package {name} is not installed, or not whole ({_reason(error)}); "
        "install what the project needs: `bash run.sh`, or `pip install -e .` in its folder"
    )


def _lost_the_others(error: Exception) -> bool:
    if _of_torch(error, "torch.distributed", "DistError"):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in BROKEN)


def _of_torch(error: Exception, module: str, name: str) -> bool:
    """Whether an error is of a class of PyTorch, which is not loaded to find out."""
    kind = getattr(sys.modules.get(module), name, None)
    return kind is not None and isinstance(error, kind)


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def one_line(text: str) -> str:
    """Text that takes one line of a terminal whatever is in it."""
    line = printable(" ".join(text.split()))
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."


def drop_output() -> None:
    """Forget what was printed and cannot be written, which Python would try again as it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def report(text: str) -> None:
    """Tell the user, in one line on standard error.

    Of the processes that torchrun starts on a machine the first tells it; all leave it where
    torchrun looks for the reason of an end, which its own report then shows.
    """
    text = one_line(text)
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if file:
        facts = {"py_callstack": text, "timestamp": str(int(time.time()))}
        try:
            with open(file, "w") as stream:
                json.dump({"message": {"message": text, "extraInfo": facts}}, stream)
        except OSError:
            file = None  # then it is told here
    if not file or (LAUNCHED not in os.environ and os.environ.get("LOCAL_RANK", "0") == "0"):
        print(text, file=sys.stderr, flush=True)
