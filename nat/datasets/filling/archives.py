"""Reading images out of tar archives without extracting them.

An index says where in the archive each image's bytes lie; it is made by walking the headers,
once, and kept. The archive's MD5 is computed behind the decoding, from bytes that the system still
has in memory, so that nothing is read from the disk twice.
"""

import hashlib
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

import numpy as np

from nat.datasets.filling.encoded import Encoded
from nat.runtime.errors import UserError
from nat.runtime.io.arrays import BYTES, Kinds, open_archive
from nat.runtime.io.files import atomic_write
from nat.runtime.io.foreign import reason
from nat.runtime.io.outputs import FILE_OF_OURS
from nat.runtime.io.paths import place
from nat.runtime.progress import progress

BLOCK = 512  # bytes of a tar header, and the unit of its padding
MOST = 2**26  # bytes that are read at once; headers with long names have some thousands
STRIDE = 1 << 26  # bytes to hash at a time, so that the decoding processes are not kept waiting


def index(archive: Path, scratch: str) -> Encoded:
    """Where the images of an archive lie, in order of their names.

    A tar of tars, as ImageNet's training set is one, is walked inside: ``n01440764.tar`` with
    ``x.JPEG`` in it gives ``n01440764/x.JPEG``.

    Args:
        archive: a plain tar.
        scratch: ``machine.scratch``, where the index is kept for the next time.

    Returns:
        The images, labels 0.

    Raises:
        UserError: the archive is truncated, damaged or no tar.
    """
    facts = archive.stat()
    words = f"{archive.resolve()}\0{facts.st_size}\0{facts.st_mtime_ns}\0names"
    key = hashlib.sha256(os.fsencode(words)).hexdigest()[:16]
    kept = place(scratch) / f"index-{key}.npz"
    names, offsets, lengths = _load(kept, facts.st_size) or _walk(archive, kept)
    changed = np.full_like(lengths, facts.st_mtime_ns)
    return Encoded(archive, names, np.zeros_like(lengths), lengths, changed, offsets)


def _load(kept: Path, end: int) -> tuple[list[str], np.ndarray, np.ndarray] | None:
    """The index, or None where there is none, or it is damaged and is as good as none.

    Args:
        kept: its file.
        end: how long the archive is, bytes.
    """
    one: Kinds = {"int64": ("n",)}
    try:
        layout: dict[str, Kinds] = {"names": {BYTES: ("n",)}, "offsets": one, "lengths": one}
        size = kept.stat().st_size  # it is not compressed
        content = open_archive(kept, layout, "index", "", size)
    except (UserError, OSError):
        return None
    names, offsets, lengths = content["names"].tolist(), content["offsets"], content["lengths"]
    if not names or min(offsets.min(), lengths.min()) < 0 or (offsets > end - lengths).any():
        return None
    return [os.fsdecode(name) for name in names], offsets, lengths


def _walk(archive: Path, kept: Path) -> tuple[list[str], np.ndarray, np.ndarray]:
    end = archive.stat().st_size
    found: list[tuple[str, int, int]] = []
    with open(archive, "rb") as file, progress(label=f"look into {archive.name}") as bar:
        for name, offset, length in _members(file, 0, end):
            path = PurePosixPath(name)
            if path.suffix == ".tar":
                inner = _members(file, offset, offset + length)
                found += [(f"{path.stem}/{PurePosixPath(n).name}", o, m) for n, o, m in inner]
            else:
                found.append((path.name, offset, length))
            bar.update(len(found) - bar.n)
    found.sort()
    if not found:
        raise UserError(f"{archive}: holds no files; download it again")
    names = [name for name, _, _ in found]
    offsets, lengths = (np.array([entry[i] for entry in found], dtype=np.int64) for i in (1, 2))
    with atomic_write(kept, FILE_OF_OURS) as temporary, open(temporary, "wb") as out:
        encoded = np.array([os.fsencode(name) for name in names])
        np.savez(out, names=encoded, offsets=offsets, lengths=lengths)
    return names, offsets, lengths


def _members(file: BinaryIO, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Name, offset and length of the files in the tar that lies in ``file`` from start to end."""
    name, last = getattr(file, "name", "archive"), start
    try:
        file.seek(start)
        with tarfile.open(fileobj=in_pieces(file), mode="r:") as tar:
            for member in tar:
                last = member.offset
                if member.offset_data + member.size > end:
                    raise tarfile.ReadError(f"{member.name} goes on behind the end")
                if member.isreg():
                    yield member.name, member.offset_data, member.size
            last = tar.offset
        # tarfile takes a missing rest, and bytes that are no header, for the archive's end
        file.seek(last)
        if last + BLOCK > end or file.read(BLOCK).strip(b"\0"):
            raise tarfile.ReadError("it stops without an end mark")
    except (tarfile.TarError, ValueError, OverflowError) as error:  # of numbers beyond any file
        raise UserError(
            f"{name}: truncated, damaged or no tar archive: at byte {last:,}, {reason(error)}; "
            "download it again"
        ) from error


def in_pieces(file: Any) -> Any:
    """An opened file for tarfile, which asks for as many bytes as a header says that it has."""
    return _Pieces(file)


class _Pieces:
    def __init__(self, file: Any) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell
        self.name = str(getattr(file, "name", "archive"))

    def read(self, count: int = -1) -> bytes:
        """The next bytes.

        Raises:
            tarfile.ReadError: more than any header has are asked for.
        """
        if not 0 <= count <= MOST:
            raise tarfile.ReadError(f"a header of {count:,} bytes")
        found: bytes = self._file.read(count)
        return found


class Checksum:
    """MD5 of a file, computed as far as others have read it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0
        self._digest = hashlib.md5(usedforsecurity=False)

    def follow(self, front: int, most: int = STRIDE) -> None:
        """Go on towards byte ``front``, by at most ``most`` bytes."""
        with open(self.path, "rb", buffering=0) as file:
            file.seek(self.position)
            left = min(front - self.position, most)
            while left > 0 and (block := file.read(min(left, 1 << 20))):
                self._digest.update(block)
                self.position += len(block)
                left -= len(block)

    def finish(self) -> str:
        """Read the rest; the digest in hexadecimal digits."""
        size = self.path.stat().st_size
        with progress(
            total=size, initial=self.position, label=f"MD5 of {self.path.name}", unit="B",
            unit_scale=True,
        ) as bar:  # fmt: skip
            while self.position < size:
                self.follow(size)
                bar.update(self.position - bar.n)
        return self._digest.hexdigest()
