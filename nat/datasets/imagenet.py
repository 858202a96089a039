"""ImageNet (ILSVRC 2012) as a source: its archives as downloaded, or extracted folders.

Training images are in ``ILSVRC2012_img_train.tar``, a tar of a thousand class tars, or in
``train/nXXXXXXXX/``; validation images in ``ILSVRC2012_img_val.tar``, ``val/nXXXXXXXX/`` or
``val/``. Class folders may have folders within them. Where validation images are not in class
folders, their classes are looked up, see ground_truth.py. All of these give the same rows and so
the same store: by class, then by name. Tiny ImageNet's ``train/nXXXXXXXX/images/`` and
``val/images/`` are read too.
"""

import re
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from torchvision.datasets.imagenet import ARCHIVE_META

from nat.data.discovery import LOOSE, NO_CLASS, Folder, Unused, look, search
from nat.datasets.filling.archives import index
from nat.datasets.filling.encoded import Encoded, EncodedSource, divided, encoded, joined
from nat.datasets.filling.ground_truth import CLASS, class_of_each, read_devkit
from nat.runtime.errors import UserError
from nat.runtime.io.paths import place
from nat.runtime.progress import progress
from nat.runtime.settings.params import Images, Machine

# Asked before anything is read; the MD5 of the whole takes minutes and is asked at the end.
BYTES = {"train": 147_897_477_120, "val": 6_744_924_160}
MEMBER = {"train": rf"{CLASS}/[^/]+\.JPEG", "val": r"ILSVRC2012_val_[0-9]{8}\.JPEG"}
CLASSES = 1000
NEEDS_FOLDER = True
IMAGES = {"train": 1_281_167, "val": 50_000}
KAGGLE = "ILSVRC/Data/CLS-LOC"  # where Kaggle's archive has train and val


def read(settings: Images, machine: Machine) -> EncodedSource:
    """Describe the images in ``settings.folder``.

    EXIF rotations are ignored, as torchvision's loaders do: so it was when the published numbers
    were measured. Of all thousand classes, other counts than the published ones are announced on
    standard error, unless ``settings`` limit them.

    Args:
        settings: folder and the numbers of images are used.
        machine: scratch, for the index of the archives.

    Returns:
        Classes are WordNet identifiers, such as ``n01440764``, in their order.

    Raises:
        UserError: names what is missing or wrong, and what would be right.
    """
    folder = place(str(settings.folder))
    if not folder.is_dir():
        raise UserError(f"images.folder: {folder}: no such folder; name ImageNet's")
    devkit = read_devkit(folder)
    unused = Unused()
    scratch = machine.scratch
    train = _find(folder, "train", scratch, unused)
    wnids = [_class(name) for name in train.names]
    classes = sorted(set(wnids))
    if devkit:
        _check_same(set(devkit.classes), set(classes), "train", "the devkit")
    val = _find(folder, "val", scratch, unused)
    if "/" in val.names[0]:
        found = [_class(name) for name in val.names]
    else:
        found = class_of_each(folder, val.names, classes, devkit)
    _check_same(set(found), set(classes), "train", "val")
    _check_same(set(classes), set(found), "val", "train")
    if len(classes) == CLASSES:
        _announce_counts({"train": len(train), "val": len(val)}, settings)
    splits = divided(_in_order(train, wnids, classes), _in_order(val, found, classes), settings)
    source = EncodedSource("imagenet", classes, splits, upright=False, unused=unused)
    source.announce_gaps()
    return source


def _find(folder: Path, split: str, scratch: str, unused: Unused) -> Encoded:
    """The split's images, from its archive if that is there; not labelled."""
    archive = folder / ARCHIVE_META[split][0]
    if archive.is_file():
        return _archive(archive, split, scratch)
    for tree in (folder / split, folder / KAGGLE / split):
        if tree.is_dir():
            return _tree(tree, split, unused)

    def has_them(inner: Path) -> bool:
        places = (archive.name, split, f"{KAGGLE}/{split}")
        return any((inner / place).exists() for place in places)

    raise UserError(
        f"images.folder: {folder}: no {split} images; it should hold {archive.name}, or a "
        f"folder {split} with a folder for each class, such as {split}/n01440764"
        + (f"; name {where}, which has them" if (where := _within(folder, has_them)) else "")
    )


def _within(folder: Path, has: Callable[[Path], bool]) -> Path | None:
    """The folder directly within another one that has what that one lacks."""
    for inner in look(folder, Unused())[0]:
        with suppress(UserError, OSError):  # of a folder that cannot be looked into
            if has(folder / inner.name):
                return folder / inner.name
    return None


def _archive(archive: Path, split: str, scratch: str) -> Encoded:
    size = archive.stat().st_size
    if size != BYTES[split]:
        what = "truncated: download the rest" if size < BYTES[split] else "another archive"
        raise UserError(
            f"{archive}: {size:,} bytes instead of {BYTES[split]:,}, so {what}; of a part of "
            f"ImageNet, name folders of classes, such as {split}/n01440764, not an archive"
        )
    found = index(archive, scratch)
    for name in found.names:
        if not re.fullmatch(MEMBER[split], name):
            raise UserError(
                f"{archive}: not ImageNet's {split} archive, as {name} is in it; download "
                f"{archive.name} or give it the name that is its own"
            )
    return replace(found, md5=ARCHIVE_META[split][1])


def _tree(tree: Path, split: str, unused: Unused) -> Encoded:
    if split == "val" and (tree / "val_annotations.txt").is_file() and (tree / "images").is_dir():
        tree = tree / "images"  # of Tiny ImageNet
    found = Unused()
    inner, loose = look(tree, found)
    folders = [folder for folder in inner if _is_class(folder)]
    for folder in inner:
        if not _is_class(folder):
            found.add(NO_CLASS, folder.name)
    if not folders:
        archives = sorted(path.name for path in tree.glob("n*.tar"))
        if archives:
            raise UserError(
                f"{tree}: holds archives such as {archives[0]}; extract each into a folder of its "
                f"class, or name a folder with {ARCHIVE_META[split][0]}"
            )
        if split == "train" or not loose:
            where = _within(tree, _has_classes)
            raise UserError(
                f"{tree}: no class folders in it, such as {split}/n01440764"
                + (f"; move those of {where} up into it" if where else "")
            )
        unused.include(found, split)
        return encoded(tree, loose)
    for file in loose:
        found.add(LOOSE, file.name)
    parts = []
    for folder in progress(folders, f"look into {split}"):
        files = search(tree, found, folder)
        if not files:
            raise UserError(f"{tree / folder.name}: no images in it; extract that class again")
        parts.append(encoded(tree, files))
    unused.include(found, split)
    return joined(parts)


def _has_classes(folder: Path) -> bool:
    return any(map(_is_class, look(folder, Unused())[0]))


def _is_class(folder: Folder) -> bool:
    """Whether a folder directly in train or val is a class's."""
    return bool(re.fullmatch(CLASS, folder.name))


def _class(name: str) -> str:
    """The folder directly in train or val: within it, some data sets have another one, images."""
    return PurePosixPath(name).parts[0]


def _check_same(needed: set[str], present: set[str], where: str, asks: str) -> None:
    missing = sorted(needed - present)
    if missing:
        raise UserError(
            f"{where}/{missing[0]}: class folder missing ({len(missing)} of {len(needed)} that "
            f"{asks} has); extract or download it again"
        )


def _announce_counts(counts: dict[str, int], settings: Images) -> None:
    """Some lost images are no fault, but results are then not quite those of ImageNet."""
    limits = {"train": settings.train, "val": settings.test}
    for split, count in counts.items():
        if limits[split] is None and count != IMAGES[split]:
            print(f"{split}: {count:,} images, ImageNet has {IMAGES[split]:,}", file=sys.stderr)


def _in_order(images: Encoded, wnids: list[str], classes: list[str]) -> Encoded:
    """Labelled; by class, then by name."""
    label = {wnid: number for number, wnid in enumerate(classes)}
    labels = np.array([label[wnid] for wnid in wnids], dtype=np.int64)
    bare = [PurePosixPath(name).name for name in images.names]
    rows = np.array(sorted(range(len(bare)), key=lambda row: (labels[row], bare[row])))
    return replace(images, labels=labels).take(rows)
