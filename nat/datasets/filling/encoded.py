"""Images as files hold them: where their bytes lie, before anything is decoded."""

import hashlib
import os
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from nat.data.discovery import File, Unused, shown
from nat.data.seeds import generator
from nat.data.store import UNLABELLED
from nat.datasets.filling.divide import at_most, divide
from nat.runtime.settings.params import Images


@dataclass(frozen=True)
class Encoded:
    """A split's images, in the order of the store's rows.

    Attributes:
        root: a folder, or a tar archive.
        names: (n,) files below the folder, or members of the archive.
        labels: int64 (n,), ``UNLABELLED`` where there is none.
        lengths: int64 (n,), bytes.
        changed: int64 (n,), when the files (or the archive) were last written, nanoseconds.
        offsets: int64 (n,), where in the archive they begin; None for a folder.
        md5: what the archive's checksum should be, if reading the images reads all of it.
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
        """Some of the images, in the order of ``rows``."""
        return replace(
            self,
            names=[self.names[row] for row in rows],
            labels=self.labels[rows],
            lengths=self.lengths[rows],
            changed=self.changed[rows],
            offsets=None if self.offsets is None else self.offsets[rows],
            md5=self.md5 if len(rows) == len(self) else None,
        )

    def labelled(self, label: int) -> "Encoded":
        """The same images, all of one label."""
        return replace(self, labels=np.full_like(self.labels, label))

    def order(self, purpose: str) -> np.ndarray:
        """All rows in a fixed random order, of which the first represent every class."""
        return torch.randperm(len(self), generator=generator(0, purpose)).numpy()

    def digest(self) -> str:
        """Changes with any image's name, place, length, time of writing or label."""
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
        splits: ``train``, ``test`` and what else there is.
        upright: whether EXIF rotations are applied.
        unused: what was found beside the images.
    """

    name: str
    classes: list[str]
    splits: dict[str, Encoded]
    upright: bool
    unused: Unused = field(default_factory=Unused)

    def announce_gaps(self) -> None:
        """Say on standard error which classes one split has and the other lacks."""
        train, test = (
            {int(label) for label in np.unique(self.splits[name].labels) if label != UNLABELLED}
            for name in ("train", "test")
        )
        if unseen := self._named(test - train):
            print(
                f"images: {unseen} have images to test on but none to train on",
                file=sys.stderr,
            )
        if test and (untested := self._named(set(range(len(self.classes))) - test)):
            print(
                f"images: {untested} have no images to test on: accuracies are of the others",
                file=sys.stderr,
            )

    def _named(self, labels: set[int]) -> str:
        """How many classes, and the first of them."""
        if not labels:
            return ""
        names = [shown(self.classes[label]) for label in sorted(labels)]
        more = ", ..." if len(names) > 3 else ""
        return f"{len(names)} of {len(self.classes)} classes ({', '.join(names[:3])}{more})"


def divided(train: Encoded, test: Encoded, settings: Images) -> dict[str, Encoded]:
    """The splits, with as many images as ``settings`` say.

    Of ``train`` and ``test`` the first in a fixed random order are taken.

    Raises:
        UserError: there are fewer.
    """
    splits = {"train": train}
    if settings.train is not None or settings.validation:
        rows, validation = divide(train.labels, train.order("train"), settings)
        splits["train"] = train.take(rows)
        if len(validation):
            splits["validation"] = train.take(validation)
    chosen = np.sort(test.order("test")[at_most(settings.test, len(test))])
    return splits | {"test": test if len(chosen) == len(test) else test.take(chosen)}


def encoded(root: Path, files: list[File]) -> Encoded:
    """Files below ``root``, in their order, not labelled."""
    lengths = np.array([file.size for file in files], dtype=np.int64)
    changed = np.array([file.changed for file in files], dtype=np.int64)
    names = [file.name for file in files]
    return Encoded(root, names, np.full_like(lengths, UNLABELLED), lengths, changed)


def joined(parts: list[Encoded]) -> Encoded:
    """Images in folders of the same root, one part after another."""
    return Encoded(
        parts[0].root,
        [name for part in parts for name in part.names],
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.lengths for part in parts]),
        np.concatenate([part.changed for part in parts]),
    )
