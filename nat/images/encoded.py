"""Pictures as files hold them: where their bytes lie, before anything is decoded."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from nat.errors import UserError
from nat.training.seeds import generator

ENDINGS = (".jpeg", ".jpg", ".png")


@dataclass(frozen=True)
class Encoded:
    """A split's pictures, in the order of the store's rows.

    Attributes:
        root: a folder, or a tar archive.
        names: (n,) files below the folder, or members of the archive.
        labels: int64 (n,), ``UNLABELLED`` where there is none.
        lengths: int64 (n,), bytes.
        changed: int64 (n,), when the files (or the archive) were last written, nanoseconds.
        offsets: int64 (n,), where in the archive they begin; None for a folder.
        md5: what the archive's checksum should be, if reading the pictures reads all of it.
    """

    root: Path
    names: list[str]
    labels: np.ndarray
    lengths: np.ndarray
    changed: np.ndarray
    offsets: np.ndarray | None = None
    md5: str | None = None

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: np.ndarray) -> "Encoded":
        """Some of the pictures, in the order of ``rows``."""
        return replace(
            self,
            names=[self.names[row] for row in rows],
            labels=self.labels[rows],
            lengths=self.lengths[rows],
            changed=self.changed[rows],
            offsets=None if self.offsets is None else self.offsets[rows],
            md5=self.md5 if len(rows) == len(self) else None,
        )

    def limited(self, count: int | None, split: str) -> "Encoded":
        """The first ``count`` in a fixed random order, so that every class is represented.

        Raises:
            UserError: there are fewer.
        """
        if count is None or count == len(self):
            return self
        if count > len(self):
            raise UserError(
                f"pictures.{split}: {count} is more than the {len(self)} pictures there are"
            )
        order = torch.randperm(len(self), generator=generator(0, split)).numpy()
        return self.take(np.sort(order[:count]))

    def digest(self) -> str:
        """Changes with any picture's name, place, length, time of writing or label."""
        digest = hashlib.sha256(os.fsencode("\0".join(self.names)))
        for array in (self.labels, self.lengths, self.changed, self.offsets):
            digest.update(b"" if array is None else array.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class EncodedSource:
    """A data set as a reader describes it.

    Attributes:
        name: of the data set.
        classes: their names.
        splits: ``train`` and ``val``.
        upright: whether EXIF rotations are applied.
    """

    name: str
    classes: list[str]
    splits: dict[str, Encoded]
    upright: bool


def picture_files(root: Path, folder: str = "", deep: bool = True) -> Encoded:
    """The JPEG and PNG files in ``root/folder``, and below it if ``deep``, in order of their names.

    Their labels are not known here: 0.
    """
    found = sorted(_walk(root / folder, folder, deep), key=lambda entry: entry[0].split("/"))
    lengths, changed = (np.array([entry[i] for entry in found], dtype=np.int64) for i in (1, 2))
    return Encoded(root, [entry[0] for entry in found], np.zeros_like(lengths), lengths, changed)


def _walk(folder: Path, name: str, deep: bool) -> Iterator[tuple[str, int, int]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            inner = f"{name}/{entry.name}" if name else entry.name
            if deep and entry.is_dir(follow_symlinks=False):
                yield from _walk(Path(entry), inner, deep)
            elif entry.name.lower().endswith(ENDINGS) and entry.is_file():
                facts = entry.stat()
                yield inner, facts.st_size, facts.st_mtime_ns


def joined(parts: list[Encoded]) -> Encoded:
    """Pictures in folders of the same root, one part after another."""
    return Encoded(
        parts[0].root,
        [name for part in parts for name in part.names],
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        np.concatenate([part.changed for part in parts]),
    )
