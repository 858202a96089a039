"""Read data in VOC 2007's format: one reader for the kit itself and for composed images.

Every annotation is checked when a split is opened, so that a fault is found before training and
not in it; images are decoded, and checked, when they are asked for.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree.ElementTree import Element, ParseError

import numpy as np
import torch
from defusedxml import DefusedXmlException, ElementTree

from nat.data.formats import Unreadable, opened
from nat.runtime.errors import UserError
from nat.runtime.io.foreign import shortened
from nat.runtime.progress import progress
from nat.voc.data.devkit import YEAR, Box, Thing, annotation, image_set, jpeg, presence

LARGEST = 2**20  # bytes of an annotation, enough for 2,000 objects
LONGEST = 65_535  # pixels of a JPEG's side
RESTORE = "restore it: `python -m nat prepare voc`, or extract VOC 2007's archives again"


@dataclass(frozen=True)
class Annotation:
    """What an image's XML says.

    Attributes:
        name: of the image, without ending.
        width: pixels.
        height: pixels.
        things: its objects, at least one.
    """

    name: str
    width: int
    height: int
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class Ground:
    """The annotated objects of an image as tensors: what a detector learns from and is judged by.

    Attributes:
        boxes: float32 (m, 4): xmin, ymin, xmax, ymax; pixels from 1, both ends inclusive.
        labels: int64 (m,), rows of the split's ``classes``.
        difficult: bool (m,): counts neither for nor against a method.
    """

    boxes: torch.Tensor
    labels: torch.Tensor
    difficult: torch.Tensor


class VocSplit:
    """A list of the kit with its annotations.

    Attributes:
        annotations: one an image, in the list's order.
        labels: int64 (n, classes): 1 present, 0 absent, -1 present as difficult only.
        classes: their names.
    """

    def __init__(self, devkit: Path, classes: list[str], split: str) -> None:
        """Read the list and its annotations.

        Args:
            devkit: the VOCdevkit folder.
            classes: the names that objects may have.
            split: "train", "val", "trainval" or "test".

        Raises:
            UserError: a missing or damaged file, or an annotation that contradicts itself.
        """
        self.devkit, self.classes = devkit, classes
        names = read_list(devkit, split)
        self.annotations = [
            read_annotation(devkit, name, classes) for name in progress(names, f"read {split}")
        ]
        self.labels = torch.tensor(
            [[presence(a.things, label) for label in classes] for a in self.annotations]
        )

    def __len__(self) -> int:
        return len(self.annotations)

    def image(self, index: int, mode: Literal["L", "RGB"] = "L") -> torch.Tensor:
        """An image's luma, uint8 (h, w), or its colours, uint8 (h, w, 3).

        Raises:
            UserError: it cannot be decoded, or has another size than annotated.
        """
        found = self.annotations[index]
        path = jpeg(self.devkit, found.name)
        try:
            with opened(path) as file:
                file.draft(mode, None)  # for luma the decoder then leaves out colour
                pixels = np.array(file.convert(mode))
        except Unreadable as error:
            raise UserError(f"{path}: no readable image ({error}); {RESTORE}") from error
        if pixels.shape[:2] != (found.height, found.width):
            raise UserError(
                f"{path}: has {pixels.shape[1]} x {pixels.shape[0]} pixels, its annotation says "
                f"{found.width} x {found.height}; {RESTORE}"
            )
        return torch.from_numpy(pixels)

    def seen(self, index: int, channels: int) -> torch.Tensor:
        """An image as a trunk sees it: of 1 channel its luma, uint8 (h, w), of 3 RGB (3, h, w).

        Raises:
            UserError: as ``image``.
        """
        if channels == 1:
            return self.image(index)
        return self.image(index, "RGB").permute(2, 0, 1).contiguous()

    def objects(self, index: int) -> Ground:
        """The objects of an image, difficult ones included, in the order of its annotation."""
        things = self.annotations[index].things
        return Ground(
            torch.tensor([thing.box for thing in things], dtype=torch.float32),
            torch.tensor([self.classes.index(thing.name) for thing in things]),
            torch.tensor([thing.difficult for thing in things]),
        )

    def images(self, channels: int = 1) -> list[torch.Tensor]:
        """All images, see ``seen``: VOC 2007's trainval takes 0.9 GB in luma, 2.7 GB in colour."""
        return [self.seen(index, channels) for index in progress(range(len(self)), "decode")]


def read_classes(devkit: Path) -> list[str]:
    """The classes that the kit has lists for, sorted: VOC 2007's 20 in their usual order.

    Raises:
        UserError: there are none.
    """
    # macOS leaves a ._NAME beside a NAME, on disks and in archives of other systems
    lists = image_set(devkit, "").parent.glob("[!.]*_trainval.txt")
    classes = sorted(path.stem.removesuffix("_trainval") for path in lists)
    if not classes:
        raise UserError(
            f"{devkit}: holds no {YEAR}/ImageSets/Main/CLASS_trainval.txt; voc.folder should name "
            "the folder VOCdevkit with VOC 2007's extracted archives"
        )
    if odd := [name for name in classes if not name.isprintable()]:
        raise UserError(
            f"{image_set(devkit, '')}: {odd[0]!r}: not a class's name in UTF-8; rename its lists"
        )
    return classes


def read_list(devkit: Path, split: str) -> list[str]:
    """The names of a split's images.

    Raises:
        UserError: the list is missing or empty.
    """
    path = image_set(devkit, split)
    try:
        names = path.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: the list of {split} cannot be read; {RESTORE}") from error
    if not names:
        raise UserError(f"{path}: lists no images; {RESTORE}")
    if len(set(names)) != len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise UserError(f"{path}: lists {twice} more than once; {RESTORE}")
    return names


def read_annotation(devkit: Path, name: str, classes: list[str]) -> Annotation:
    """Read and check one annotation.

    Raises:
        UserError: names the file and what is wrong with it.
    """
    path = annotation(devkit, name)

    def fault(what: str) -> UserError:
        return UserError(f"{path}: {what}; {RESTORE}")

    if not path.is_file():
        raise fault(f"a list in ImageSets/Main names {name}, whose annotation is missing")
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise ValueError(f"{size:,} bytes, more than {LARGEST:,}")
        root = ElementTree.parse(path).getroot()
    except (ParseError, DefusedXmlException, LookupError, ValueError, OSError) as error:
        # LookupError and ValueError of an encoding that is unknown, or that the parser lacks
        raise fault(f"not valid XML ({error})") from error
    try:
        width, height = (_number(root, f"size/{tag}") for tag in ("width", "height"))
        things = tuple(_thing(node) for node in root.iterfind("object"))
        filename = _text(root, "filename")
    except ValueError as error:
        raise fault(str(error)) from error
    if filename != f"{name}.jpg" or not jpeg(devkit, name).is_file():
        raise fault(f"names the image {filename}, which is missing or not its own")
    if not (1 <= width <= LONGEST and 1 <= height <= LONGEST):
        raise fault(f"a size of {width} x {height} pixels")
    if not things:
        raise fault("holds no object")
    for thing in things:
        x0, y0, x1, y1 = thing.box
        if thing.name not in classes:
            raise fault(f"unknown class {thing.name!r}, known are {', '.join(classes)}")
        if x0 > x1 or y0 > y1:
            raise fault(f"a box with its minimum above its maximum: {tuple(thing.box)}")
        if x0 < 1 or y0 < 1 or x1 > width or y1 > height:
            raise fault(f"the box {tuple(thing.box)} leaves the image of {width} x {height}")
    return Annotation(name, width, height, things)


def _thing(node: Element) -> Thing:
    return Thing(
        _text(node, "name"),
        Box(*(_number(node, f"bndbox/{tag}") for tag in Box._fields)),
        difficult=_flag(node, "difficult"),
        truncated=node.find("truncated") is not None and _flag(node, "truncated"),
    )


def _text(node: Element, tag: str) -> str:
    text = node.findtext(tag)
    if not text:
        raise ValueError(f"<{tag}> is missing or empty")
    return text.strip()


def _flag(node: Element, tag: str) -> bool:
    text = _text(node, tag)
    if text not in ("0", "1"):
        raise ValueError(f"<{tag}> should be 0 or 1, not {text!r}")
    return text == "1"


def _number(node: Element, tag: str) -> int:
    text = _text(node, tag)
    try:
        return round(float(text))  # some editions of VOC have fractions
    except (ValueError, OverflowError) as error:
        raise ValueError(f"<{tag}> should be a number, not {shortened(text)!r}") from error
