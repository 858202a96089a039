"""Fashion-MNIST, the embedded data (Xiao et al., 2017): 28 px grey images of 10 kinds of clothes.

Looked for in this order: a folder that the user names; torchvision's download with its checksums;
the Debian package ``dataset-fashion-mnist``, installed or fetched with apt-get.
"""

import gzip
import hashlib
import shutil
import socket
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path

import numpy as np
from torchvision.datasets import FashionMNIST

from nat.data.store import Source, Split
from nat.datasets.filling.divide import at_most, divide
from nat.runtime.errors import UserError
from nat.runtime.io.files import atomic_write
from nat.runtime.io.foreign import reason, shortened
from nat.runtime.io.outputs import any_of
from nat.runtime.io.outputs import folder as folder_kind
from nat.runtime.io.paths import place
from nat.runtime.settings.params import Images, Machine

LARGEST = 16 + 60_000 * 28 * 28  # bytes of an unpacked file
# The last 20,000 training images are kept for composing VOC-format images, unseen in training.
PRETRAINING = 40_000
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
LONGEST = 400  # characters of a cause
PACKAGE = "dataset-fashion-mnist"

# Of the unpacked content: Debian packs the same content anew, so packed checksums differ.
SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


def read(settings: Images, machine: Machine) -> Source:
    """Fashion-MNIST as a source: ``train`` of the first 40,000 images, ``test`` of 10,000.

    Raises:
        UserError: the images cannot be obtained, or more are asked for than there are.
    """
    folder = find(settings.folder, machine.data)
    train, train_labels = read_idx_pair(folder, "train")
    test, test_labels = read_idx_pair(folder, "t10k")
    rows, validation = divide(train_labels[:PRETRAINING], np.arange(PRETRAINING), settings)
    splits = {"train": _split(train[rows], train_labels[rows], settings)}
    if len(validation):
        splits["validation"] = _split(train[validation], train_labels[validation], settings)
    first = at_most(settings.test, len(test))
    splits["test"] = _split(test[first], test_labels[first], settings)
    return Source("fashion-mnist", list(FashionMNIST.classes), splits)


def read_objects(folder: str | None, data: str) -> tuple[np.ndarray, np.ndarray]:
    """The images that no training sees.

    Returns:
        uint8 (20000, 28, 28) and int64 labels (20000,).
    """
    images, labels = read_idx_pair(find(folder, data), "train")
    return images[PRETRAINING:], labels[PRETRAINING:]


def find(named: str | None, data: str) -> Path:
    """The folder with the four files, obtained in the order of the module's first lines.

    Raises:
        UserError: names all three ways when none works, or the named folder's fault.
    """
    if named is not None:
        folder = place(named)
        if not _holds_all(folder):
            raise UserError(
                f"images.folder: {folder}: should hold {', '.join(SHA256)}, packed (.gz) or not"
            )
        return folder
    raw = place(data) / "raw"
    causes: list[str] = []
    for name, way in WAYS.items():
        found = way(raw)
        if isinstance(found, Path):
            if causes:
                print(
                    f"Fashion-MNIST: from {found}, for want of {'; '.join(causes)}", file=sys.stderr
                )
            return found
        causes.append(f"{name} ({found})")
    raise UserError(
        f"Fashion-MNIST: not found, for want of {'; '.join(causes)}. Either name a folder with its "
        "four files by images.folder in params.yaml, or connect to the internet for "
        f"torchvision's download, or run `apt-get install {PACKAGE}` (Debian)"
    )


def _holds_all(folder: Path) -> bool:
    return all((folder / name).is_file() or (folder / f"{name}.gz").is_file() for name in SHA256)


def _download(raw: Path) -> Path | str:
    """Torchvision's own download, or why it does not get through."""
    folder = raw / "FashionMNIST" / "raw"
    if _holds_all(folder):
        return folder
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # a closed network may swallow packets instead of refusing them
    try:
        with atomic_write(
            raw / "FashionMNIST", folder_kind("torchvision's download", "raw")
        ) as temporary:
            FashionMNIST(str(temporary.parent), download=True)
    except (OSError, RuntimeError, HTTPException) as error:
        return shortened(str(error) or type(error).__name__, LONGEST)
    finally:
        socket.setdefaulttimeout(before)
    return folder


def _debian_installed(_: Path) -> Path | str:
    return DEBIAN if _holds_all(DEBIAN) else f"not in {DEBIAN}"


def _debian_fetched(raw: Path) -> Path | str:
    """Fetch and unpack the package without installing it: needs apt-get, but no root."""
    folder = raw / "debian"
    if _holds_all(folder):
        return folder
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return "no apt-get or dpkg-deb here"
    with tempfile.TemporaryDirectory() as temporary:
        lists = Path(temporary, "lists", "partial")
        lists.mkdir(parents=True)
        options = ["-o", f"Dir::State::Lists={lists.parent}", "-o", f"Dir::Cache={temporary}"]
        try:
            for words in (["update"], ["download", PACKAGE]):
                subprocess.run(
                    ["apt-get", "-qq", *options, *words],
                    cwd=temporary,
                    capture_output=True,
                    check=True,
                    timeout=300,
                )
            package = next(Path(temporary).glob("*.deb"))
            unpacked = Path(temporary, "unpacked")
            subprocess.run(
                ["dpkg-deb", "-x", str(package), str(unpacked)], capture_output=True, check=True
            )
            with atomic_write(folder, any_of("Debian's files", r".*-ubyte(\.gz)?")) as target:
                shutil.copytree(unpacked / DEBIAN.relative_to("/"), target)
        except subprocess.CalledProcessError as error:
            said = (error.stderr or b"").decode(errors="replace").strip() or "without a word"
            return shortened(f"{error.cmd[0]} ended with {error.returncode}: {said}", LONGEST)
        except (OSError, subprocess.SubprocessError) as error:
            return shortened(str(error), LONGEST)
        except StopIteration:
            return "apt-get gave no package"
    return folder


WAYS: dict[str, Callable[[Path], Path | str]] = {
    "torchvision's download": _download,
    "Debian's package, installed": _debian_installed,
    "Debian's package, fetched": _debian_fetched,
}


def read_idx_pair(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of ``part`` ("train" or "t10k"), checked.

    Returns:
        uint8 (n, 28, 28) and int64 (n,).
    """
    images = _read_checked(folder, f"{part}-images-idx3-ubyte")
    labels = _read_checked(folder, f"{part}-labels-idx1-ubyte")
    # IDX: 16 bytes of header before images, 8 before labels
    return (
        np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28),
        np.frombuffer(labels, np.uint8, offset=8).astype(np.int64),
    )


def _read_checked(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        with open(path, "rb") if path.exists() else gzip.open(f"{path}.gz") as file:
            content = file.read(LARGEST + 1)  # a small file may unpack to any length
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            f"{path}.gz: truncated or damaged ({reason(error)}); remove it and run prepare again"
        ) from error
    if hashlib.sha256(content).hexdigest() != SHA256[name]:
        raise UserError(
            f"{path}: wrong checksum, so not Fashion-MNIST's file or a truncated one; "
            "remove it and run prepare again"
        )
    return content


def _split(images: np.ndarray, labels: np.ndarray, settings: Images) -> Split:
    margin = settings.size - images.shape[1]
    if margin < 0:
        raise UserError(f"images.size: {settings.size} is less than Fashion-MNIST's 28 pixels")
    # a black margin on the black background, so that no pixel is interpolated
    before, after = margin // 2, margin - margin // 2
    padded = np.pad(images, ((0, 0), (before, after), (before, after)))
    coloured = np.repeat(padded[:, None], settings.channels, axis=1)
    return Split(len(images), coloured, labels)
