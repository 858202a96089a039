"""CIFAR-10 (Krizhevsky, 2009): 50,000 and 10,000 images of 32 px, in ten classes.

Looked for in the folder that the user names, packed or extracted; otherwise downloaded. Every file
is checked against torchvision's MD5. The batches are pickles, which could run any code: they are
read by an unpickler that knows arrays and nothing else, whatever the checksum says.

Or a copy of it as image files, ``folder/train/CLASS`` and ``folder/test/CLASS``. If these are JPEGs
it is another data set, as compression changes the pixels; it is called so wherever a number of it
stands.
"""

import gzip
import hashlib
import socket
import tarfile
import zlib
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torchvision.datasets import CIFAR10
from torchvision.datasets.utils import download_url

from nat.data.store import Source, Split
from nat.datasets import folder
from nat.datasets.filling.archives import in_pieces
from nat.datasets.filling.divide import at_most, divide
from nat.datasets.filling.encoded import EncodedSource, divided
from nat.runtime.errors import UserError
from nat.runtime.io.files import atomic_write
from nat.runtime.io.foreign import reading, reason
from nat.runtime.io.paths import place
from nat.runtime.io.unpickle import plain
from nat.runtime.settings.params import Images, Machine

SIDE = 32
CLASSES = [
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
]  # fmt: skip
COUNTS = {"train": 50_000, "test": 10_000}
LARGEST = 2**26  # bytes; a batch has half of them


def read(settings: Images, machine: Machine) -> Source | EncodedSource:
    """CIFAR-10 as a source, called ``cifar10``, or a copy as files, ``cifar10-files``.

    Args:
        settings: train, validation and test tell how many; ``size`` of more than 32 gets a
            margin, ``channels`` 1 takes the luma.
        machine: data, to download into.

    Raises:
        UserError: the batches cannot be obtained or are not CIFAR-10's, or more images are asked
            for than there are.
    """
    if settings.folder and (place(settings.folder) / "train").is_dir():
        return _copied(settings, machine)
    where = _find(settings.folder, machine.data)
    train = [_read_batch(where, name, md5) for name, md5 in CIFAR10.train_list]
    test = [_read_batch(where, name, md5) for name, md5 in CIFAR10.test_list]
    meta = _unpickle(where, CIFAR10.meta["filename"], CIFAR10.meta["md5"])
    images, labels = map(np.concatenate, zip(*train, strict=True))
    rows, validation = divide(labels, np.arange(len(labels)), settings)
    splits = {"train": _split(images[rows], labels[rows], settings)}
    if len(validation):
        splits["validation"] = _split(images[validation], labels[validation], settings)
    images, labels = map(np.concatenate, zip(*test, strict=True))
    first = at_most(settings.test, len(labels))
    splits["test"] = _split(images[first], labels[first], settings)
    return Source("cifar10", [str(name) for name in meta[CIFAR10.meta["key"]]], splits)


def _copied(settings: Images, machine: Machine) -> EncodedSource:
    """A copy as image files.

    Raises:
        UserError: what the reader of folders refuses, other classes or counts than CIFAR-10's, or
            another size than the images have.
    """
    if settings.size != SIDE:
        raise UserError(
            f"images.size: {settings.size}: a copy of CIFAR-10 as files is stored as it is; use "
            f"{SIDE}"
        )
    everything = settings.model_copy(update={"train": None, "validation": 0, "test": None})
    found = folder.read(everything, machine)
    counts = {name: len(split) for name, split in found.splits.items()}
    if found.classes != CLASSES or counts != COUNTS:
        raise UserError(
            f"images.folder: {settings.folder}: {counts} images of {', '.join(found.classes)}; a "
            f"copy of CIFAR-10 has {COUNTS} of {', '.join(CLASSES)}"
        )
    splits = divided(found.splits["train"], found.splits["test"], settings)
    return replace(found, name="cifar10-files", splits=splits)


def _find(named: str | None, data: str) -> Path:
    """The folder of the batches, or the archive that holds them."""
    base = place(named) if named else place(data) / "raw" / "CIFAR10"
    first = CIFAR10.train_list[0][0]
    for path in (base, base / CIFAR10.base_folder):
        if (path / first).is_file():
            return path
    archive = base / CIFAR10.filename
    if archive.is_file():
        return archive
    if named:
        raise UserError(
            f"images.folder: {base}: should hold {CIFAR10.filename} or the folder "
            f"{CIFAR10.base_folder} extracted from it, or train and test with image files"
        )
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # a closed network may swallow packets instead of refusing them
    try:
        with atomic_write(archive) as temporary:
            download_url(CIFAR10.url, str(temporary.parent), temporary.name, CIFAR10.tgz_md5)
    except (OSError, RuntimeError, HTTPException) as error:
        raise UserError(
            f"CIFAR-10: no download ({reason(error)}); get {CIFAR10.url} elsewhere and put it into "
            f"{base}, or name its folder by images.folder"
        ) from error
    finally:
        socket.setdefaulttimeout(before)
    return archive


def _read_batch(where: Path, name: str, md5: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (n, 3, 32, 32) and int64 (n,)."""
    content = _unpickle(where, name, md5)
    images = np.asarray(content["data"], np.uint8).reshape(-1, 3, SIDE, SIDE)
    return images, np.asarray(content["labels"], np.int64)


def _unpickle(where: Path, name: str, md5: str) -> Any:
    try:
        if where.is_dir():
            with open(where / name, "rb") as file:
                content = file.read(LARGEST)
        else:
            with gzip.open(where) as packed:
                # tarfile believes the length that a header gives to names and the like
                pieces = in_pieces(packed)
                with tarfile.open(fileobj=pieces, mode="r:") as tar:
                    member = tar.extractfile(f"{CIFAR10.base_folder}/{name}")
                    content = member.read(LARGEST) if member else b""
    except FileNotFoundError as error:
        raise UserError(f"{where / name}: missing; extract {CIFAR10.filename} again") from error
    except (tarfile.TarError, zlib.error, EOFError, KeyError, ValueError, OSError) as error:
        raise UserError(
            f"{where}: truncated, damaged or not CIFAR-10's ({reason(error)}); remove it and get "
            f"{CIFAR10.url} again"
        ) from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise UserError(
            f"{where}: {name} has another MD5 than {md5}, so it is damaged or not CIFAR-10's; get "
            f"{CIFAR10.url} again"
        )
    with reading(
        where / name if where.is_dir() else where, "batches of CIFAR-10", f"get {CIFAR10.url} again"
    ):
        return plain(content)


def _split(images: np.ndarray, labels: np.ndarray, settings: Images) -> Split:
    margin = settings.size - SIDE
    if not 0 <= margin < SIDE:
        raise UserError(
            f"images.size: {settings.size}: CIFAR-10's images are of {SIDE} pixels; use "
            f"{SIDE} to {2 * SIDE - 1}, of which what is more becomes a margin"
        )
    if settings.channels == 1:
        images = np.stack([_luma(image) for image in images])
    # the image mirrored at its border: a black margin would be an edge that the scene has not
    before, after = margin // 2, margin - margin // 2
    sides = ((0, 0), (0, 0), (before, after), (before, after))
    return Split(len(labels), np.pad(images, sides, mode="reflect"), labels)


def _luma(image: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(np.moveaxis(image, 0, 2)).convert("L"))[None]
