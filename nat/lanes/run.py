"""Gives the stages out to lanes, tells how they go, and ends them together."""

import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from multiprocessing.process import BaseProcess
from typing import Any

from nat.lanes.plan import REPORT, Plan, State
from nat.lanes.worker import CONTEXT, count_gpus, run_command, run_stage
from nat.runtime.cores import SHARED, usable
from nat.runtime.errors import UserError
from nat.runtime.naming import REPORTS
from nat.runtime.progress import duration
from nat.runtime.settings.params import Params
from nat.runtime.signals import deaf_children

GRACE = 60.0  # seconds to tidy up in: an epoch's state may take long to write
CHUNK = 65536  # bytes read of a pipe at once
FOLDER = re.compile(r"^stages/|/dvc\.yaml(?=:)")  # left out of a stage's name on its lines


@dataclass
class Job:
    """A process in a lane, and what it has printed of a line.

    ``quiet`` ones print as they are, without a name before each line.
    """

    name: str
    lane: int
    process: BaseProcess
    output: Connection
    quiet: bool
    start: float = field(default_factory=time.monotonic)
    rest: bytes = b""

    def tell(self, text: str) -> None:
        """A line of this job's."""
        print(text if self.quiet else f"{FOLDER.sub('', self.name)} | {text}", flush=True)

    def forward(self, to_end: bool) -> bool:
        """Print what it has printed by now, ``to_end`` all of it; False at the end."""
        data = b""
        with suppress(BlockingIOError):
            while (more := os.read(self.output.fileno(), CHUNK)) and to_end:
                data += more
            data, to_end = data + more, to_end or not more
        *lines, self.rest = (self.rest + data).split(b"\n")
        for line in [*lines, self.rest] if to_end and self.rest else lines:
            self.tell(line.decode(errors="replace").rstrip())
        return not to_end

    def stop(self, number: int) -> None:
        """A signal to it and all that it has started."""
        assert self.process.pid  # 0 would be our own group
        with suppress(ProcessLookupError):  # it has ended, or has just begun
            os.killpg(self.process.pid, number)


class Lanes:
    """Runs jobs side by side; leaving the block ends those that are left."""

    def __init__(self, params: Params) -> None:
        self.devices = _devices(params)
        self.jobs: list[Job] = []

    def __enter__(self) -> "Lanes":
        return self

    def __exit__(self, *_: object) -> None:
        for number, seconds in ((signal.SIGINT, GRACE), (signal.SIGKILL, GRACE)):
            for job in self.jobs:
                job.stop(number)
            deadline = time.monotonic() + seconds
            try:
                while self.jobs and time.monotonic() < deadline:
                    self.wait(deadline - time.monotonic())
            except BaseException:  # asked again
                for job in self.jobs:
                    job.stop(signal.SIGKILL)
                raise

    @property
    def free(self) -> bool:
        """Whether a lane has no job."""
        return len(self.jobs) < len(self.devices)

    def start(self, name: str, target: Callable[..., None], what: Any, quiet: bool = False) -> None:
        """Start ``target`` on ``what`` in a free lane."""
        lane = min(set(range(len(self.devices))) - {job.lane for job in self.jobs})
        reader, writer = CONTEXT.Pipe(duplex=False)
        os.set_blocking(reader.fileno(), False)
        variables = {SHARED: str(len(self.devices)), **self.devices[lane]}
        process = CONTEXT.Process(target=target, args=(what, writer, variables))
        with deaf_children():
            process.start()
            self.jobs.append(Job(name, lane, process, reader, quiet))
        writer.close()
        if not quiet:
            self.jobs[-1].tell("started")

    def wait(self, seconds: float | None = None) -> list[tuple[str, int]]:
        """Print what jobs print, until one ends or the time is over; those that ended, and how."""
        ended: list[tuple[str, int]] = []
        by_end = {job.process.sentinel: job for job in self.jobs}
        jobs: dict[Any, Job] = by_end | {job.output.fileno(): job for job in self.jobs}
        for ready in wait_for([*jobs], seconds):
            job = jobs[ready]
            # of an ended process there may be some left to print, or others that hold its output
            if job in self.jobs and not job.forward(to_end=ready in by_end):
                ended.append(self._end(job))
        return ended

    def _end(self, job: Job) -> tuple[str, int]:
        job.process.join()
        job.stop(signal.SIGKILL)  # what a killed process has left
        self.jobs.remove(job)
        job.output.close()
        code = job.process.exitcode or 0
        if not job.quiet:
            took = duration(time.monotonic() - job.start)
            job.tell(f"done in {took}" if code == 0 else f"failed after {took}")
        return job.name, code


def run(params: Params, targets: Sequence[str] = ()) -> None:
    """Run all stages that are not up to date, or those that ``targets`` need.

    Raises:
        UserError: a stage failed, or DVC refuses the project.
    """
    if not follow(Plan(params.methods, targets), params):
        pages = " and ".join(str(REPORTS / page) for page in ("README.md", "index.html"))
        print(f"Everything is up to date; {pages} have the results", flush=True)


def follow(plan: Plan, params: Params) -> bool:
    """Run what a plan has; in between, write a report once the first methods are done.

    Returns:
        Whether there was anything to run.

    Raises:
        UserError: a stage failed; all that did not need it were run.
    """
    name = plan.next()
    if name is None:
        return False
    with Lanes(params) as lanes:
        first, faults = plan.pending(plan.first), []
        while name is not None or lanes.jobs:
            while name is not None and lanes.free:
                lanes.start(name, run_stage, name, quiet=name == REPORT)
                name = plan.next()
            for ended, code in lanes.wait():
                if ended in plan.order:
                    plan.ended(ended, code == 0)
                elif code:
                    faults.append(ended)
            name = name or plan.next()
            if first and lanes.free and not plan.pending(plan.first):
                first = False
                if plan.pending({*plan.order} - plan.first - {REPORT}):
                    lanes.start("first report", run_command, [REPORT], quiet=True)
    failed, left_out = plan.names(State.FAILED) + faults, plan.names(State.LEFT_OUT)
    if failed:
        more = f"; {len(left_out)} not run, as they need what failed" if left_out else ""
        raise UserError(f"failed, see above: {', '.join(failed)}{more}")
    return True


def _devices(params: Params) -> list[dict[str, str]]:
    """What each lane computes on, as variables of its environment; one lane for each."""
    machine = params.machine
    count = 1
    if machine.lanes != "auto":
        return [{}] * machine.lanes
    if params.launcher != "python" or machine.device.startswith("cuda:"):
        return [{}]
    if machine.device != "cpu":
        count = _gpus()
        if count > 1:
            own = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count))))
            return [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in own.split(",")[:count]]
        if count == 1:
            return [{}]
    return [{}] * usable()


def _gpus() -> int:
    receiver, sender = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=count_gpus, args=(sender,))
    with deaf_children():
        process.start()
    sender.close()
    try:
        return receiver.recv()
    finally:
        process.join()
