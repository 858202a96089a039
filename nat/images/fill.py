"""Fill a store from encoded pictures: in parallel, and resumed after a kill.

The rows are laid out beforehand and processes write each picture into its own. A journal of the
finished chunks lies beside the unfinished arrays, under a key of everything that determines them.
The finished store is what ``write_store`` would have made of the same pictures, byte for byte.
"""

import fcntl
import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import features

from nat.files import check_writable, sha256, write_json
from nat.images.encoded import EncodedSource
from nat.images.journal import Journal
from nat.images.space import announce_space
from nat.images.store import UNLABELLED, store_folder
from nat.images.unfinished import Unfinished
from nat.params import Machine, Pictures
from nat.places import place
from nat.training.progress import progress

UNREADABLE = "unreadable.txt"  # beside the store's arrays: split, name and reason of those left out
DECIDING = ("chunks.py", "squares.py", "unfinished.py")  # the modules that decide the bytes


def fill_store(source: EncodedSource, settings: Pictures, machine: Machine, manifest: Path) -> Path:
    """Decode the source's pictures into a store and write its manifest.

    If these files, unchanged, have been prepared before and the store still has the bytes that it
    was written with, only the manifest is written.

    Args:
        source: what to store.
        settings: size, channels and corrupt_limit are used.
        machine: data, and threads as the number of processes.
        manifest: where to write the manifest.

    Returns:
        The store's folder.

    Raises:
        UserError: too small a disk, too many unreadable pictures, or a wrong archive.
    """
    check_writable(manifest)
    stores = place(machine.data) / "stores"
    key = _key(source, settings)
    building = stores / f"unfinished-{key}"
    with _locked(stores / f"unfinished-{key}.lock"):
        content = _stored(stores, source.name, key)
        if content is None:
            counts = {name: len(split) for name, split in source.splits.items()}
            written = sum(file.stat().st_blocks * 512 for file in building.glob("*"))
            picture = settings.channels * settings.size**2
            announce_space(stores, counts, picture, written, building)
            content = _fill(source, settings, machine.threads, building)
            write_json(building / "prepared.json", {"key": key})
            final = store_folder(content, machine.data)
            if final.exists():
                shutil.rmtree(final)
            building.rename(final)
            (final / "journal").unlink()
    (stores / f"unfinished-{key}.lock").unlink(missing_ok=True)
    write_json(manifest, content)
    return store_folder(content, machine.data)


def _key(source: EncodedSource, settings: Pictures) -> str:
    """Of everything that determines the store's bytes; corrupt_limit does not."""
    content = {
        "source": [source.name, source.classes, source.upright],
        "splits": {name: split.digest() for name, split in source.splits.items()},
        "square": [settings.size, settings.channels],
        "code": [sha256(Path(__file__).with_name(name)) for name in DECIDING],
        "decoders": [PIL.__version__, features.version("jpg"), features.version("zlib")],
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """A second preparation of the same pictures waits, and then finds them prepared."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _stored(stores: Path, source: str, key: str) -> dict[str, Any] | None:
    """The manifest of the store that was prepared from the same files, if its bytes are intact."""
    for note in stores.glob(f"{source}-*/prepared.json"):
        try:
            content = json.loads((note.parent / "manifest.json").read_text())
            if json.loads(note.read_text())["key"] == key and all(
                _digest(note.parent, name) == facts["sha256"]
                for name, facts in content["splits"].items()
            ):
                return content
        except (OSError, ValueError, KeyError):
            continue
    return None


def _fill(
    source: EncodedSource, settings: Pictures, processes: int, building: Path
) -> dict[str, Any]:
    """Make the store's files in ``building``; returns the manifest's content."""
    building.mkdir(exist_ok=True)
    journal = Journal(building / "journal")
    content: dict[str, Any] = {
        "source": source.name,
        "size": settings.size,
        "channels": settings.channels,
        "classes": source.classes,
        "splits": {},
    }
    left_out = []
    for name, split in source.splits.items():
        array = Unfinished(name, split, building, settings, source.upright, journal)
        array.decode(processes, settings.corrupt_limit)
        labels = array.close_gaps()
        np.save(building / f"{name}_labels.npy", labels)
        content["splits"][name] = {
            "count": len(labels),
            "labelled": int((labels != UNLABELLED).sum()),
            "sha256": _digest(building, name),
        }
        left_out += [f"{name}\t{split.names[row]}\t{why}\n" for row, why in array.faults().items()]
    if left_out:
        (building / UNREADABLE).write_text("".join(left_out), errors="backslashreplace")
        print(
            f"pictures: left out {len(left_out)} unreadable ones, which {UNREADABLE} beside the "
            f"store names; the first: {' '.join(left_out[0].split())}",
            file=sys.stderr,
        )
    write_json(building / "manifest.json", content)
    return content


def _digest(folder: Path, name: str) -> str:
    """The manifest's checksum of a split: all pictures in order, then all labels."""
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
