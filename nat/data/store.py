"""The image store: every data set as memory-mapped uint8 squares, labels and a manifest.

Readers fill it once; training reads nothing else. The store itself is bulky and lies in
``machine.data``, outside DVC's cache; the manifest, a small JSON with counts, source and
checksums, stands for it in the pipeline. The same images give the same manifest on any machine,
whichever way they were obtained.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nat.data.manifest import REMEDY, facts_of, read_manifest
from nat.runtime.errors import UserError
from nat.runtime.io.arrays import Kinds, header, open_array, save_array, write_rows
from nat.runtime.io.files import atomic_write, check_output, sweep, write_json
from nat.runtime.io.foreign import reading
from nat.runtime.io.outputs import FOLDER_OF_OURS, json_like
from nat.runtime.io.paths import place
from nat.runtime.progress import progress

UNLABELLED = -1
VALIDATION = "validation"


@dataclass
class Split:
    """A split's images and labels as a reader hands them on.

    Attributes:
        count: how many images ``images`` yields.
        images: uint8 arrays, (channels, size, size), in order; read twice.
        labels: int64 (count,), ``UNLABELLED`` where there is none.
    """

    count: int
    images: Iterable[np.ndarray]
    labels: np.ndarray


@dataclass
class Source:
    """A data set as a reader describes it: its name, its classes and its splits."""

    name: str
    classes: list[str]
    splits: dict[str, Split]


def write_store(source: Source, size: int, channels: int, folder: str, manifest: Path) -> Path:
    """Fill a store and write its manifest; either both exist afterwards or nothing changed.

    A store that is there already with these bytes is left as it is.

    Args:
        source: what to store; other stages read ``train``, and ``test`` or ``validation``.
        size: side of the squares, pixels.
        channels: 1 (luma) or 3 (RGB).
        folder: ``machine.data``.
        manifest: where to write the manifest.

    Returns:
        The store's folder.

    Raises:
        UserError: the disk is full, or the manifest would replace another file.
    """
    content = new_manifest(source.name, size, channels, source.classes)
    check_output(manifest, json_like(content))
    for name, split in source.splits.items():
        digest = hashlib.sha256()
        for image in split.images:
            digest.update(image.tobytes())
        digest.update(split.labels.astype(np.int64).tobytes())
        content["splits"][name] = {
            "count": split.count,
            "labelled": int((split.labels != UNLABELLED).sum()),
            "sha256": digest.hexdigest(),
        }
    final = store_folder(content, folder)
    if holds(final, content):
        with suppress(OSError):  # another user's
            sweep(final)  # of a process that was killed after it was in place
    else:
        with atomic_write(final, FOLDER_OF_OURS) as temporary:
            temporary.mkdir()
            for name, split in source.splits.items():
                shape = (split.count, channels, size, size)
                with open(temporary / f"{name}.npy", "wb") as file:
                    file.write(header(shape, np.uint8))
                    for image in progress(split.images, f"store {name}", total=split.count):
                        write_rows(file, image)
                save_array(temporary / f"{name}_labels.npy", split.labels.astype(np.int64))
            write_json(temporary / "manifest.json", content)
    write_json(manifest, content)
    return final


def new_manifest(source: str, size: int, channels: int, classes: list[str]) -> dict[str, Any]:
    """A manifest that has no splits yet."""
    return {"source": source, "size": size, "channels": channels, "classes": classes, "splits": {}}


def holds(folder: Path, manifest: dict[str, Any]) -> bool:
    """Whether a store's folder is there with the bytes that ``manifest`` was written for."""
    try:
        return json.loads((folder / "manifest.json").read_text()) == manifest and all(
            checksum(folder, name) == facts["sha256"] for name, facts in manifest["splits"].items()
        )
    except (OSError, ValueError, TypeError, KeyError):
        return False


def checksum(folder: Path, name: str) -> str:
    """The manifest's checksum of a split: all images in order, then all labels."""
    digest = hashlib.sha256()
    path = folder / f"{name}.npy"
    label = f"checksum of {name}"
    size = path.stat().st_size
    with (
        open(path, "rb") as file,
        progress(total=size, label=label, unit="B", unit_scale=True) as bar,
    ):
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        while block := file.read(1 << 24):
            digest.update(block)
            bar.update(len(block))
    digest.update(np.load(folder / f"{name}_labels.npy", allow_pickle=False).tobytes())
    return digest.hexdigest()


def store_folder(manifest: dict[str, Any], folder: str) -> Path:
    """Where the store of ``manifest`` lies: named by its source and content."""
    key = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:12]
    return place(folder) / "stores" / f"{manifest['source']}-{key}"


class Store:
    """One split of a store, read-only.

    Attributes:
        split: its name: train, validation, test or unlabelled.
        images: uint8, (n, channels, size, size), memory-mapped.
        labels: int64, (n,).
        classes: class names.
        channels: of an image.
        size: its side, pixels.
        source: the data set's name.
        sha256: of all images in order, then all labels.
    """

    def __init__(self, manifest: Path, folder: str, split: str) -> None:
        """Open ``split`` of the store that ``manifest`` describes.

        Of the images, the file's header and length are checked, and of the labels every one.

        Raises:
            UserError: the store is missing, damaged, or is not the manifest's.
        """
        content = read_manifest(manifest)
        self.split = split
        path = store_folder(content, folder)
        what = f"array of the image store of {manifest}"
        size, channels, classes = content["size"], content["channels"], content["classes"]
        facts = facts_of(content, split, manifest)
        count = facts["count"]
        file = path / f"{split}.npy"
        kinds: Kinds = {"uint8": (count, channels, size, size)}
        self.images = open_array(file, kinds, what, REMEDY, mode="r")
        self._file = open(file, "rb")  # noqa: SIM115 - for as long as the store
        file = path / f"{split}_labels.npy"
        labels = open_array(file, {"int64": (count,)}, what, REMEDY)
        with reading(file, what, REMEDY):
            if labels.min() < UNLABELLED or labels.max() >= len(classes):
                raise ValueError(
                    f"labels from {labels.min()} to {labels.max()} for {len(classes)} classes"
                )
            if (labels != UNLABELLED).sum() != facts["labelled"]:
                raise ValueError(f"not {facts['labelled']} of the labels are known")
        self.labels = torch.from_numpy(labels)
        self._start = os.fstat(self._file.fileno()).st_size - self.images.nbytes
        self._step = 1
        self.source: str = content["source"]
        self.sha256: str = facts["sha256"]
        self.classes: list[str] = content["classes"]
        self.channels: int = content["channels"]
        self.size: int = content["size"]

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: torch.Tensor, pinned: bool = False) -> torch.Tensor:
        """The images of ``rows`` (b,): uint8, (b, channels, size, size), on the CPU.

        Read by position: through the memory map the system fetches what lies around each image
        too, which costs ten times as much where a large store is read at random (benchmarks/).

        Args:
            rows: int64 (b,).
            pinned: whether to read into memory from which a GPU copies while it computes.

        Raises:
            UserError: the file has become shorter.
        """
        shape = len(rows), *self.images.shape[1:]
        found = torch.empty(shape, dtype=torch.uint8, pin_memory=pinned)
        for image, row in zip(found.numpy(), rows.tolist(), strict=True):
            place = self._start + row * self._step * image.size
            if os.preadv(self._file.fileno(), [image], place) != image.size:
                raise UserError(f"{self._file.name}: ends before image {row}; {REMEDY}")
        return found

    def thinned(self, count: int) -> "Store":
        """``count`` evenly spaced images, at most all, as a split of their own rows."""
        few, step = copy(self), len(self) // count
        few._step = self._step * step
        few.images = self.images[: count * step : step]
        few.labels = self.labels[: count * step : step]
        return few

    def described(self, *others: "Store") -> dict[str, Any]:
        """What provenance says of this split and other ones of the same store.

        What it calls the store changes with the images and labels of these splits alone.
        """
        images = {store.split: len(store) for store in (self, *others)}
        sums = {store.split: store.sha256 for store in (self, *others)}
        key = hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()[:12]
        return {"data": self.source, "store": f"{self.source}-{key}", "images": images}

    def require_labels(self, purpose: str) -> None:
        """Check that every image has a label.

        Raises:
            UserError: some have none.
        """
        missing = int((self.labels == UNLABELLED).sum())
        if missing:
            raise UserError(
                f"images: {missing} of {len(self)} {self.source} images have no label, which "
                f"{purpose} needs; sort them into one folder per class"
            )


def validation_of(manifest: Path, folder: str) -> Store | None:
    """The split to choose settings on; None if the store has none.

    Raises:
        UserError: as of a ``Store``.
    """
    held_out = VALIDATION in read_manifest(manifest)["splits"]
    return Store(manifest, folder, VALIDATION) if held_out else None


def epoch_batches(n: int, batch_size: int, order: torch.Generator) -> Iterator[torch.Tensor]:
    """Rows in a fresh random order, in batches; the incomplete last batch is dropped."""
    permutation = torch.randperm(n, generator=order)
    for start in range(0, n - batch_size + 1, batch_size):
        yield permutation[start : start + batch_size]


def check_batch(batch_size: int, n: int, setting: str) -> None:
    """Check that an epoch has at least one batch.

    Raises:
        UserError: names the setting.
    """
    if batch_size > n:
        raise UserError(f"{setting}: {batch_size} is larger than the {n} images; use at most {n}")
