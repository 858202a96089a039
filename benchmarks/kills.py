"""Every stage is killed, many times over, and started again: what is lost, what is left behind?

    python benchmarks/kills.py --random 500 --out benchmarks/kills.csv

Each stage runs as a real process on tiny data and gets SIGKILL: at random moments, uniform over the
time that it takes undisturbed, a quarter of them twice in a row; just before and just after each
renaming and removal (of many removals, some drawn at random); and likewise at some of its other
changes of the file system's names: new folder, file opened to write, program started. It starts
from nothing, over the outputs of other settings, or over its own. Then it is run once more to the
end, and everything that lies there is compared, byte for byte, with what undisturbed runs leave;
measured seconds alone may differ.

A row a stage: seconds of an undisturbed run, its changes of names, kills, trials that survived, and
those with a fault, by kind: ``child``, a process lives on; ``half``, an output between kill and
rerun neither the old one nor the new one, nor set aside whole; ``stuck``, the rerun fails;
``lost``, outputs that are missing or differ; ``left``, other names. Each fault is printed with the
words that repeat it. With ``--signal SIGINT`` or ``SIGTERM``, at random moments alone, ``said``
counts another exit code than 128 and the signal's number, or more than one line.

With ``--meetings N``, nothing is killed: N times, a run is started a second time while it runs and
a third time as it ends; and of two that fill one data folder, with the same settings or with
others, one stands still just before each of its renamings for as long as the other needs.
"""

import csv
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from signal import SIGKILL, Signals
from typing import Any

import click

PROJECT = Path(__file__).parents[1]
KINDS = ("child", "half", "stuck", "lost", "left", "said")
REMOVALS = ("os.remove", "os.rmdir")
SIGNALS = ("SIGKILL", "SIGINT", "SIGTERM")
COLUMNS = ("stage", "seconds", "changes", "random", "at_changes", "survived", *KINDS)


def trials_of(
    name: str,
    start: str,
    random_kills: int,
    removals: int,
    others: int,
    number: Signals,
    seed: int,
    whole: bool,
    meet: int,
    root: str,
) -> dict[str, Any]:
    """Kill a stage from one start; what came of it."""
    sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]
    from kills import Trials
    from processes import Moment
    from together import meetings
    from world import STAGES, World

    folder = Path(root) / f"{name}-{start}"
    trials = Trials(World.at(Path(root) / "world"), STAGES[name], folder, whole)
    reference = trials.reference(start)
    draws = random.Random(f"{seed} {name} {start}")
    parts = [Moment("part", draws.random()) for _ in range(random_kills)]
    if meet:
        outcomes = meetings(trials, start, meet)
    elif number == SIGKILL:
        plans = [
            (part, Moment("part", draws.random())) if index % 4 == 3 else (part,)
            for index, part in enumerate(parts)
        ]
        changes = enumerate(reference.last.changes, 1)
        by_kind: dict[str, list[int]] = {"renamings": [], "removals": [], "others": []}
        for n, words in changes:
            removal = "removals" if words.startswith(REMOVALS) else "others"
            by_kind["renamings" if words.startswith("os.rename") else removal].append(n)
        chosen = by_kind["renamings"]
        for kind, most in (("removals", removals), ("others", others)):
            chosen += draws.sample(by_kind[kind], min(most, len(by_kind[kind])))
        plans += [(Moment(side, n),) for n in sorted(chosen) for side in ("before", "after")]
        outcomes = [trials.trial(start, plan) for plan in plans]
    else:
        outcomes = [trials.interrupted(start, part, number) for part in parts]
    faulty = [outcome for outcome in outcomes if outcome.faults]
    row: dict[str, Any] = dict.fromkeys(COLUMNS, 0) | {
        "stage": name,
        "seconds": reference.last.seconds,
        "changes": len(reference.last.changes),
        "random": sum(o.killed for o in outcomes if by_time(o)),
        "at_changes": sum(o.killed for o in outcomes if not by_time(o)),
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


def by_time(outcome: Any) -> bool:
    return outcome.moments != () and outcome.moments[0].kind == "part"


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
@click.option("--stage", "names", multiple=True, help="Of tests/recipes.py; all by default.")
@click.option("--start", "starts", multiple=True, help="fresh, over or again; all by default.")
@click.option("--random", "random_kills", default=500, show_default=True, help="Kills in all.")
@click.option("--removals", default=40, show_default=True, help="Of a stage and start, at most.")
@click.option("--others", default=10, show_default=True, help="Other changes, of stage and start.")
@click.option("--moment", "moments", multiple=True, help="One trial alone: part:0.5 or before:3.")
@click.option("--signal", "sent", type=click.Choice(SIGNALS), default="SIGKILL")
@click.option("--meetings", default=0, help="Meetings instead of kills; third starts: so many.")
@click.option("--whole", is_flag=True, help="Start `python -m nat`, or torchrun, for every run.")
@click.option("--seed", default=0, show_default=True)
@click.option("--workers", default=1, show_default=True, help="Stages at a time.")
@click.option("--out", type=click.Path(path_type=Path), help="CSV of the table.")
def main(
    names: tuple[str, ...],
    starts: tuple[str, ...],
    random_kills: int,
    removals: int,
    others: int,
    moments: tuple[str, ...],
    sent: str,
    meetings: int,
    whole: bool,
    seed: int,
    workers: int,
    out: Path | None,
) -> None:
    sys.path[:0] = [str(PROJECT), str(PROJECT / "tests")]
    from kills import STARTS, Trials
    from processes import Moment
    from world import OF_STAND_INS, STAGES, World

    unknown = {*names, *starts} - {*STAGES, *STARTS}
    if unknown:
        raise click.UsageError(f"{', '.join(sorted(unknown))}: none of {', '.join(STAGES)}")
    names = names or tuple(n for n in STAGES if not (whole and n in OF_STAND_INS))
    starts = starts or STARTS
    with tempfile.TemporaryDirectory(prefix="kills-") as root:
        world = World(Path(root) / "world").build()
        if moments:
            trials = Trials(world, STAGES[names[0]], Path(root) / "one", whole)
            plan = tuple(Moment.parse(text) for text in moments)
            if sent == "SIGKILL":
                outcome = trials.trial(starts[0], plan)
            else:
                outcome = trials.interrupted(starts[0], plan[0], Signals[sent])
            changes = dict(enumerate(trials.reference(starts[0]).last.changes, 1))
            for moment in plan:
                if moment.at in changes:
                    print(f"{moment.kind} {changes[int(moment.at)]}")
            print(outcome)
            sys.exit(bool(outcome.faults))
        parts = [(name, start) for name in names for start in starts]
        share = -(-random_kills // len(parts))
        rest = (share, removals, others, Signals[sent], seed, whole, meetings, root)
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
    """Print a row's faults; of those that are alike but for the moment, the first alone."""
    alike: dict[str, list[str]] = {}
    for words in row["words"]:
        alike.setdefault(re.sub(r"--moment \S+|\d+|\.\w{8}\b", "", words), []).append(words)
    for first, *others in alike.values():
        also = f" (and {len(others)} like it)" if others else ""
        print(f"{first[:600]}{also}", file=sys.stderr, flush=True)
    return row


if __name__ == "__main__":
    main()
