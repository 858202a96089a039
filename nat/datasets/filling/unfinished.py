"""A split's array on its way from empty to finished, which a kill at any moment does not harm."""

import errno
import os
import sys
from contextlib import closing
from pathlib import Path

import numpy as np

from nat.datasets.filling.archives import Checksum
from nat.datasets.filling.chunks import Chunk, Faults, write_chunks
from nat.datasets.filling.encoded import Encoded
from nat.datasets.filling.journal import Journal
from nat.runtime.errors import UserError
from nat.runtime.io.arrays import header
from nat.runtime.io.files import discard, sync
from nat.runtime.progress import progress
from nat.runtime.settings.params import Images

ROWS = 64  # of a chunk: 4 MB of 256 px luma


class Unfinished:
    """While rows are written the array is ``NAME.part``; with its gaps closed it is ``NAME.npy``.

    Processes write each image into its own row. An unreadable image leaves a gap. The split's
    last images move into the gaps: few rows are copied, and what moves is not lost by a kill.
    """

    def __init__(
        self,
        name: str,
        split: Encoded,
        building: Path,
        settings: Images,
        upright: bool,
        journal: Journal,
    ) -> None:
        """Lay out the rows, or find them.

        Args:
            name: of the split.
            split: its images.
            building: folder of the arrays.
            settings: size and channels are used.
            upright: whether EXIF rotations are applied.
            journal: of the chunks that are finished.

        Raises:
            OSError: the disk has no room for the rows.
        """
        self.name, self.split, self.settings, self.upright = name, split, settings, upright
        self.journal = journal
        self.part, self.whole = building / f"{name}.part", building / f"{name}.npy"
        self.row = settings.channels * settings.size**2
        self.header = self._header(len(split))
        journal.fit(name, len(split), ROWS)
        if self.whole.exists():
            if len(journal.of(name)) == -(-len(split) // ROWS):
                return
            self.whole.unlink()  # its gaps are closed, but which ones is not known any more
        size = len(self.header) + len(split) * self.row
        if not self.part.exists() or self.part.stat().st_size != size:
            journal.forget(name)
            self._lay_out(size)

    def _lay_out(self, size: int) -> None:
        """Reserve the disk for all rows, so that it is not found full after hours of decoding."""
        try:
            with open(self.part, "wb") as file:
                file.write(self.header)
                file.flush()
                reserve(file.fileno(), size)
                file.truncate(size)
        except OSError:
            self.part.unlink(missing_ok=True)  # what was reserved is of no use
            raise

    def _header(self, count: int) -> bytes:
        settings = self.settings
        return header((count, settings.channels, settings.size, settings.size), np.uint8)

    def decode(self, processes: int, limit: int) -> None:
        """Write the rows of every chunk that the journal does not name.

        Args:
            processes: how many decode.
            limit: unreadable images allowed, in all splits together.

        Raises:
            UserError: too many unreadable images, or the archive has a wrong MD5.
        """
        self._check_limit(limit)
        total = -(-len(self.split) // ROWS)
        done = self.journal.of(self.name)
        todo = [number for number in range(total) if number not in done]
        ask = self.split.md5 and not self.whole.exists()  # else it was asked before
        checksum = Checksum(self.split.root) if ask else None
        needed = self._needed_bytes(total)
        unbroken = 0  # chunks finished, from the first on
        with (
            progress(
                total=len(self.split),
                initial=sum(self._rows(number) for number in done),
                label=f"store {self.name}",
                unit=" images",
                smoothing=0.05,
            ) as bar,
            closing(write_chunks(map(self._chunk, todo), processes)) as written,
            self.journal.following(self.part),
        ):
            for number, faults in written:
                self.journal.add(self.name, number, faults)
                self._check_limit(limit)
                bar.update(self._rows(number))
                while unbroken in done:
                    unbroken += 1
                if checksum:
                    checksum.follow(needed[unbroken])
        if checksum:
            self._check_md5(checksum)

    def _rows(self, number: int) -> int:
        return min(ROWS, len(self.split) - ROWS * number)

    def _chunk(self, number: int) -> Chunk:
        first = ROWS * number
        rows = slice(first, first + ROWS)
        places = None
        if self.split.offsets is not None:
            offsets, lengths = self.split.offsets[rows], self.split.lengths[rows]
            places = list(zip(offsets.tolist(), lengths.tolist(), strict=True))
        return Chunk(
            number=number,
            first=first,
            array=self.part,
            header=len(self.header),
            root=self.split.root,
            names=self.split.names[rows],
            places=places,
            size=self.settings.size,
            channels=self.settings.channels,
            upright=self.upright,
        )

    def _needed_bytes(self, total: int) -> list[int]:
        """For each chunk, the first byte in the archive that it or a later one needs."""
        if self.split.offsets is None:
            return [0] * (total + 1)
        lowest = np.minimum.reduceat(self.split.offsets, np.arange(total) * ROWS)
        needed = np.minimum.accumulate(lowest[::-1])[::-1]
        return [*needed.tolist(), int(self.split.offsets.max())]

    def _check_limit(self, limit: int) -> None:
        count = self.journal.unreadable()
        split, row, reason = self.journal.latest or ("", 0, "")
        if count > limit and split == self.name:
            raise UserError(
                f"{self.split.root / self.split.names[row]}: no readable image ({reason}); "
                f"unreadable so far: {count}, images.corrupt_limit allows {limit}: replace or "
                "remove the file, or allow more, which goes on where this stopped"
            )

    def _check_md5(self, checksum: Checksum) -> None:
        found = checksum.finish()
        if found != self.split.md5:
            discard(self.part.parent)
            raise UserError(
                f"{checksum.path}: MD5 is {found}, published is {self.split.md5}: damaged on its "
                "way, or another archive; download it again (of an extracted one, no checksum is "
                "asked)"
            )
        print(f"{checksum.path.name}: MD5 as published", file=sys.stderr)

    def faults(self) -> Faults:
        """All unreadable images, by row."""
        return {
            row: reason
            for _, faults in sorted(self.journal.of(self.name).items())
            for row, reason in sorted(faults.items())
        }

    def close_gaps(self) -> np.ndarray:
        """Move the last images into the rows of unreadable ones and cut the array off.

        Returns:
            The labels of the rows that remain, int64.

        Raises:
            UserError: nothing remains.
        """
        rows = kept_rows(len(self.split), set(self.faults()))
        if not len(rows):
            raise UserError(f"{self.split.root}: no readable image for {self.name}")
        if not self.whole.exists():
            with open(self.part, "r+b") as file:
                for row in np.flatnonzero(rows != np.arange(len(rows))).tolist():
                    file.seek(len(self.header) + int(rows[row]) * self.row)
                    image = file.read(self.row)
                    file.seek(len(self.header) + row * self.row)
                    file.write(image)
            sync(self.part)
            self.part.rename(self.whole)
        with open(self.whole, "r+b") as file:  # the same, however often it is done
            file.write(self._header(len(rows)))
            file.truncate(len(self.header) + len(rows) * self.row)
        return self.split.labels[rows].astype(np.int64)


def reserve(file: int, size: int) -> None:
    """Have the file system set ``size`` bytes of an open file aside, where it can.

    Raises:
        OSError: there are not so many.
    """
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
            raise


def kept_rows(count: int, gaps: set[int]) -> np.ndarray:
    """The images that remain, in the order of their rows: the last ones stand in for the gaps.

    Args:
        count: images there were.
        gaps: rows of those to leave out.

    Returns:
        int64 (count - len(gaps),).
    """
    kept = count - len(gaps)
    rows = np.arange(kept)
    rows[sorted(gap for gap in gaps if gap < kept)] = [
        row for row in range(kept, count) if row not in gaps
    ]
    return rows
