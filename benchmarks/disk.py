"""What every command does on troubled disks: how often it was tried, and how often that went wrong.

Full: a small disk (tmpfs) that fills up at every n-th byte of what the command writes, with
machine.scratch on it, without, or with nothing else on it. Names: a disk that takes no more files
from the n-th on. Read-only, and forbidden: another user's. Size: no file may grow beyond one
(RLIMIT_FSIZE). Quota: a Btrfs whose quota fills up. Each time the command has to end with 1 and one
line that names file and cause, the earlier output has to stay as it was, nothing half-written may
be left, and once there is room the command has to end in the bytes of an undisturbed run.
tests/disks.py tells how that is found out.

Mounting needs root or `unshare --map-root-user --mount python benchmarks/disk.py`; without it,
the kinds that need no disk of their own are tried.
"""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from disks import CAUSES, PAGE, Bench, Trouble, cannot_be_another, cannot_mount
from recipes import recipes

RECIPES = recipes("disks")


def troubles(bench: Bench, name: str, kind: str, steps: int) -> Iterator[Iterator[Trouble]]:
    """Ways to make trouble, less and less of it, to be followed until the command ends well."""
    recipe, whole = RECIPES[name], bench.whole(name)
    files = [path.stat().st_size for path in whole.rglob("*") if path.is_file()]
    places = ("", "scratch", "outs") if recipe.state else ("",)
    if kind in ("full", "quota"):
        pages = sum(-(-size // PAGE) for size in files)
        yield from (
            (Trouble(kind, n * PAGE, place) for n in amounts(pages, steps)) for place in places
        )
    elif kind == "names":
        yield from (
            (Trouble(kind, n, place) for n in amounts(len(files), steps)) for place in places
        )
    elif kind == "size":
        yield (Trouble(kind, max(n, 1)) for n in amounts(max(files), steps))
    else:
        yield from (iter([Trouble(kind, spares=place)]) for place in places)


def amounts(expected: int, steps: int) -> Iterator[int]:
    """From 0 on, evenly to about what is expected to suffice, then by half as much more."""
    step = max(expected // steps, 1)
    for n in range(steps + 1):
        yield n * step
    more = (steps + 1) * step
    while True:
        yield more
        more += more // 2 + 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commands", nargs="+", default=list(RECIPES), choices=RECIPES)
    parser.add_argument("--kinds", nargs="+", default=list(CAUSES), choices=CAUSES)
    parser.add_argument("--steps", type=int, default=8, help="about so many sizes of each kind")
    options = parser.parse_args()
    absent = {kind: cannot_mount() for kind in ("full", "names", "read-only")}
    absent["quota"] = cannot_mount("quota")
    absent["forbidden"] = cannot_be_another()
    for reason in set(absent.values()) - {None}:
        print(f"not everything is tried: {reason}", file=sys.stderr)
    folder = Path(tempfile.mkdtemp(prefix="nat-"))
    failures = 0
    print("| command |", " | ".join(options.kinds), "| wrong |")
    print("| --- |", " ---: |" * (len(options.kinds) + 1))
    try:
        bench = Bench(folder)
        for name in options.commands:
            if "parquet" in name and not find_spec("pyarrow"):
                continue
            tried, wrong = dict.fromkeys(options.kinds, 0), 0
            for kind in options.kinds:
                for way in [] if absent.get(kind) else troubles(bench, name, kind, options.steps):
                    for trouble in way:
                        done, faults = bench.try_out(name, trouble)
                        wrong += bool(faults)
                        for fault in faults:
                            print(f"{name}: {trouble}: {fault}", file=sys.stderr, flush=True)
                        if done.code == 0:
                            break
                        tried[kind] += 1
            print(f"| {name} |", " | ".join(str(n or "-") for n in tried.values()), f"| {wrong} |")
            sys.stdout.flush()
            failures += wrong
    finally:
        shutil.rmtree(folder)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main())
