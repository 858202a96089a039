"""Commands that run at the same time on the same folders: does each end as if it were alone?"""

import os
import signal
import time

from contents import contents
from kills import Outcome, Trials
from processes import ENDS_WITHIN, Moment, Process, tidied

WAITS = 3.0  # times what a run takes: one that has not ended by then waits for the other


def third_start(trials: Trials, start: str) -> Outcome:
    """One run started three times: the second waits for the first, the third comes as that ends."""
    reference = trials.reference(start)
    outcome = Outcome(trials.stage.name, start, (), "--meetings, a third start")
    case = trials.case(reference.before)
    with tidied(case):
        first = trials.begin(case)
        _wait_for_state(first[0])
        second = trials.begin(case)
        for process in first:
            _end(process, outcome)
        for process in (*second, *trials.begin(case)):
            _end(process, outcome)
        trials.judge(case, reference.new, outcome)
    return outcome


def meetings(trials: Trials, start: str, times: int, latest: int = 0) -> list[Outcome]:
    """All meetings of a stage: third starts, or for one that fills data, at each renaming.

    Args:
        trials: of the stage.
        start: what lies there.
        times: how many third starts.
        latest: how many renamings, the last ones; 0 is all.
    """
    reference = trials.reference(start)
    if not trials.stage.data:
        return [
            third_start(trials, start) for _ in range(times if "scratch" in reference.new else 0)
        ]
    outs = ("--out", "second.json")
    changes = enumerate(reference.last.changes, 1)
    renamings = [number for number, words in changes if words.startswith("os.rename")]
    return [
        stopped_before(trials, start, number, outs, other)
        for number in renamings[-latest:]
        for other in (True, False)
    ]


def _wait_for_state(process: Process) -> None:
    """Until a run has made something in scratch: it holds the lock, or is about to take it."""
    deadline = time.monotonic() + ENDS_WITHIN
    while not any((process.folder / "scratch").glob("*")) and not process.ended(0.001):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{process.log}: nothing in scratch")


def stopped_before(
    trials: Trials, start: str, change: int, add: tuple[str, ...], other: bool
) -> Outcome:
    """One run stands still before a change of names while a second does all that it can.

    The second has as long as it needs when alone, several times over; then the first goes on.

    Args:
        trials: of the stage.
        start: what lies there.
        change: of the first run, counted from 1.
        add: words of the second's command line, such as another ``--out``.
        other: whether the second has the stage's other settings.
    """
    moment = Moment("before", change)
    reference = trials.reference(start)
    words = f"stopped before {reference.last.changes[change - 1]} (change {change})"
    meeting = f"--meetings, {words}, met by one of {'other' if other else 'the same'} settings"
    outcome = Outcome(trials.stage.name, start, (moment,), meeting)
    expected = trials.case(reference.before)
    for one_other, one_add in ((False, ()), (other, add)):
        (process,) = trials.begin(expected, one_other, add=one_add)
        _end(process, outcome)
    case = trials.case(reference.before)
    with tidied(case):
        (first,) = trials.begin(case, moment=moment, number=signal.SIGSTOP)
        if first.stopped():
            (second,) = trials.begin(case, other, add=add)
            second.ended(WAITS * reference.last.seconds + 0.3)
            os.kill(first.pid, signal.SIGCONT)
            _end(second, outcome)
        _end(first, outcome)
        trials.judge(case, contents(expected), outcome)
    return outcome


def _end(process: Process, outcome: Outcome) -> None:
    ended = process.finish()
    if ended.code:
        words = " ".join(ended.output.split())[-300:]
        outcome.add("stuck", f"exit code {ended.code}: {words}")
