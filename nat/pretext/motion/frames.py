"""Real frames: every folder of numbered images, at or below a folder, is a sequence."""

import hashlib
import io
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from nat.data.discovery import Unused, no_images, search, shown
from nat.data.formats import Unreadable, opened
from nat.data.squares import converted, planes
from nat.runtime.errors import UserError
from nat.runtime.io.paths import place
from nat.runtime.progress import progress, say


class Sequence(NamedTuple):
    """Frames in their order.

    Attributes:
        name: of its folder, seen from the folder of all; empty for that one itself.
        files: one for each frame.
    """

    name: str
    files: list[Path]


class Recording:
    """The sequences at or below a folder, decoded one after the other.

    Attributes:
        sequences: in order of their names.
    """

    def __init__(self, setting: str, folder: str, channels: int, threads: int) -> None:
        """Look for the frames; none is opened.

        Args:
            setting: what names the folder in params.yaml, such as baselines.tracking.frames.
            folder: its value.
            channels: 1 for luma, 3 for RGB.
            threads: that decode.

        Raises:
            UserError: there is no such folder, no image in it, or a sequence of one frame, without
                numbers, with gaps, or with the same number twice.
        """
        self.setting, self.root = setting, place(folder)
        self._channels, self._threads = channels, threads
        self._digest = hashlib.sha256()
        if not self.root.is_dir():
            raise UserError(f"{setting}: {self.root}: no such folder; name one with frames")
        unused = Unused()
        names = [PurePosixPath(file.name) for file in search(self.root, unused)]
        if not names:
            raise UserError(f"{setting}: {no_images(self.root, unused)}")
        if unused:
            say(f"{self.root}: not used: {unused}")
        names.sort(key=lambda name: name.parent.parts)
        self.sequences = [
            Sequence(
                "" if parent == PurePosixPath(".") else str(parent), self._ordered(list(group))
            )
            for parent, group in groupby(names, lambda name: name.parent)
        ]

    def _ordered(self, names: list[PurePosixPath]) -> list[Path]:
        """The files of a sequence by their numbers, which have no gaps."""
        numbered: list[tuple[int, PurePosixPath]] = []
        for name in names:
            found = re.search(r"([0-9]+)[^0-9]*$", name.stem)
            if not found:
                raise self._fault(name, "has no number in its name; number frames, or move it away")
            numbered.append((int(found[1][-18:]), name))
        numbered.sort()
        for (before, one), (number, other) in pairwise(numbered):
            if number == before:
                raise self._fault(other, f"has the number of {shown(one.name)}; keep one of them")
            if number > before + 1:
                raise self._fault(
                    other, f"comes after {shown(one.name)}, so frame {before + 1} is missing; put "
                    "it back, or give each part a folder of its own"
                )  # fmt: skip
        if len(numbered) == 1:
            raise self._fault(names[0], "is alone in its folder; a sequence has two frames or more")
        return [self.root / name for _, name in numbered]

    def _fault(self, name: PurePosixPath | Path, what: str) -> UserError:
        return UserError(f"{self.setting}: {shown(str(self.root / name))}: {what}")

    @property
    def facts(self) -> dict[str, Any]:
        """What was read so far, for the provenance; ``sha256`` is of names and files' bytes."""
        return {
            "sequences": len(self.sequences),
            "frames": sum(len(sequence.files) for sequence in self.sequences),
            "sha256": self._digest.hexdigest(),
        }

    def read(self, least: int, side: int) -> Iterator[np.ndarray]:
        """Decode each sequence, in their order.

        Args:
            least: that the short side must have, pixels.
            side: that the short side is reduced to; smaller frames stay as they are.

        Yields:
            uint8 (n, channels, h, w).

        Raises:
            UserError: a frame is unreadable, too small, or of another size than the first of its
                sequence.
        """
        total = self.facts["frames"]
        with (
            ThreadPoolExecutor(self._threads) as pool,
            progress(total=total, label="frames", unit="frames") as bar,
        ):
            for sequence in self.sequences:
                first = sequence.files[0]
                pixels, size, _ = self._decode(first, side)
                if min(size) < least:
                    raise self._fault(
                        first, f"{_by(size)} pixels, but {least} are the least here; use larger "
                        "frames, or lower augment.crop"
                    )  # fmt: skip
                frames = np.empty((len(sequence.files), *pixels.shape), np.uint8)
                fill = partial(self._fill, frames, sequence, size, side)
                for checksum in pool.map(fill, range(len(frames))):
                    self._digest.update(checksum)
                    bar.update(1)
                yield frames

    def _fill(
        self, frames: np.ndarray, sequence: Sequence, size: tuple[int, int], side: int, row: int
    ) -> bytes:
        """Decode a frame of a sequence into its row; a checksum of its name and bytes."""
        file = sequence.files[row]
        pixels, found, checksum = self._decode(file, side)
        if found != size:
            raise self._fault(
                file, f"{_by(found)} pixels, but {shown(sequence.files[0].name)} has {_by(size)}; "
                "the frames of a sequence are of one size"
            )  # fmt: skip
        frames[row] = pixels
        return checksum

    def _decode(self, file: Path, side: int) -> tuple[np.ndarray, tuple[int, int], bytes]:
        """A frame, its width and height as its file has it, and a checksum."""
        try:
            content = file.read_bytes()
            with opened(io.BytesIO(content)) as image:
                whole = converted(image, self._channels, upright=True)
        except OSError as error:
            raise self._fault(file, f"cannot be read ({error.strerror or error})") from error
        except Unreadable as error:
            raise self._fault(file, f"no image that can be read ({error}); replace it") from error
        size = whole.size
        if min(size) > side:
            scale = side / min(size)
            smaller = (max(side, round(size[0] * scale)), max(side, round(size[1] * scale)))
            whole = whole.resize(smaller, Image.Resampling.BICUBIC)
        name = file.relative_to(self.root).as_posix()
        return planes(whole), size, hashlib.sha256(os.fsencode(name) + content).digest()


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"
