"""What an interrupted preparation has finished, so that it goes on from there.

A line of JSON for each finished chunk. Lines are added some seconds after their chunks, once the
disk has the rows: then neither a killed process nor a machine that went down leaves a line without
its rows.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nat.files import sync
from nat.images.chunks import Faults

SECONDS = 20.0  # between saves, each of which waits for the disk; a kill loses that much work


class Journal:
    """The finished chunks of a store's splits.

    Attributes:
        finished: split: chunk: its unreadable pictures.
        latest: split, row and reason of the last unreadable picture, if any.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there; a line that a kill cut short is dropped."""
        self._path = path
        self._lines: list[str] = []
        self._saved = time.monotonic()
        self._array: Path | None = None
        self.finished: dict[str, dict[int, Faults]] = {}
        self.latest: tuple[str, int, str] | None = None
        text = path.read_text() if path.exists() else ""
        whole, _, rest = text.rpartition("\n")
        for line in whole.splitlines():
            split, number, faults = json.loads(line)
            self._note(split, number, {int(row): reason for row, reason in faults.items()})
        if rest:
            self._rewrite()

    def of(self, split: str) -> dict[int, Faults]:
        """The finished chunks of a split, with their unreadable pictures."""
        return self.finished.setdefault(split, {})

    def unreadable(self) -> int:
        """How many pictures of all splits."""
        return sum(len(f) for chunks in self.finished.values() for f in chunks.values())

    def add(self, split: str, number: int, faults: Faults) -> None:
        """Note a chunk whose rows are written; saved at times."""
        self._note(split, number, faults)
        self._lines.append(json.dumps([split, number, faults]) + "\n")
        if time.monotonic() - self._saved >= SECONDS:
            self._save()

    @contextmanager
    def following(self, array: Path) -> Iterator[None]:
        """Within, chunks of ``array`` are added; afterwards all are saved, errors or not."""
        self._array = array
        try:
            yield
        finally:
            self._save()

    def forget(self, split: str) -> None:
        """The split begins anew."""
        if self.finished.pop(split, None):
            self._rewrite()

    def _note(self, split: str, number: int, faults: Faults) -> None:
        self.of(split)[number] = faults
        for row, reason in faults.items():
            self.latest = (split, row, reason)

    def _save(self) -> None:
        if self._lines and self._array is not None:
            sync(self._array)
            with open(self._path, "a") as file:
                file.writelines(self._lines)
            sync(self._path)
            self._lines = []
        self._saved = time.monotonic()

    def _rewrite(self) -> None:
        lines = [
            json.dumps([split, number, faults]) + "\n"
            for split, chunks in self.finished.items()
            for number, faults in chunks.items()
        ]
        temporary = self._path.with_suffix(".new")
        temporary.write_text("".join(lines))
        temporary.replace(self._path)
