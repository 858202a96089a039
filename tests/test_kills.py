"""A few kills of every stage, and stages that meet; benchmarks/kills.py does it thoroughly."""

import random
import signal
from pathlib import Path

import pytest
from kills import STARTS, Outcome, Trials
from processes import Moment
from together import meetings
from world import STAGES, World

SLOW = ("report", "proposals-mat", "pretrain-two")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    if not Path("/proc/self/cwd").exists():
        pytest.skip("processes are found by /proc")
    return World(tmp_path_factory.mktemp("kills") / "world").build()


def survived(outcomes: list[Outcome]) -> None:
    faulty = "\n".join(f"benchmarks/kills.py {one}" for one in outcomes if one.faults)
    assert not faulty, faulty


@pytest.mark.parametrize("name", STAGES)
def test_a_killed_stage_ends_as_if_nothing_had_been(
    name: str, world: World, tmp_path: Path
) -> None:
    """Killed at one of its later changes of names, then at any moment of the second start."""
    draws = random.Random(name)
    start = "fresh" if name in SLOW else draws.choice(STARTS)
    trials = Trials(world, STAGES[name], tmp_path)
    assert trials.without_kill(start) == []
    changes = len(trials.reference(start).last.changes)
    late = Moment(draws.choice(("before", "after")), draws.randint(changes // 2, changes))
    survived([trials.trial(start, (late, Moment("part", draws.random())))])


@pytest.mark.parametrize("name", ["pretrain", "train-random"])
def test_killed_while_it_puts_outputs_in_place_and_cleans_up(
    name: str, world: World, tmp_path: Path
) -> None:
    """At its last changes, over a network of another seed."""
    trials = Trials(world, STAGES[name], tmp_path)
    changes = len(trials.reference("over").last.changes)
    moments = [Moment("before", change) for change in range(changes - 6, changes + 1)]
    survived([trials.trial("over", (moment,)) for moment in moments])


@pytest.mark.parametrize(
    ("name", "times"), [("pretrain", 3), ("probe-checkpoints", 1), ("proposals", 1)]
)
def test_a_third_start_as_the_first_ends(
    name: str, times: int, world: World, tmp_path: Path
) -> None:
    survived(meetings(Trials(world, STAGES[name], tmp_path), "fresh", times))


@pytest.mark.parametrize("name", ["prepare-arrays", "prepare-voc", "prepare-folder"])
def test_two_fill_one_data_folder(name: str, world: World, tmp_path: Path) -> None:
    """One stands still at each renaming, of the folder that it has filled too, the other not."""
    survived(meetings(Trials(world, STAGES[name], tmp_path), "fresh", 1, latest=3))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", ["prepare-folder-parallel", "pretrain", "proposals", "embed"])
def test_an_interrupted_stage_says_one_line(
    name: str, number: signal.Signals, world: World, tmp_path: Path
) -> None:
    trials = Trials(world, STAGES[name], tmp_path)
    parts = (Moment("part", part) for part in (0.4, 0.7))
    survived([trials.interrupted("fresh", part, number) for part in parts])
