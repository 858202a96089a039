"""What an interrupted preparation has finished, so that it goes on from there.

A line for each finished chunk: JSON, and a checksum before it. Lines are added some seconds after
their chunks, once the disk has the rows: then neither a killed process nor a machine that went down
leaves a line without its rows.
"""

import json
import os
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nat.datasets.filling.chunks import Faults
from nat.runtime.io.files import sync

SECONDS = 20.0  # between saves, each of which waits for the disk; a kill loses that much work


class Journal:
    """The finished chunks of a store's splits.

    Attributes:
        finished: split: chunk: its unreadable images.
        latest: split, row and reason of the last unreadable image, if any.
    """

    def __init__(self, path: Path) -> None:
        """Read what is there.

        A line that a kill cut short, or that is damaged, is dropped: its chunk is done again.
        """
        self._path = path
        self._lines: list[str] = []
        self._saved = time.monotonic()
        self._array: Path | None = None
        self.finished: dict[str, dict[int, Faults]] = {}
        self.latest: tuple[str, int, str] | None = None
        *whole, rest = path.read_bytes().split(b"\n") if path.exists() else [b""]
        dropped = 0
        for line in whole:
            if (entry := _parsed(line)) is None:
                dropped += 1
            else:
                self._note(*entry)
        if dropped:
            print(f"{path}: {dropped} damaged lines; their work is done again", file=sys.stderr)
        if dropped or rest:
            self._rewrite()

    def of(self, split: str) -> dict[int, Faults]:
        """The finished chunks of a split, with their unreadable images."""
        return self.finished.setdefault(split, {})

    def fit(self, split: str, rows: int, chunk: int) -> None:
        """Drop what cannot be of a split of ``rows`` images in chunks of ``chunk``."""
        chunks = self.of(split)
        wrong = [
            number
            for number, faults in chunks.items()
            if not 0 <= number * chunk < rows
            or any(not 0 <= row - number * chunk < chunk or row >= rows for row in faults)
        ]
        if wrong:
            for number in wrong:
                del chunks[number]
            left = [
                (name, row, why)
                for name, of_split in self.finished.items()
                for faults in of_split.values()
                for row, why in faults.items()
            ]
            self.latest = left[-1] if left else None
            self._rewrite()

    def unreadable(self) -> int:
        """How many images of all splits."""
        return sum(len(f) for chunks in self.finished.values() for f in chunks.values())

    def add(self, split: str, number: int, faults: Faults) -> None:
        """Note a chunk whose rows are written; saved at times."""
        self._note(split, number, faults)
        self._lines.append(_line(split, number, faults))
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
            before = self._path.stat().st_size if self._path.exists() else 0
            try:
                with open(self._path, "a") as file:
                    file.writelines(self._lines)
            except OSError:
                with suppress(OSError):  # a part of a line, which others would follow
                    os.truncate(self._path, before)
                raise
            sync(self._path)
            self._lines = []
        self._saved = time.monotonic()

    def _rewrite(self) -> None:
        lines = [
            _line(split, number, faults)
            for split, chunks in self.finished.items()
            for number, faults in chunks.items()
        ]
        temporary = self._path.with_suffix(".new")
        temporary.write_text("".join(lines))
        temporary.replace(self._path)


def _line(split: str, number: int, faults: Faults) -> str:
    text = json.dumps([split, number, faults])
    return f"{zlib.crc32(text.encode()):08x} {text}\n"


def _parsed(line: bytes) -> tuple[str, int, Faults] | None:
    """Split, chunk and unreadable images; None of a damaged line."""
    checksum, _, text = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        split, number, faults = json.loads(text)
        return str(split), int(number), {int(row): str(why) for row, why in faults.items()}
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return None
