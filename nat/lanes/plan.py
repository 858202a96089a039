"""What is to be run, and in which order: DVC's graph of stages, followed as stages end."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

from nat.runtime.errors import UserError
from nat.runtime.settings.params import NAT

FIRST = (NAT, "labels", "random")  # methods whose rows of Tables 3 and 4 come before all else
ROWS = ("train", "probe", "finetune", "detect")  # stages that belong to a row
FIGURES, REPORT = "illustrate", "report"


class State(Enum):
    """Of a stage."""

    WAITING = 0
    RUNNING = 1
    DONE = 2
    FAILED = 3
    LEFT_OUT = 4  # as one that it needs has failed


class Plan:
    """The stages of the pipeline, or those that some of them need, by DVC's names.

    Attributes:
        order: of preference; what a stage needs comes before it.
        first: those of the first methods, their figures and what they need.
    """

    def __init__(self, methods: Sequence[str], targets: Sequence[str] = ()) -> None:
        """Read the graph.

        Args:
            methods: in the order of their rows.
            targets: names of stages; none is all of them.

        Raises:
            UserError: DVC refuses the project, or knows no such stage.
        """
        from dvc.repo import Repo
        from dvc.repo.reproduce import plan_repro

        with dvc_faults():
            _read_parameters_once()
            self.repo = Repo(_wait_for_lock=True)
            with self.repo.lock:
                graph, every = self.repo.index.graph, list(self.repo.index.stages)
                # not DVC's own collecting, which reads the lock files anew for each name
                named = {stage.addressing: [stage] for stage in every}
                asked = [
                    stage
                    for name in targets
                    for stage in named.get(name) or self.repo.stage.collect(name)
                ]
        goals = asked or sorted(every, key=lambda stage: _place(stage.addressing, methods))
        found: dict[Any, None] = {}  # in order
        for goal in goals:
            found |= dict.fromkeys(plan_repro(graph, [goal]))
        self._stages = {stage.addressing: stage for stage in found}
        self._needs = {s.addressing: [n.addressing for n in graph.successors(s)] for s in found}
        self._state = dict.fromkeys(self._stages, State.WAITING)
        self.order = list(self._stages)
        # of the whole pipeline, those that are reported before the others
        early = [] if asked else [g for g in goals if _place(g.addressing, methods)[0] == 0]
        self.first = {s.addressing for s in plan_repro(graph, early)} if early else set()

    def next(self) -> str | None:
        """A stage to run now, of which it is said afterwards how it ended; None if none is ready.

        Stages that DVC finds up to date are passed over.
        """
        with ExitStack() as held, dvc_faults():
            for name in self.order:
                if self._state[name] != State.WAITING or not self.done(self._needs[name]):
                    continue
                if not self.repo.lock.is_locked:
                    held.enter_context(self.repo.lock)
                if self._changed(name):
                    self._state[name] = State.RUNNING
                    return name
                self._state[name] = State.DONE
        return None

    def _changed(self, name: str) -> bool:
        from dvc.lock import LockError

        try:
            return self._stages[name].changed()
        except LockError:  # another DVC is at work on its files, which its own run will tell
            return True

    def done(self, names: Sequence[str] | set[str]) -> bool:
        """Whether these have been made, or were up to date."""
        return all(self._state[name] == State.DONE for name in names)

    def ended(self, name: str, well: bool) -> None:
        """Tell how a stage ended; what needs a failed one is left out."""
        self._state[name] = State.DONE if well else State.FAILED
        lost = {name} if not well else set()
        for other in self.order:  # what a stage needs comes before it
            if lost & set(self._needs[other]):
                self._state[other] = State.LEFT_OUT
                lost.add(other)

    def names(self, state: State) -> list[str]:
        """The stages in a state, in order."""
        return [name for name in self.order if self._state[name] == state]

    def pending(self, names: set[str]) -> bool:
        """Whether some of these are still to be run, or running."""
        return any(self._state[name] in (State.WAITING, State.RUNNING) for name in names)


def _place(name: str, methods: Sequence[str]) -> tuple[int, int]:
    """Where a stage comes: the first methods, then ablations, other methods, the report."""
    if name == REPORT:
        return 3, 0
    kind, _, item = name.partition("@")
    if kind == FIGURES:
        return 0, len(methods)
    if kind not in ROWS:  # those of ablations, of another folder; and what others need
        return 1, 0
    owner = next((method for method in methods if item.startswith(f"{method}-")), methods[0])
    return (0, FIRST.index(owner)) if owner in FIRST else (2, methods.index(owner))


def _read_parameters_once() -> None:
    """Let DVC parse a parameter file once for all stages, and again when it has changed."""
    from dvc.dependency import param

    if hasattr(param.load_path, "read"):
        return
    load: Callable[..., Any] = param.load_path
    read: dict[tuple, Any] = {}

    def load_once(path: str, fs: Any, **options: Any) -> Any:
        if options or not Path(path).is_file():
            return load(path, fs, **options)
        found = Path(path).stat()
        key = path, found.st_mtime_ns, found.st_size, found.st_ino
        if key not in read:
            read[key] = load(path, fs)
        return read[key]

    load_once.read = read  # type: ignore[attr-defined]
    param.load_path = load_once


@contextmanager
def dvc_faults() -> Iterator[None]:
    """What DVC refuses, as one line."""
    from dvc.exceptions import DvcException

    try:
        yield
    except DvcException as error:
        cause = f" ({error.__cause__})" if error.__cause__ else ""
        raise UserError(f"DVC: {error}{cause}") from error
