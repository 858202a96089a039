"""A training run that resumes exactly where an interruption left it.

The loop stays in the open; a ResumableRun only counts its epochs and keeps its state::

    with ResumableRun(folder, {"network": network, "optimizer": optimizer}) as run:
        for epoch in run.epochs(100):
            ...                       # any loop over batches
            run.log(epoch=epoch + 1, loss=loss)

State is written whole after every epoch, so a run that is killed at any moment repeats at most one
epoch, and ends in the same weights. Beside it the history grows as history.csv.
"""

import csv
import hashlib
import io
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from nat.runtime.distributed import Distributed
from nat.runtime.errors import UserError
from nat.runtime.io.files import atomic_write, check_output, discard, sha256, sweep
from nat.runtime.io.locks import locked
from nat.runtime.io.outputs import FILE_OF_OURS, FOLDER_OF_OURS
from nat.runtime.io.paths import from_here, own_name, place
from nat.runtime.progress import say
from nat.runtime.signals import saved


def scratch_folder(root: str, name: str, **determines: Any) -> Path:
    """The state folder of a run, keyed by a hash of everything that determines its result.

    A run with another parameter, input or version of the code that decides its result gets another
    folder, so it never resumes from a state that is not its own.

    Args:
        root: ``machine.scratch``.
        name: what a person recognises the run by.
        determines: JSON values; a Path stands for the content of that file.
    """
    content = {
        key: sha256(value) if isinstance(value, Path) else value
        for key, value in determines.items()
    }
    content["torch"] = torch.__version__
    key = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
    return place(root) / own_name(place(root), f"{name}-{key}")


@contextmanager
def state_folder(folder: Path) -> Iterator[None]:
    """Make a state folder and hold its lock; another process that wants it waits.

    Raises:
        UserError: the scratch folder cannot be written.
    """
    check_output(folder, FOLDER_OF_OURS)
    with locked(folder.with_name(f"{folder.name}.lock")):
        sweep(folder)  # what a process left that was killed while it removed the state
        folder.mkdir(exist_ok=True)  # after the wait, as the former holder may have removed it
        yield


def comma_separated(rows: list[dict[str, Any]]) -> str:
    """CSV of rows, with a column for every name in the order of their first use; None is empty."""
    text = io.StringIO()
    names = dict.fromkeys(name for row in rows for name in row)
    writer = csv.DictWriter(text, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


class ResumableRun:
    """Counts epochs, keeps state and history, and resumes.

    Attributes:
        history: one dict per finished epoch, as given to ``log``.
        seconds: wall time spent in epochs so far, over all interruptions.
    """

    def __init__(
        self, folder: Path, state: dict[str, Any], distributed: Distributed | None = None
    ) -> None:
        """A run of one process or of several, whose main process alone writes.

        Args:
            folder: of the state; several machines must share it.
            state: modules, optimizers or tensors by name, the same in every process; tensors are
                restored in place.
            distributed: None for one process.
        """
        self.folder = folder
        self.state = state
        self.distributed = distributed or Distributed(torch.device("cpu"))
        self.history: list[dict[str, Any]] = []
        self.seconds = 0.0
        self._next = 0
        self._row: dict[str, Any] = {}

    def __enter__(self) -> "ResumableRun":
        """Take the folder's lock (a second start of the same run waits), then resume."""
        self._lock = ExitStack()
        if self.distributed.is_main:
            self._lock.enter_context(state_folder(self.folder))
        self.distributed.barrier()
        self._resume()
        if self._next:
            say(f"{self.folder.name}: resuming at epoch {self._next + 1} ({self._where})")
            saved(f" after epoch {self._next} ({self._where})")
        starts = self.distributed.all_gather(
            torch.tensor([self._next], device=self.distributed.device)
        )
        if (starts != self._next).any():
            raise UserError(
                f"{self.folder}: the processes see different states of this run; put "
                "machine.scratch on a disk that all machines share"
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    @property
    def _where(self) -> str:
        """Where the state lies, for people."""
        return f"state: {from_here(self.folder)}"

    @property
    def file(self) -> Path:
        """The state as of the last finished epoch."""
        return self.folder / "state.pt"

    def epochs(self, total: int) -> Iterator[int]:
        """Yield the epochs still to do, counted from 0; save the state after each."""
        for epoch in range(self._next, total):
            start = time.perf_counter()
            yield epoch
            self.seconds += time.perf_counter() - start
            self._next = epoch + 1
            self.history.append(self._row)
            self._row = {}
            self._save()

    @property
    def row(self) -> dict[str, Any]:
        """The row of the history of the epoch under way."""
        return self._row

    def log(self, **row: Any) -> None:
        """Add to this epoch's row of the history."""
        self._row |= row

    def finish(self) -> None:
        """Remove the state: the outputs are written."""
        if self.distributed.is_main:
            discard(self.folder)
            saved("")

    def _save(self) -> None:
        if not self.distributed.is_main:
            return
        content = {
            "run": self.folder.name,
            "next": self._next,
            "processes": self.distributed.size,
            "seconds": self.seconds,
            "history": json.dumps(self.history),
            "state": {
                name: value if isinstance(value, torch.Tensor) else value.state_dict()
                for name, value in self.state.items()
            },
        }
        # by way of memory: of a full disk, torch.save itself tells nothing but a wrong position
        buffer = io.BytesIO()
        torch.save(content, buffer)
        with atomic_write(self.file, FILE_OF_OURS) as temporary:
            temporary.write_bytes(buffer.getbuffer())
        saved(f" after epoch {self._next} ({self._where})")
        with atomic_write(self.folder / "history.csv", FILE_OF_OURS) as temporary:
            temporary.write_text(comma_separated(self.history), encoding="utf-8")

    def _resume(self) -> None:
        if not self.file.exists():
            return
        try:
            content = torch.load(self.file, map_location="cpu", weights_only=True)
            run, processes = content["run"], content["processes"]
            if run != self.folder.name:
                raise ValueError(f"it is the state of {run}")
            if content["state"].keys() != self.state.keys():
                raise ValueError("it holds something else than this run")
            for name, value in self.state.items():
                saved = content["state"][name]
                if isinstance(value, torch.Tensor):
                    value.copy_(saved)
                else:
                    value.load_state_dict(saved)
        except Exception as error:
            raise UserError(
                f"{self.file}: damaged state of an interrupted run "
                f"({(str(error).splitlines() or [type(error).__name__])[0]}); remove {self.folder} "
                "to start that run from its first epoch"
            ) from error
        if processes != self.distributed.size:
            raise UserError(
                f"{self.folder}: state of a run of {processes} processes, not "
                f"{self.distributed.size}, whose results differ; start {processes}, or remove the "
                "folder to start anew"
            )
        self._next = content["next"]
        self.seconds = content["seconds"]
        self.history = json.loads(content["history"])
