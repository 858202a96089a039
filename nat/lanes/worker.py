"""A stage in a process of its own, started from a server that has loaded what stages load.

Importing DVC, PyTorch and the other libraries takes some 5 seconds of a core, which all stages
share in this way. Of this package's code that decides a result nothing is loaded beforehand: a
stage runs it as it is when DVC looks at it.
"""

import logging
import multiprocessing
import os
import re
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nat.runtime.boundary import report
from nat.runtime.signals import STOPPING

CONTEXT = multiprocessing.get_context("forkserver")
OURS = re.compile(r"python -m nat( [\w.,=+:/@%-]+)*")  # a command that needs no shell
LOCK = "dvc.lock"  # of a folder's stages
CONTEXT.set_forkserver_preload(["nat.lanes.preload"])


def run_stage(name: str, output: Connection, variables: Mapping[str, str]) -> None:
    """Let DVC run one stage, whatever it needs being up to date; exit with 1 if it fails.

    Args:
        name: as DVC addresses it.
        output: what takes the lines that it prints.
        variables: of the environment, to be set.
    """
    _begin(output, variables)
    from dvc.exceptions import DvcException
    from dvc.logger import set_loggers_level
    from dvc.repo import Repo
    from dvc.stage import run

    tqdm.monitor_interval = 0  # else DVC's bars, though not shown, start a thread
    if sys.platform == "linux" and hasattr(run, "_run"):  # whose forks are safe
        run._run = _warm(run._run)
    _rewrite_locks_plainly()
    try:
        with set_loggers_level(logging.WARNING), Repo(_wait_for_lock=True) as repo:
            repo.reproduce(name, single_item=True)
    except DvcException as error:
        report(f"DVC: {error.__cause__ or error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def run_command(words: Sequence[str], output: Connection, variables: Mapping[str, str]) -> None:
    """Run ``nat WORDS``, which is no stage."""
    _begin(output, variables)
    _watch([_parent()])
    _nat(words)


def count_gpus(answer: Connection) -> None:
    """Send how many CUDA devices there are."""
    import torch

    answer.send(torch.cuda.device_count())


def _begin(output: Connection, variables: Mapping[str, str]) -> None:
    os.setpgid(0, 0)  # with all that it starts, to be stopped together
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        os.dup2(output.fileno(), descriptor)
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    output.close()
    os.environ.update(variables)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)  # to which the server is deaf


def _warm(cold: Callable[..., None]) -> Callable[..., None]:
    """In place of DVC's start of a command: a fork of this process, if it is one of ours."""
    from dvc.stage.exceptions import StageCmdFailedError

    def run(executable: str, command: str, **options: Any) -> None:
        # not with threads, of which a fork has none, but what they have locked
        if not OURS.fullmatch(command) or threading.active_count() > 1:
            cold(executable, command, **options)
            return
        words = command.split()[3:]
        process = multiprocessing.get_context("fork").Process(
            target=_forked, args=(words, options["cwd"], options["env"], [_parent()])
        )
        process.start()
        former = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as DVC does: the command hears it
        process.join()
        signal.signal(signal.SIGINT, former)
        if process.exitcode:
            raise StageCmdFailedError(command, process.exitcode)

    return run


def _rewrite_locks_plainly() -> None:
    """Let DVC rewrite a lock file without reading it for comments, of which it writes none there.

    Its bytes are the same. With a hundred stages that reading is a second of a core for each.
    """
    from dvc import dvcfile
    from dvc.utils.serialize import dump_yaml, load_yaml

    if not hasattr(dvcfile, "modify_yaml"):
        return
    with_comments = dvcfile.modify_yaml

    @contextmanager
    def modify(path: str, fs: Any = None) -> Iterator[dict]:
        if Path(path).name != LOCK or not Path(path).is_file():
            with with_comments(path, fs=fs) as content:
                yield content
            return
        content = load_yaml(path, fs=fs)
        yield content
        dump_yaml(path, content, fs=fs)

    dvcfile.modify_yaml = modify


def _forked(words: Sequence[str], folder: str, environment: Mapping[str, str], above: list) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    _watch([_parent(), *above])
    _nat(words)


def _nat(words: Sequence[str]) -> None:
    """What `python -m nat WORDS` does."""
    sys.argv[:] = ["nat", *words]
    runpy.run_module("nat", run_name="__main__", alter_sys=True)


def _parent() -> Any:
    """What becomes ready when the process that asked for this one has ended."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    return parent.sentinel


def _watch(sentinels: list) -> None:
    """Stop, as by SIGTERM, when a process that waits for this one was killed."""

    def watch() -> None:
        wait_for(sentinels)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
