"""Damaged and hostile inputs for every reader of files from outside: what comes of them.

    python benchmarks/fuzz.py --seconds 60
    python benchmarks/fuzz.py --reader network --inputs 100000 --seed 7

The readers, and how inputs are made, are those of tests/readers.py. Each reader runs in a process
of its own that may take no more than --memory MB beyond its libraries. A fault is anything but the
content or one line of the project's own error: another exception, more memory, or the process's
end; each kind of fault is shown with the number of an input that shows it. Small files that claim
to be large ones are tried first.
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

import click

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import readers

from nat.processes import Ended, call_apart

AT_ONCE = 500  # inputs of a process, of which a crash loses the count


def tried(
    name: str, folder: str, seed: int, first: int, count: int, seconds: float
) -> tuple[Counter[str], dict[str, int | str]]:
    """Try inputs on a reader.

    Returns:
        How many were read, refused and faults, and an input of each kind of fault.
    """
    (reader,) = [reader for reader in readers.READERS if reader.name == name]
    whole = (Path(folder) / reader.file).read_bytes()
    counts: Counter[str] = Counter()
    faults: dict[str, int | str] = {}
    end = time.monotonic() + seconds

    def one(key: int | str, content: bytes) -> None:
        Path(folder, "last").write_text(str(key))
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                said = readers.outcome(reader, Path(folder), content)
            counts["refused" if said else "read"] += 1
        except Exception as error:
            counts["faults"] += 1
            place = traceback.extract_tb(error.__traceback__)[-1]
            kind = f"{type(error).__name__} in {Path(place.filename).name}:{place.lineno}: {error}"
            faults.setdefault(kind[:200], key)

    try:
        if first == 0:
            for key, content in readers.bombs(reader.form):
                one(key, content)
        for number in range(first, first + count):
            if time.monotonic() > end:
                break
            draws = random.Random(f"{seed} {number}")
            one(number, readers.damaged(whole, reader.form, draws))
    finally:
        (Path(folder) / reader.file).write_bytes(whole)
    return counts, faults


def try_reader(
    reader: readers.Reader, seed: int, inputs: int | None, seconds: float, memory: int
) -> tuple[Counter[str], dict[str, int | str]]:
    """Try inputs on a reader, in processes; what ``tried`` found in all of them."""
    counts: Counter[str] = Counter()
    faults: dict[str, int | str] = {}
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
                faults.setdefault(kind, Path(folder, "last").read_text())
            first += count
    return counts, faults


@click.command()
@click.option("--reader", "name", help="One reader alone, by its name in the table.")
@click.option("--seconds", default=10.0, show_default=True, help="For each reader.")
@click.option("--inputs", type=int, help="For each reader, however long it takes.")
@click.option("--seed", default=0, show_default=True, help="Of the inputs.")
@click.option("--memory", default=512, show_default=True, help="MB beyond the libraries' own.")
def main(name: str | None, seconds: float, inputs: int | None, seed: int, memory: int) -> None:
    """Print a markdown table; ends with 1 if there was a fault."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    chosen = [reader for reader in readers.READERS if name in (None, reader.name)]
    if not chosen:
        raise click.UsageError(f"--reader: {', '.join(r.name for r in readers.READERS)}")
    print("| reader | inputs | read | refused | faults |")
    print("| --- | ---: | ---: | ---: | ---: |")
    total: Counter[str] = Counter()
    for reader in chosen:
        counts, faults = try_reader(reader, seed, inputs, seconds, memory * 10**6)
        total += counts
        print(_row(reader.name, counts), flush=True)
        for kind, key in faults.items():
            print(f"{reader.name}, input {key} of seed {seed}: {kind}", file=sys.stderr)
    print(_row("all", total))
    sys.exit(1 if total["faults"] else 0)


def _row(name: str, counts: Counter[str]) -> str:
    cells = [counts.total(), counts["read"], counts["refused"], counts["faults"]]
    return f"| {name} | " + " | ".join(f"{cell:,}" for cell in cells) + " |"


if __name__ == "__main__":
    main()
