"""Fill a store from encoded images: in parallel, and resumed after a kill.

The rows are laid out beforehand and processes write each image into its own. A journal of the
finished chunks lies beside the unfinished arrays, under a key of everything that determines them.
The finished store is what ``write_store`` would have made of the same images, byte for byte.
"""

import hashlib
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import PIL
from PIL import features

from nat.data.store import UNLABELLED, checksum, holds, new_manifest, store_folder
from nat.datasets.filling.encoded import EncodedSource
from nat.datasets.filling.journal import Journal
from nat.datasets.filling.space import announce_space
from nat.datasets.filling.unfinished import Unfinished
from nat.runtime.io.arrays import save_array
from nat.runtime.io.files import (
    check_output,
    disk_faults,
    replace_folder,
    sha256,
    sweep,
    write_json,
)
from nat.runtime.io.locks import locked
from nat.runtime.io.outputs import FILE_OF_OURS, FOLDER_OF_OURS, json_like
from nat.runtime.io.paths import own_name, place
from nat.runtime.settings.params import Images, Machine

UNREADABLE = "unreadable.txt"  # beside the store's arrays: split, name and reason of those left out
CODE = Path(__file__).parents[2]
DECODERS = ("jpg", "zlib", "libtiff", "jpg_2000", "webp", "avif")
# the modules that decide the bytes
DECIDING = (
    "data/formats.py",
    "data/squares.py",
    "datasets/filling/chunks.py",
    "datasets/filling/unfinished.py",
)


def fill_store(source: EncodedSource, settings: Images, machine: Machine, manifest: Path) -> Path:
    """Decode the source's images into a store and write its manifest.

    If these files, unchanged, have been prepared before and the store still has the bytes that it
    was written with, only the manifest is written.

    Args:
        source: what to store.
        settings: size, channels and corrupt_limit are used.
        machine: data, and workers, the number of processes.
        manifest: where to write the manifest.

    Returns:
        The store's folder.

    Raises:
        UserError: too small a disk, too many unreadable images, or a wrong archive.
    """
    content = new_manifest(source.name, settings.size, settings.channels, source.classes)
    check_output(manifest, json_like(content))
    stores = place(machine.data) / "stores"
    key = _key(source, settings)
    building = stores / own_name(stores, f"unfinished-{key}")
    lock = building.with_suffix(".lock")
    stored = _stored(stores, source.name, key)
    if stored is None or lock.exists():  # which a killed process may have left beside its store
        check_output(building, FOLDER_OF_OURS)
        with locked(lock), disk_faults(building):
            stored = _stored(stores, source.name, key)  # by whom this waited for
            if stored is None:
                counts = {name: len(split) for name, split in source.splits.items()}
                written = sum(file.stat().st_blocks * 512 for file in building.glob("*"))
                image = settings.channels * settings.size**2
                announce_space(stores, counts, image, written, building)
                _fill(source, settings, machine.workers, building, content)
                write_json(building / "prepared.json", {"key": key}, FILE_OF_OURS)
                replace_folder(building, store_folder(content, machine.data))
                stored = content
    final = store_folder(stored, machine.data)
    with suppress(OSError):  # of another user's store they stay
        sweep(final)
        (final / "journal").unlink(missing_ok=True)
    write_json(manifest, stored)
    return final


def _key(source: EncodedSource, settings: Images) -> str:
    """Of everything that determines the store's bytes; corrupt_limit does not."""
    content = {
        "source": [source.name, source.classes, source.upright],
        "splits": {name: split.digest() for name, split in source.splits.items()},
        "square": [settings.size, settings.channels],
        "code": [sha256(CODE / name) for name in DECIDING],
        "decoders": [PIL.__version__, *map(features.version, DECODERS)],
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _stored(stores: Path, source: str, key: str) -> dict[str, Any] | None:
    """The manifest of the store that was prepared from the same files, if its bytes are intact."""
    for note in stores.glob(f"{source}-*/prepared.json"):
        try:
            if json.loads(note.read_text())["key"] == key:
                content = json.loads((note.parent / "manifest.json").read_text())
                if holds(note.parent, content):
                    return content
        except (OSError, ValueError, TypeError, KeyError):
            continue
    return None


def _fill(
    source: EncodedSource,
    settings: Images,
    processes: int,
    building: Path,
    content: dict[str, Any],
) -> None:
    """Make the store's files in ``building``; adds the splits to the manifest's content."""
    building.mkdir(exist_ok=True)
    journal = Journal(building / "journal")
    left_out = []
    for name, split in source.splits.items():
        array = Unfinished(name, split, building, settings, source.upright, journal)
        array.decode(processes, settings.corrupt_limit)
        labels = array.close_gaps()
        save_array(building / f"{name}_labels.npy", labels)
        content["splits"][name] = {
            "count": len(labels),
            "labelled": int((labels != UNLABELLED).sum()),
            "sha256": checksum(building, name),
        }
        left_out += [f"{name}\t{split.names[row]}\t{why}\n" for row, why in array.faults().items()]
    if left_out:
        (building / UNREADABLE).write_text("".join(left_out), errors="backslashreplace")
        print(
            f"images: left out {len(left_out)} unreadable ones, which {UNREADABLE} beside the "
            f"store names; the first: {' '.join(left_out[0].split())}",
            file=sys.stderr,
        )
    write_json(building / "manifest.json", content, FILE_OF_OURS)
