"""A folder of one's own images as a source.

``folder/CLASS/*.jpg`` is labelled by class; images directly in ``folder``, without class folders
beside them, are unlabelled. If ``folder`` holds ``train``, and ``test`` or ``val``, these are the
splits: beside ``test``, ``val`` has the validation images, else it is tested on. ``unlabelled``
beside them, if there is one, has more to train on without labels. Of a folder that is not divided,
some images are held out to test on.
"""

from pathlib import Path

import numpy as np

from nat.data.discovery import BESIDE, LOOSE, Unused, look, no_images, search, shown
from nat.datasets.filling.divide import hold_out
from nat.datasets.filling.encoded import Encoded, EncodedSource, divided, encoded, joined
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

    Of a folder that is not divided, ``settings.test`` images (a tenth if null) are held out at
    random, always the same ones.

    Raises:
        UserError: the folder is missing, holds no or too few images, or its folders are no
            classes, or other ones in ``test`` or ``val`` than in ``train``.
    """
    folder = place(str(settings.folder))
    if not folder.is_dir():
        raise UserError(f"images.folder: {folder}: no such folder; name one with images")
    unused = Unused()
    names = [name for name in ("test", "val") if (folder / name).is_dir()]
    if (folder / "train").is_dir() and names:
        _count_beside(folder, unused)
        classes, parts = _several_folders(folder, names, unused)
        splits = _of_folders(parts, settings)
        if (folder / EXTRA).is_dir():
            splits[EXTRA] = _without_labels(folder / EXTRA, unused)
    else:
        layout = look_into(folder, unused)
        check_no_splits(layout)
        check_several_classes(layout)
        classes, numbers = class_numbers(layout)
        train, test = _hold_out(_labelled(layout, numbers, unused), folder, settings.test)
        splits = divided(train, test, settings)
    source = EncodedSource("folder", classes, splits, upright=True, unused=unused)
    source.announce_gaps()
    return source


def _of_folders(parts: dict[str, Encoded], settings: Images) -> dict[str, Encoded]:
    """The splits: validation images have a folder of their own, or are some of those of train."""
    test = parts["test" if "test" in parts else "val"]
    if test is parts.get("val") or "val" not in parts or not settings.validation:
        return divided(parts["train"], test, settings)
    held, order = parts["val"], parts["val"].order("validation")
    if settings.validation > len(held):
        raise UserError(
            f"images.validation: {settings.validation} is more than the {len(held)} images of "
            f"{held.root}"
        )
    none = settings.model_copy(update={"validation": 0})
    splits = divided(parts["train"], test, none)
    return splits | {"validation": held.take(np.sort(order[: settings.validation]))}


def _count_beside(folder: Path, unused: Unused) -> None:
    folders, loose = look(folder, unused)
    for inner in folders:
        if inner.name not in ("train", "test", "val", EXTRA):
            unused.add(BESIDE, inner.name)
    for file in loose:
        unused.add(LOOSE, file.name)


def _several_folders(
    folder: Path, others: list[str], unused: Unused
) -> tuple[list[str], dict[str, Encoded]]:
    """Classes, and the images of ``train`` and of the ``others``, each by its folder's name."""
    inside = {name: Unused() for name in ("train", *others)}
    layouts = {name: look_into(folder / name, inside[name]) for name in inside}
    check_several_classes(layouts["train"], "train")
    classes, numbers = class_numbers(layouts["train"])
    found = {}
    for name, layout in layouts.items():
        _check_same_classes(layout, numbers)
        found[name] = _labelled(layout, numbers, inside[name])
        unused.include(inside[name], name)
    return classes, found


def _check_same_classes(layout: Layout, numbers: dict[str, int]) -> None:
    """Check that a folder's classes are some of train's.

    Raises:
        UserError: one is not, or its images are in no class folders.
    """
    unknown = [name for name in layout.by_class if same_class(name) not in numbers]
    if unknown:
        count = sum(len(layout.by_class[name]) for name in unknown)
        raise UserError(
            f"images.folder: {layout.root / shown(unknown[0])}: train has no such class "
            f"({len(unknown)} of the {len(layout.by_class)} in {layout.root.name}, {count} images);"
            " give it the name that it has in train, or take it away"
        )
    if numbers and len(layout.loose) and not layout.by_class:
        raise UserError(
            f"images.folder: {layout.root}: its {len(layout.loose)} images are in no class "
            "folders, those of train are; sort them into folders of the same names"
        )


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
            f"{held_out}; add images, or set images.test to less, or to null for a tenth"
        )
    order = files.order("hold out")
    rows = hold_out(files.labels, order, held_out)
    if len(rows) < held_out:
        raise UserError(
            f"images.folder: {folder}: of {len(files)} images in {len(set(files.labels.tolist()))} "
            f"classes, {len(rows)} can be held out if each class keeps one to train on, not "
            f"{held_out}; add images, or set images.test to fewer"
        )
    return files.take(np.setdiff1d(order, rows)), files.take(rows)
