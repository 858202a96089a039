"""Every stage is killed, many times over, and started again: what is lost, what is left behind?

    python benchmarks/kills.py --random 500 --out benchmarks/kills.csv

Each stage runs as a real process on tiny data and gets SIGKILL: at random moments, uniform over the
time that it takes undisturbed, a quarter of them twice in a row; and just before and just after
each change that it makes to the file system's names (rename, removal, new folder, file opened to
write, program started). It starts from nothing, over the outputs of other settings, or over its
own. Then it is run once more to the end, and everything that lies there is compared, byte for byte,
with what undisturbed runs leave; measured seconds alone may differ.

A row a stage: seconds of an undisturbed run, its changes of names, kills, trials that survived, and
those with a fault, by kind: ``child``, a process lives on; ``half``, an output between kill and
rerun neither the old one nor the new one, nor set aside whole; ``stuck``, the rerun fails;
``lost``, outputs that are missing or differ; ``left``, other names. Each fault is printed with the
words that repeat it.
"""

import csv
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

PROJECT = Path(__file__).parents[1]
KINDS = ("child", "half", "stuck", "lost", "left")
COLUMNS = ("stage", "seconds", "changes", "random", "at_changes", "survived", *KINDS)


def trials_of(
    name: str, start: str, random_kills: int, at_changes: int, seed: int, whole: bool, root: str
) -> dict[str, Any]:
    """Kill a stage from one start; what came of it."""
    sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]
    from kills import Trials
    from long_stages import STAGES, World
    from processes import Moment

    folder = Path(root) / f"{name}-{start}"
    trials = Trials(World.at(Path(root) / "world"), STAGES[name], folder, whole)
    reference = trials.reference(start)
    draws = random.Random(f"{seed} {name} {start}")
    plans: list[tuple[Moment, ...]] = []
    for number in range(random_kills):
        plans.append(
            tuple(Moment("part", draws.random()) for _ in range(2 if number % 4 == 3 else 1))
        )
    changes = [
        Moment(side, number)
        for number in range(1, len(reference.last.changes) + 1)
        for side in ("before", "after")
    ]
    chosen = sorted(draws.sample(range(len(changes)), min(at_changes, len(changes))))
    plans += [(changes[index],) for index in chosen]
    outcomes = [trials.trial(start, plan) for plan in plans]
    faulty = [outcome for outcome in outcomes if outcome.faults]
    row: dict[str, Any] = dict.fromkeys(COLUMNS, 0) | {
        "stage": name,
        "seconds": reference.last.seconds,
        "changes": len(reference.last.changes),
        "random": sum(o.killed for o in outcomes if o.moments[0].kind == "part"),
        "at_changes": sum(o.killed for o in outcomes if o.moments[0].kind != "part"),
        "survived": len(outcomes) - len(faulty),
    }
    for outcome in faulty:
        for kind in {kind for kind, _ in outcome.faults}:
            row[kind] += 1
    row["words"] = [str(outcome) for outcome in faulty] + [
        f"--stage {name} --start {start}, without a kill: left: {path}"
        for path in trials.without_kill(start)
    ]
    return row


def joined(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A stage's row from those of its starts: sums, but the mean of seconds and changes."""
    whole: Counter = Counter()
    for row in rows:
        whole.update({name: row[name] for name in COLUMNS if name != "stage"})
    return {
        **whole,
        "stage": rows[0]["stage"],
        "seconds": round(whole["seconds"] / len(rows), 2),
        "changes": round(whole["changes"] / len(rows)),
    }


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield f"| {' | '.join(COLUMNS)} |"
    yield f"| --- |{' ---: |' * (len(COLUMNS) - 1)}"
    for row in rows:
        yield f"| {' | '.join(str(row[name]) for name in COLUMNS)} |"


@click.command()
@click.option("--stage", "names", multiple=True, help="Of tests/long_stages.py; all by default.")
@click.option("--start", "starts", multiple=True, help="fresh, over or again; all by default.")
@click.option("--random", "random_kills", default=500, show_default=True, help="Kills in all.")
@click.option("--changes", default=10**6, help="Changes to kill at, of a stage and start; all.")
@click.option("--moment", "moments", multiple=True, help="One trial alone: part:0.5 or before:3.")
@click.option("--whole", is_flag=True, help="Start `python -m nat`, or torchrun, for every run.")
@click.option("--seed", default=0, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Stages at a time.")
@click.option("--out", type=click.Path(path_type=Path), help="CSV of the table.")
def main(
    names: tuple[str, ...],
    starts: tuple[str, ...],
    random_kills: int,
    changes: int,
    moments: tuple[str, ...],
    whole: bool,
    seed: int,
    workers: int,
    out: Path | None,
) -> None:
    sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]
    from kills import STARTS, Trials
    from long_stages import STAGES, World
    from processes import Moment

    unknown = {*names, *starts} - {*STAGES, *STARTS}
    if unknown:
        raise click.UsageError(f"{', '.join(sorted(unknown))}: none of {', '.join(STAGES)}")
    names = names or tuple(n for n in STAGES if not (whole and STAGES[n].of_stand_ins))
    starts = starts or STARTS
    with tempfile.TemporaryDirectory(prefix="kills-") as root:
        world = World(Path(root) / "world").build()
        if moments:
            trials = Trials(world, STAGES[names[0]], Path(root) / "one", whole)
            plan = tuple(Moment.parse(text) for text in moments)
            outcome = trials.trial(starts[0], plan)
            for moment in plan:
                if moment.kind != "part":
                    words = trials.reference(starts[0]).last.changes[int(moment.at) - 1]
                    print(f"{moment.kind} {words}")
            print(outcome)
            sys.exit(bool(outcome.faults))
        parts = [(name, start) for name in names for start in starts]
        share = -(-random_kills // len(parts))
        rest = (share, changes, seed, whole, root)
        if workers == 1:
            found = [_told(trials_of(*part, *rest)) for part in parts]
        else:
            with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
                begun = [pool.submit(trials_of, *part, *rest) for part in parts]
                found = [_told(one.result()) for one in begun]
    rows = [joined([row for row in found if row["stage"] == name]) for name in names]
    rows.append({**joined(rows), "stage": "all", "seconds": "", "changes": ""})
    print("\n".join(table(rows)))
    if out:
        with open(out, "w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    sys.exit(any(rows[-1][kind] for kind in KINDS))


def _told(row: dict[str, Any]) -> dict[str, Any]:
    for words in row["words"]:
        print(words[:600], file=sys.stderr, flush=True)
    return row


if __name__ == "__main__":
    main()
