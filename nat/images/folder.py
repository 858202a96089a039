"""A folder of one's own pictures as a source.

``folder/CLASS/*.jpg`` is labelled by class; pictures directly in ``folder`` are unlabelled. If
``folder`` holds ``train`` and ``val``, these are the splits; otherwise some are held out.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from nat.errors import UserError
from nat.images.encoded import ENDINGS, Encoded, EncodedSource, joined, picture_files
from nat.images.store import UNLABELLED
from nat.params import Pictures
from nat.places import place
from nat.training.progress import progress
from nat.training.seeds import generator


def read_folder(settings: Pictures) -> EncodedSource:
    """Describe the pictures below ``settings.folder``; EXIF rotations are applied.

    Without ``train`` and ``val`` folders, ``settings.val`` pictures (a tenth if null) are held out
    at random, always the same ones.

    Raises:
        UserError: the folder is missing, or holds no or too few pictures.
    """
    folder = place(str(settings.folder))
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
        order = torch.randperm(len(files), generator=generator(0, "hold out")).numpy()
        train = files.take(np.sort(order[held_out:]))
        val = files.take(np.sort(order[:held_out]))
    splits = {
        "train": train.limited(settings.train, "train"),
        "val": val.limited(settings.val, "val"),
    }
    return EncodedSource("folder", classes, splits, upright=True)


def _classes(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _find(folder: Path, classes: list[str]) -> Encoded:
    parts = [_labelled(picture_files(folder, deep=False), UNLABELLED)]
    for label, name in enumerate(progress(classes, f"look into {folder.name}")):
        if (folder / name).is_dir():
            parts.append(_labelled(picture_files(folder, name), label))
    found = joined(parts)
    if not len(found):
        raise UserError(f"pictures.folder: {folder}: no pictures ({', '.join(ENDINGS)}) in it")
    return found


def _labelled(pictures: Encoded, label: int) -> Encoded:
    return replace(pictures, labels=np.full_like(pictures.labels, label))
