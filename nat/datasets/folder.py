"""A folder of one's own images as a source.

``folder/CLASS/*.jpg`` is labelled by class; images directly in ``folder``, without class folders
beside them, are unlabelled. If ``folder`` holds ``train`` and ``val``, these are the splits, and
``unlabelled`` beside them, if there is one, has more to train on without labels; otherwise some are
held out.
"""

from collections import Counter
from pathlib import Path

import numpy as np
import torch

from nat.data.discovery import BESIDE, LOOSE, Unused, look, no_images, search, shown
from nat.data.seeds import generator
from nat.datasets.filling.encoded import Encoded, EncodedSource, encoded, joined
from nat.datasets.filling.layout import (
    Layout,
    check_no_splits,
    check_several_classes,
    class_numbers,
    look_into,
    same_class,
)
from nat.runtime.errors import UserError
from nat.runtime.io.paths import place
from nat.runtime.settings.params import Images, Machine

EXTRA = "unlabelled"
NEEDS_FOLDER = True


def read(settings: Images, machine: Machine) -> EncodedSource:
    """Describe the images below ``settings.folder``; EXIF rotations are applied.

    Without ``train`` and ``val`` folders, ``settings.val`` images (a tenth if null) are held out
    at random, always the same ones.

    Raises:
        UserError: the folder is missing, holds no or too few images, or its folders are no
            classes, or other ones in ``val`` than in ``train``.
    """
    folder = place(str(settings.folder))
    if not folder.is_dir():
        raise UserError(f"images.folder: {folder}: no such folder; name one with images")
    unused = Unused()
    more: dict[str, Encoded] = {}
    if (folder / "train").is_dir() and (folder / "val").is_dir():
        _count_beside(folder, unused)
        classes, train, val = _two_folders(folder, unused)
        if (folder / EXTRA).is_dir():
            more[EXTRA] = _without_labels(folder / EXTRA, unused)
    else:
        layout = look_into(folder, unused)
        check_no_splits(layout)
        check_several_classes(layout)
        classes, numbers = class_numbers(layout)
        files = _labelled(layout, numbers, unused)
        train, val = _hold_out(files, folder, settings.val)
    splits = {
        "train": train.limited(settings.train, "train"),
        "val": val.limited(settings.val, "val"),
        **more,
    }
    source = EncodedSource("folder", classes, splits, upright=True, unused=unused)
    source.announce_gaps()
    return source


def _count_beside(folder: Path, unused: Unused) -> None:
    folders, loose = look(folder, unused)
    for inner in folders:
        if inner.name not in ("train", "val", EXTRA):
            unused.add(BESIDE, inner.name)
    for file in loose:
        unused.add(LOOSE, file.name)


def _two_folders(folder: Path, unused: Unused) -> tuple[list[str], Encoded, Encoded]:
    """Classes and images of ``train`` and ``val``."""
    inside = {name: Unused() for name in ("train", "val")}
    layouts = {name: look_into(folder / name, inside[name]) for name in inside}
    train, val = layouts["train"], layouts["val"]
    check_several_classes(train, "train")
    classes, numbers = class_numbers(train)
    found = [_labelled(train, numbers, inside["train"])]
    unknown = [name for name in val.by_class if same_class(name) not in numbers]
    if unknown:
        count = sum(len(val.by_class[name]) for name in unknown)
        raise UserError(
            f"images.folder: {val.root / shown(unknown[0])}: train has no such class "
            f"({len(unknown)} of the {len(val.by_class)} in val, {count} images); give it the "
            "name that it has in train, or take it away"
        )
    if numbers and len(val.loose) and not val.by_class:
        raise UserError(
            f"images.folder: {val.root}: its {len(val.loose)} images are in no class folders, "
            "those of train are; sort them into folders of the same names"
        )
    found.append(_labelled(val, numbers, inside["val"]))
    for name in inside:
        unused.include(inside[name], name)
    return classes, found[0], found[1]


def _without_labels(folder: Path, unused: Unused) -> Encoded:
    """All images below a folder, whatever folders they are in."""
    inside = Unused()
    files = search(folder, inside)
    if not files:
        raise UserError(f"images.folder: {no_images(folder, inside)}")
    unused.include(inside, folder.name)
    return encoded(folder, files)


def _labelled(layout: Layout, numbers: dict[str, int], unused: Unused) -> Encoded:
    """The images in order of class and name; all are unlabelled if there are no classes."""
    if not layout.by_class and not len(layout.loose):
        raise UserError(f"images.folder: {no_images(layout.root, unused)}")
    if not layout.by_class:
        return layout.loose
    for name in layout.loose.names:
        unused.add(LOOSE, name)
    label = {name: numbers[same_class(name)] for name in layout.by_class}
    parts = [
        layout.by_class[name].labelled(label[name])
        for name in sorted(label, key=lambda name: (label[name], name))
    ]
    return joined(parts)


def _hold_out(files: Encoded, folder: Path, asked: int | None) -> tuple[Encoded, Encoded]:
    """Divide at random into images to train on and others, leaving every class one to train on.

    Raises:
        UserError: there are too few.
    """
    held_out = len(files) // 10 if asked is None else asked
    if held_out >= len(files) or not held_out:
        raise UserError(
            f"images.folder: {folder}: {len(files)} images do not suffice to hold out "
            f"{held_out}; add images or change images.val"
        )
    order = torch.randperm(len(files), generator=generator(0, "hold out")).numpy()
    left = Counter(files.labels.tolist())
    chosen: list[int] = []
    for row in order.tolist():
        label = int(files.labels[row])
        if len(chosen) == held_out:
            break
        if left[label] > 1:
            left[label] -= 1
            chosen.append(row)
    if len(chosen) < held_out:
        raise UserError(
            f"images.folder: {folder}: of {len(files)} images in {len(left)} classes, "
            f"{len(chosen)} can be held out if each class keeps one to train on, not {held_out}; "
            "add images, or set images.val to fewer"
        )
    rows = np.sort(np.array(chosen))
    return files.take(np.setdiff1d(order, rows)), files.take(rows)
