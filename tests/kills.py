"""Commands that are killed and started again: is anything lost, half-written or left behind?

A trial kills a stage once or more, starts it again and compares everything in its case with what
undisturbed runs leave: outputs byte for byte, and no other names. Measured seconds alone may
differ. What lies there between kill and rerun is judged too.
"""

import re
import shutil
import signal
import socket
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from contents import Contents, contents
from processes import Ended, Moment, Process, alive, start, start_whole, tidied
from recipes import Recipe
from world import World

# from nothing; over outputs of other settings; over outputs of its own
STARTS = ("fresh", "over", "again")
GRACE = 2.0  # seconds to end after SIGTERM; one that waits for a lost process inside torch does not
# names that no run that has ended may leave
TEMPORARY = re.compile(r"(^|/)(\.[^/]*|building|[^/]*\.(new|tmp))(/|$)")


def without_numbers(text: str) -> str:
    """Text whose free space, images a second and so on may change."""
    return re.sub(r"[\d.,]+", "0", text)


def part_of(found: Contents, path: str) -> Contents:
    """What lies at ``path`` and below, by path relative to it; empty where nothing is."""
    return {
        name.removeprefix(path).lstrip("/"): value
        for name, value in found.items()
        if name == path or name.startswith(f"{path}/")
    }


@dataclass
class Reference:
    """What undisturbed runs leave.

    Attributes:
        before: the case's folder as a trial starts.
        old: its contents.
        new: the case's contents at the end.
        last: the last run: its seconds, its changes of names, what it printed.
    """

    before: Path
    old: Contents
    new: Contents
    last: Ended


@dataclass
class Outcome:
    """A trial and what was wrong with it.

    Attributes:
        stage: its name.
        start: one of STARTS.
        moments: of the kills.
        meeting: what else ran at the same time, in words; none did if empty.
        killed: how many of them came before the process had ended.
        faults: kind and words: ``child`` (a process lives on), ``half`` (an output between kill and
            rerun neither old nor new), ``stuck`` (the rerun fails), ``lost`` (the rerun's outputs
            are others), ``left`` (names that do not belong there), ``said`` (another exit code or
            more than a line).
    """

    stage: str
    start: str
    moments: tuple[Moment, ...]
    meeting: str = ""
    killed: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)

    def add(self, kind: str, words: str) -> None:
        self.faults.append((kind, words))

    def __str__(self) -> str:
        how = self.meeting or " ".join(f"--moment {moment}" for moment in self.moments)
        faults = "; ".join(f"{kind}: {words}" for kind, words in self.faults)
        return f"--stage {self.stage} --start {self.start} {how}: {faults or 'survived'}"


class Trials:
    """One stage's trials in a world."""

    def __init__(self, world: World, stage: Recipe, folder: Path, whole: bool = False) -> None:
        """Trials of ``stage``.

        Args:
            world: what it reads.
            stage: to kill.
            folder: for the cases; made here, resolved.
            whole: start ``python -m nat`` and torchrun instead of forks.
        """
        self.world, self.stage, self.whole = world, stage, whole
        self.folder = folder.resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._references: dict[str, Reference] = {}
        self._count = 0

    def reference(self, start: str) -> Reference:
        """Undisturbed runs, made once."""
        if start not in self._references:
            before = self.folder / f"before-{start}"
            (before / "tmp").mkdir(parents=True)
            if start != "fresh":
                self.undisturbed(before, other=start == "over")
            case = self.case(before)
            ended = self.undisturbed(case)
            self._references[start] = Reference(before, contents(before), contents(case), ended)
        return self._references[start]

    def undisturbed(self, case: Path, other: bool = False) -> Ended:
        """Run the stage to its end.

        Raises:
            RuntimeError: it fails.
        """
        ended = [process.finish() for process in self.begin(case, other)]
        if any(one.code for one in ended):
            raise RuntimeError("".join(one.output for one in ended))
        return ended[0]

    def case(self, before: Path | None = None) -> Path:
        """A new folder to run in, as ``before`` is."""
        self._count += 1
        case = self.folder / f"case-{self._count}"
        shutil.copytree(before, case) if before else case.mkdir()
        (case / "tmp").mkdir(exist_ok=True)
        return case

    def begin(
        self,
        case: Path,
        other: bool = False,
        moment: Moment | None = None,
        number: signal.Signals = signal.SIGKILL,
        add: tuple[str, ...] = (),
    ) -> list[Process]:
        """Start the stage's process, or processes, in ``case``."""
        here = Path()  # of the case
        words = [*self.stage.line(self.world.folder, here, here / "scratch", other), *add]
        log = self.folder / f"{case.name}-{len(list(self.folder.glob(f'{case.name}-*.log')))}.log"
        if self.whole:
            return [start_whole(words, case, log, self.stage.processes)]
        each = environments(self.stage.processes)
        return [
            start(
                words,
                case,
                log.with_stem(f"{log.stem}-{rank}"),
                environment | {"TMPDIR": str(case / "tmp")},
                self.world.replaced,
                moment if rank == 0 else None,
                number,
            )
            for rank, environment in enumerate(each)
        ]

    def kill(
        self, case: Path, moment: Moment, seconds: float, number: signal.Signals = signal.SIGKILL
    ) -> tuple[bool, Ended]:
        """Start the stage and send its first process a signal; whether that came in time.

        Args:
            case: to run in.
            moment: of the signal.
            seconds: that an undisturbed run takes.
            number: of the signal.
        """
        first, *others = self.begin(case, moment=moment, number=number)
        if moment.kind == "part" and not first.ended(moment.at * seconds):
            # a fork answers signals in its own way until it writes there
            changes = first.log.with_suffix(".changes")
            while not (self.whole or changes.exists() or first.ended(0.001)):
                pass
            first.signal(number)
        ended = first.finish()
        for process in others:  # as torchrun does with the rest, if not so patiently
            process.signal(signal.SIGTERM)
            if not process.ended(GRACE):
                process.signal(signal.SIGKILL)
            process.finish()
        return ended.code == -number, ended

    def trial(self, start: str, moments: tuple[Moment, ...]) -> Outcome:
        """Kill at each of the moments in turn, run once more, judge."""
        reference = self.reference(start)
        outcome = Outcome(self.stage.name, start, moments)
        case = self.case(reference.before)
        with tidied(case):
            for moment in moments:
                try:
                    killed, ended = self.kill(case, moment, reference.last.seconds)
                except TimeoutError as error:
                    outcome.add("stuck", " ".join(str(error).split())[:500])
                    return outcome
                outcome.killed += killed
                if not killed and ended.code:
                    outcome.add("stuck", f"exit code {ended.code}: {ended.output[-500:].strip()}")
                self._judge_between(case, reference, outcome)
            self._rerun(case, reference, outcome)
        if not outcome.faults:
            shutil.rmtree(case)
        return outcome

    def _rerun(self, case: Path, reference: Reference, outcome: Outcome) -> None:
        try:
            self.undisturbed(case)
        except (RuntimeError, TimeoutError) as error:
            outcome.add("stuck", f"{' '.join(str(error).split())[-500:]}")
        else:
            self.judge(case, reference.new, outcome)

    def interrupted(self, start: str, moment: Moment, number: signal.Signals) -> Outcome:
        """Send a signal that can be handled: one line, its exit code, no temporary name.

        Then, as after a kill, run once more and judge.
        """
        reference = self.reference(start)
        outcome = Outcome(self.stage.name, start, (moment,))
        case = self.case(reference.before)
        with tidied(case):
            _, ended = self.kill(case, moment, reference.last.seconds, number)
            outcome.killed = ended.code != 0
            usual = set(without_numbers(reference.last.output).splitlines())
            lines = [
                line for line in without_numbers(ended.output).splitlines() if line not in usual
            ]
            if ended.code and (ended.code != 128 + number or len(lines) != 1):
                outcome.add("said", f"exit code {ended.code}, {len(lines)} lines: {lines[-1:]}")
            self._judge_between(case, reference, outcome)
            for name in contents(case):
                if TEMPORARY.search(name) and not name.startswith("scratch/"):
                    outcome.add("left", f"{name} before the rerun")
            self._rerun(case, reference, outcome)
        return outcome

    def _judge_between(self, case: Path, reference: Reference, outcome: Outcome) -> None:
        """After a kill: no process lives on, and every output is whole, or was not there."""
        for words in alive(case):
            outcome.add("child", words)
        found = contents(case)
        for path in self._outputs(reference.old | reference.new):
            now, old, new = (part_of(c, path) for c in (found, reference.old, reference.new))
            if (not now and not old) or any(
                one and one.items() <= now.items() for one in (old, new)
            ):
                continue  # with what the rerun has yet to remove, perhaps
            if not now and any(part_of(found, name) == old for name in found):
                continue  # moved aside, whole
            outcome.add("half", f"{path} {'in part' if now else 'gone'} after the kill")

    def _outputs(self, found: Contents) -> list[str]:
        """The paths of the outputs among what was found."""
        patterns = self.stage.parts or self.stage.outs
        above = {PurePosixPath(pattern).parent.as_posix() for pattern in patterns}
        return sorted(
            name
            for name in found
            if name not in above and any(PurePosixPath(name).match(one) for one in patterns)
        )

    def judge(self, case: Path, expected: Contents, outcome: Outcome) -> None:
        """At the end: the same bytes, the same names, no process."""
        for words in alive(case):
            outcome.add("child", words)
        found = contents(case)
        for name in sorted(found.keys() | expected.keys()):
            if name not in found:
                outcome.add("lost", f"{name} is missing")
            elif name in expected:
                if found[name] != expected[name]:
                    outcome.add("lost", f"{name} has other bytes")
            elif (above := name.rpartition("/")[0]) in expected or not above:
                outcome.add("left", name)  # and what is in it

    def without_kill(self, start: str) -> list[str]:
        """Temporary names that undisturbed runs leave."""
        return [name for name in self.reference(start).new if TEMPORARY.search(name)]


def environments(processes: int) -> list[dict[str, str]]:
    """What torchrun tells each process; nothing to one alone."""
    if processes == 1:
        return [{}]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    return [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]
