"""What a folder's subfolders are: classes, or another layout that must not be taken for classes."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from nat.data.discovery import EMPTY, Unused, look, require_text, search, shown
from nat.datasets.filling.encoded import Encoded, encoded
from nat.runtime.errors import UserError
from nat.runtime.progress import progress

_ADDED = "(images?|imgs?|images?|set|data|split)?"
TRAINING = re.compile(f"{_ADDED}(train|training|trainval){_ADDED}")
OTHER_SPLIT = re.compile(
    f"{_ADDED}(val|valid|validation|test|testing|dev|eval|evaluation|holdout){_ADDED}"
)


@dataclass(frozen=True)
class Layout:
    """Images by class folder.

    Attributes:
        root: the folder.
        by_class: class folder: its images, at least one, not labelled; in order of the names.
        loose: images in no class folder.
    """

    root: Path
    by_class: dict[str, Encoded]
    loose: Encoded


def look_into(root: Path, unused: Unused) -> Layout:
    """Find the images of a folder; one without images is no class.

    Raises:
        UserError: a folder cannot be read, or a class's name is not UTF-8.
    """
    folders, loose = look(root, unused)
    by_class = {}
    for folder in progress(folders, f"look into {root.name}"):
        if files := search(root, unused, folder):
            require_text(folder.name, f"images.folder: {root / shown(folder.name)}")
            by_class[folder.name] = encoded(root, files)
        else:
            unused.add(EMPTY, folder.name)
    return Layout(root, by_class, encoded(root, loose))


def same_class(name: str) -> str:
    """What names of one class have in common.

    macOS writes accents as characters of their own (NFD), other systems do not (NFC): both are one
    name to whoever reads them.
    """
    return unicodedata.normalize("NFC", name)


def check_no_splits(layout: Layout) -> None:
    """Check that the folders are classes, not parts of a data set.

    Raises:
        UserError: all have names of splits, or one is for training and another one for testing.
    """
    words = [set(re.findall("[a-z]+", name.lower())) for name in layout.by_class]
    common = set.intersection(*words) if len(words) > 1 else set()  # seg_train, seg_test
    bare = [
        "".join(word for word in re.findall("[a-z]+", name.lower()) if word not in common)
        for name in layout.by_class
    ]
    training = [bool(TRAINING.fullmatch(name)) for name in bare]
    splits = [
        t or bool(OTHER_SPLIT.fullmatch(name)) for t, name in zip(training, bare, strict=True)
    ]
    if splits and (all(splits) or (any(training) and sum(splits) > 1)):
        names = [name for name, split in zip(layout.by_class, splits, strict=True) if split]
        raise UserError(
            f"images.folder: {layout.root}: {_listed(names)}: names of splits, not of classes; "
            "call them train and test (links will do), or name one of them, of which a part is "
            "then held out"
        )


def check_several_classes(layout: Layout, split: str = "") -> None:
    """Check that no class has all labelled images: every guess would be right.

    Args:
        layout: of the images to train on.
        split: the name of its folder, if there is another one beside it.

    Raises:
        UserError: says which folder the classes lie in.
    """
    if len(layout.by_class) != 1:
        return
    ((name, files),) = layout.by_class.items()
    below = [path.split("/")[1:] for path in files.names]
    inner = [name]
    while len(heads := {parts[0] for parts in below}) == 1 and all(len(p) > 1 for p in below):
        inner += heads
        below = [parts[1:] for parts in below]
    folders = sorted({parts[0] for parts in below if len(parts) > 1})
    where = layout.root.joinpath(*map(shown, inner))
    if folders:
        found = f"{where} has {_listed(folders)}"
        remedy = f"move these into {layout.root} itself" if split else f"name {where}"
    else:
        found = f"{where} has no folders"
        remedy = f"move its images into {layout.root} itself" if split else f"name {where}"
        remedy += ", which makes them unlabelled, or sort them into a folder per class"
    beside = f", all but the {len(layout.loose)} beside it" if len(layout.loose) else ""
    raise UserError(
        f"images.folder: {layout.root}: {shown(name)} would be the only class, with "
        f"{len(files)} images{beside}; {found}: {remedy}"
    )


def class_numbers(layout: Layout) -> tuple[list[str], dict[str, int]]:
    """Classes in order of their folders' names, and the number of each by its common name.

    Folders whose names differ in their Unicode form alone are one class.
    """
    classes: list[str] = []
    numbers: dict[str, int] = {}
    for name in layout.by_class:
        if same_class(name) not in numbers:
            numbers[same_class(name)] = len(classes)
            classes.append(name)
    return classes, numbers


def _listed(names: Iterable[str]) -> str:
    found = [shown(name) for name in names]
    return ", ".join(found[:3]) + (f" and {len(found) - 3} more" if len(found) > 3 else "")
