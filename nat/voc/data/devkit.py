"""The layout of VOC 2007's development kit: what lies where, and how it is written.

VOCdevkit/VOC2007/JPEGImages/NAME.jpg
VOCdevkit/VOC2007/Annotations/NAME.xml         size, and class, box and flags of every object
VOCdevkit/VOC2007/ImageSets/Main/SPLIT.txt     names of images: train, val, trainval, test
VOCdevkit/VOC2007/ImageSets/Main/CLASS_SPLIT.txt   name and 1 (present), -1 (absent) or 0 (present
                                               as difficult only)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

YEAR = "VOC2007"
PRESENT, ABSENT, DIFFICULT = 1, 0, -1


class Box(NamedTuple):
    """Pixel coordinates of an upright rectangle, counted from 1, both ends inclusive."""

    xmin: int
    ymin: int
    xmax: int
    ymax: int


@dataclass(frozen=True)
class Thing:
    """An annotated object.

    Attributes:
        name: its class.
        box: around its visible part.
        difficult: so hard to recognise that it counts neither for nor against a method.
        truncated: the box does not hold the whole object.
    """

    name: str
    box: Box
    difficult: bool
    truncated: bool


def jpeg(devkit: Path, name: str) -> Path:
    """Where the image ``name`` lies."""
    return devkit / YEAR / "JPEGImages" / f"{name}.jpg"


def annotation(devkit: Path, name: str) -> Path:
    """Where the annotation of the image ``name`` lies."""
    return devkit / YEAR / "Annotations" / f"{name}.xml"


def image_set(devkit: Path, split: str) -> Path:
    """Where the list ``split`` lies."""
    return devkit / YEAR / "ImageSets" / "Main" / f"{split}.txt"


def presence(things: Sequence[Thing], name: str) -> int:
    """Whether class ``name`` is in an image: PRESENT, ABSENT, or DIFFICULT if only as such."""
    flags = [thing.difficult for thing in things if thing.name == name]
    if not flags:
        return ABSENT
    return DIFFICULT if all(flags) else PRESENT


def make_folders(devkit: Path) -> None:
    """Make the layout's empty folders."""
    for path in (jpeg(devkit, ""), annotation(devkit, ""), image_set(devkit, "")):
        path.parent.mkdir(parents=True)


def annotation_xml(name: str, width: int, height: int, depth: int, things: list[Thing]) -> bytes:
    """The annotation of an image as the kit writes it."""
    root = ElementTree.Element("annotation")
    _add(root, "folder", YEAR)
    _add(root, "filename", f"{name}.jpg")
    size = ElementTree.SubElement(root, "size")
    for tag, value in (("width", width), ("height", height), ("depth", depth)):
        _add(size, tag, value)
    _add(root, "segmented", 0)
    for thing in things:
        node = ElementTree.SubElement(root, "object")
        _add(node, "name", thing.name)
        _add(node, "pose", "Unspecified")
        _add(node, "truncated", int(thing.truncated))
        _add(node, "difficult", int(thing.difficult))
        box = ElementTree.SubElement(node, "bndbox")
        for tag, value in thing.box._asdict().items():
            _add(box, tag, value)
    ElementTree.indent(root, "\t")
    return ElementTree.tostring(root) + b"\n"


def _add(parent: ElementTree.Element, tag: str, value: str | int) -> None:
    ElementTree.SubElement(parent, tag).text = str(value)


def write_image_set(
    devkit: Path, split: str, images: dict[str, list[Thing]], classes: list[str]
) -> None:
    """Write the list of ``split`` and, for every class, its list with 1, -1 or 0."""
    image_set(devkit, split).write_text("".join(f"{name}\n" for name in images))
    flags = {PRESENT: 1, ABSENT: -1, DIFFICULT: 0}  # the kit's, which differ from our labels
    for label in classes:
        lines = (f"{name} {flags[presence(things, label)]:2d}\n" for name, things in images.items())
        image_set(devkit, f"{label}_{split}").write_text("".join(lines))
