"""A folder of one's own pictures as a source.

``folder/CLASS/*.jpg`` is labelled by class; pictures directly in ``folder`` are unlabelled. If
``folder`` holds ``train`` and ``val``, these are the splits; otherwise some are held out.
"""

from pathlib import Path

import numpy as np
import torch

from nat.errors import UserError
from nat.images.squares import read_square
from nat.images.store import UNLABELLED, Source, Split
from nat.params import Pictures
from nat.training.seeds import generator

ENDINGS = {".jpg", ".jpeg", ".png"}


def read_folder(settings: Pictures) -> Source:
    """Describe the pictures below ``settings.folder``.

    Without ``train`` and ``val`` folders, ``settings.val`` pictures (a tenth if null) are held out
    at random, always the same ones.

    Raises:
        UserError: the folder is missing, or holds no or too few pictures.
    """
    folder = Path(str(settings.folder)).expanduser()
    if not folder.is_dir():
        raise UserError(f"pictures.folder: {folder}: no such folder; name one with pictures")
    if (folder / "train").is_dir() and (folder / "val").is_dir():
        classes = _classes(folder / "train")
        train = _find(folder / "train", classes)
        val = _find(folder / "val", classes)
    else:
        classes = _classes(folder)
        files = _find(folder, classes)
        held_out = len(files) // 10 if settings.val is None else settings.val
        if held_out >= len(files) or not held_out:
            raise UserError(
                f"pictures.folder: {folder}: {len(files)} pictures do not suffice to hold out "
                f"{held_out}; add pictures or change pictures.val"
            )
        order = torch.randperm(len(files), generator=generator(0, "hold out")).tolist()
        train = [files[i] for i in sorted(order[held_out:])]
        val = [files[i] for i in sorted(order[:held_out])]
    splits = {
        "train": _split(_limited(train, settings.train, "train"), settings),
        "val": _split(_limited(val, settings.val, "val"), settings),
    }
    return Source("folder", classes, splits)


def _classes(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir())


def _find(folder: Path, classes: list[str]) -> list[tuple[Path, int]]:
    found = [(path, UNLABELLED) for path in sorted(folder.iterdir()) if path.is_file()]
    for label, name in enumerate(classes):
        if (folder / name).is_dir():
            found += [(path, label) for path in sorted((folder / name).rglob("*"))]
    found = [(path, label) for path, label in found if path.suffix.lower() in ENDINGS]
    if not found:
        raise UserError(
            f"pictures.folder: {folder}: no pictures ({', '.join(sorted(ENDINGS))}) in it"
        )
    return found


def _limited(files: list[tuple[Path, int]], count: int | None, name: str) -> list[tuple[Path, int]]:
    """The first ``count`` in a fixed random order, so that every class is represented."""
    if count is None or count == len(files):
        return files
    if count > len(files):
        raise UserError(
            f"pictures.{name}: {count} is more than the {len(files)} pictures there are"
        )
    order = torch.randperm(len(files), generator=generator(0, name)).tolist()
    return [files[i] for i in sorted(order[:count])]


def _split(files: list[tuple[Path, int]], settings: Pictures) -> Split:
    pictures = (read_square(path, settings.size, settings.channels) for path, _ in files)
    return Split(len(files), pictures, np.array([label for _, label in files], dtype=np.int64))
