"""Damaged and hostile inputs for every reader of files from outside: what comes of them.

    python benchmarks/fuzz.py --seconds 60
    python benchmarks/fuzz.py --reader network --inputs 100000 --seed 7
    python benchmarks/fuzz.py --reader assignment --seconds 600 --guided

The readers, and how inputs are made, are those of tests/readers. Each reader runs in a process
of its own that may take no more than --memory MB beyond its libraries. A fault is anything but the
content or one line of the project's own error: another exception, more memory, or the process's
end. Each kind, which is one exception at one place, is shown with an input that shows it. Small
files that claim to be large ones are tried first.
"""

import contextlib
import io
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from types import FunctionType

import click

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from readers.bombs import bombs
from readers.damage import damaged
from readers.table import READERS, Reader, outcome

from nat.runtime.processes import Ended, call_apart

GUIDING = ("nat", "csv", "json", "pickletools", "tarfile", "xml", "zipfile")  # packages
AT_ONCE = 5000  # inputs of a process, of which a crash loses the count


def tried(
    name: str, folder: str, seed: int, first: int, count: int, seconds: float
) -> tuple[Counter[str], dict[str, str]]:
    """Try inputs on a reader.

    Returns:
        How many were read, refused and faults, and an input of each kind of fault.
    """
    (reader,) = [reader for reader in READERS if reader.name == name]
    whole = (Path(folder) / reader.file).read_bytes()
    counts: Counter[str] = Counter()
    faults: dict[str, str] = {}
    end = time.monotonic() + seconds

    def one(key: int | str, content: bytes) -> None:
        Path(folder, "last").write_text(str(key))
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                said = outcome(reader, Path(folder), content)
            counts["refused" if said else "read"] += 1
        except Exception as error:
            counts["faults"] += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}"
            faults.setdefault(kind, f"input {key}: {' '.join(str(error)[:200].split())}")

    try:
        if first == 0:
            for key, content in bombs(reader.form):
                one(key, content)
        for number in range(first, first + count):
            if time.monotonic() > end:
                break
            draws = random.Random(f"{seed} {number}")
            one(number, damaged(whole, reader.form, draws))
    finally:
        (Path(folder) / reader.file).write_bytes(whole)
    return counts, faults


def try_reader(
    reader: Reader, seed: int, inputs: int | None, seconds: float, memory: int
) -> tuple[Counter[str], dict[str, str]]:
    """Try inputs on a reader, in processes; what ``tried`` found in all of them."""
    counts: Counter[str] = Counter()
    faults: dict[str, str] = {}
    first, end = 0, time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        reader.write(Path(folder))
        while first == 0 or (first < inputs if inputs is not None else time.monotonic() < end):
            count = AT_ONCE if inputs is None else min(AT_ONCE, inputs - first)
            left = max(end - time.monotonic(), 0) if inputs is None else float("inf")
            try:
                some, found = call_apart(
                    memory, tried, reader.name, folder, seed, first, count, left
                )
                counts += some
                faults = found | faults
            except (Ended, MemoryError) as error:
                counts["faults"] += 1
                kind = f"{type(error).__name__}, of its process"
                faults.setdefault(kind, f"input {Path(folder, 'last').read_text()}")
            first += count
    return counts, faults


def guide(reader: Reader, seed: int, seconds: float, memory: int) -> None:
    """Let atheris choose inputs by the lines that they reach; ends the process.

    atheris is no requirement of the project: ``pip install atheris``.
    """
    import atheris  # ends with the usual error where it is not installed

    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    reader.write(folder)
    (folder / "corpus").mkdir()
    whole = (folder / reader.file).read_bytes()
    (folder / "corpus" / "whole").write_bytes(whole)
    for number in range(50):
        content = damaged(whole, reader.form, random.Random(f"{seed} {number}"))
        (folder / "corpus" / str(number)).write_bytes(content)
    for module in [m for name, m in sys.modules.items() if name.split(".")[0] in GUIDING]:
        for function in vars(module).values():
            if isinstance(function, FunctionType) and function.__module__ == module.__name__:
                atheris.instrument_func(function)
    options = [f"-max_total_time={seconds:.0f}", f"-rss_limit_mb={memory}", f"-seed={seed + 1}"]
    options += [f"-artifact_prefix={folder}/", "-max_len=100000", str(folder / "corpus")]
    atheris.Setup([sys.argv[0], *options], lambda content: outcome(reader, folder, content))
    atheris.Fuzz()


@click.command()
@click.option("--reader", "name", help="One reader alone, by its name in the table.")
@click.option("--seconds", default=10.0, show_default=True, help="For each reader.")
@click.option("--inputs", type=int, help="For each reader, however long it takes.")
@click.option("--seed", default=0, show_default=True, help="Of the inputs.")
@click.option("--guided", is_flag=True, help="By atheris, one --reader, to the first fault.")
@click.option("--memory", default=512, show_default=True, help="MB beyond the libraries' own.")
def main(
    name: str | None, seconds: float, inputs: int | None, seed: int, guided: bool, memory: int
) -> None:
    """Print a markdown table; ends with 1 if there was a fault."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    chosen = [reader for reader in READERS if name in (None, reader.name)]
    if not chosen:
        raise click.UsageError(f"--reader: {', '.join(r.name for r in READERS)}")
    if guided:
        guide(chosen[0], seed, seconds, 4 * memory)
    print("| reader | inputs | read | refused | faults | kinds of faults |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    total: Counter[str] = Counter()
    kinds = 0
    for reader in chosen:
        counts, faults = try_reader(reader, seed, inputs, seconds, memory * 10**6)
        total += counts
        kinds += len(faults)
        print(_row(reader.name, counts, len(faults)), flush=True)
        for kind, example in faults.items():
            print(f"{reader.name}: {kind}, such as {example}", file=sys.stderr)
    print(_row("all", total, kinds))
    sys.exit(1 if total["faults"] else 0)


def _row(name: str, counts: Counter[str], kinds: int) -> str:
    cells = [counts.total(), counts["read"], counts["refused"], counts["faults"], kinds]
    return f"| {name} | " + " | ".join(f"{cell:,}" for cell in cells) + " |"


if __name__ == "__main__":
    main()
