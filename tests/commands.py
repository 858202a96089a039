"""The commands as a user runs them, each in a process of its own.

The processes are forked from a server that has imported everything, since importing PyTorch takes
longer than most commands do on tiny data.
"""

import os
import pkgutil
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tiny import PROJECT
from users import become

import nat

SERVER = get_context("forkserver")
SERVER.set_forkserver_preload(
    [
        *(module.name for module in pkgutil.walk_packages(nat.__path__, "nat.")),
        *("conftest", "pytest", "pyarrow.parquet"),
    ]
)
SECONDS = 300  # after which a command is said to hang


@dataclass(frozen=True)
class Done:
    """How a command ended.

    Attributes:
        code: its exit status; negative is the signal that ended it.
        out: what it printed.
        err: and on standard error.
    """

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Limits:
    """What a command runs under.

    Attributes:
        umask: of its files.
        user: its user and group; None is our own.
        largest: bytes of the largest file that it may write; None is any.
        variables: of its environment, set beside ours.
        output: the file that its standard output is; None is a pipe.
    """

    umask: int = 0o022
    user: int | None = None
    largest: int | None = None
    variables: tuple[tuple[str, str], ...] = ()
    output: Path | None = None


def command(folder: Path, *words: str | Path, limits: Limits = Limits()) -> Done:
    """Run ``nat WORDS`` in ``folder``."""
    with tempfile.TemporaryDirectory() as place, _importable():
        # pipes, which no limit of files holds for, and which hold all that a command prints
        pipes = [Path(place, name) for name in ("out", "err")]
        for pipe in pipes:
            os.mkfifo(pipe)
        ends = [os.open(pipe, os.O_RDONLY | os.O_NONBLOCK) for pipe in pipes]
        if limits.output is not None:
            pipes[0] = limits.output
        arguments = ([str(word) for word in words], folder, *pipes, limits)
        process = SERVER.Process(target=_run, args=arguments)
        process.start()
        process.join(SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"nat {' '.join(map(str, words))}")
        out, err = (_drained(end) for end in ends)
        return Done(process.exitcode, out, err)


def _drained(end: int) -> str:
    with open(end, "rb", buffering=0) as pipe:
        return (pipe.read() or b"").decode()


@contextmanager
def _importable() -> Iterator[None]:
    """For the server, which starts with the first command: this project's nat, and the tests."""
    before = os.environ.get("PYTHONPATH")
    folders = [str(PROJECT), str(PROJECT / "tests"), *([before] if before else [])]
    os.environ["PYTHONPATH"] = os.pathsep.join(folders)
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _run(words: list[str], folder: Path, out: Path, err: Path, limits: Limits) -> None:
    for file, descriptor in ((out, 1), (err, 2)):
        opened = os.open(file, os.O_WRONLY)
        os.dup2(opened, descriptor)
        os.close(opened)
    _stand_in()
    os.chdir(folder)
    os.environ.update(limits.variables)
    os.umask(limits.umask)
    if limits.user is not None:
        become(limits.user)
    if limits.largest is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limits.largest, limits.largest))
    from nat.cli import main

    main(words, prog_name="nat")


def _stand_in() -> None:
    """Small made-up images for Fashion-MNIST's, which no test needs to download."""
    from conftest import CLASSES, fake_objects, image_set
    from matplotlib.figure import Figure

    from nat.data.store import Source, Split
    from nat.datasets import fashion_mnist
    from nat.runtime.settings.params import Images, Machine
    from nat.voc.data import prepare as voc

    def read(settings: Images, machine: Machine) -> Source:
        counts = {"train": settings.train or 96, "test": settings.test or 48}
        splits = {
            name: Split(count, *image_set(count, settings.size, seed))
            for seed, (name, count) in enumerate(counts.items())
        }
        return Source("fashion-mnist", CLASSES, splits)

    Figure.draw = lambda figure, renderer: None  # files of blank figures, which take little time
    fashion_mnist.read = read
    voc.read_objects = lambda folder, data: fake_objects()
