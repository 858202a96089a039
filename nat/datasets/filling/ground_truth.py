"""The classes of ImageNet's validation images, which lie in no class folders when downloaded."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from torchvision.datasets.imagenet import ARCHIVE_META, load_meta_file, parse_devkit_archive
from torchvision.datasets.utils import check_integrity

from nat.runtime.errors import UserError
from nat.runtime.io.files import disk_faults
from nat.runtime.io.foreign import shortened

CLASS = "n[0-9]{8}"
# Caffe's, Kaggle's and Tiny ImageNet's
MAPPINGS = ("val.txt", "LOC_val_solution.csv", "val/val_annotations.txt")


@dataclass(frozen=True)
class Devkit:
    """What ``ILSVRC2012_devkit_t12.tar.gz`` says.

    Attributes:
        path: of the archive.
        classes: WordNet identifiers of the thousand classes.
        val: that of each validation image, in order of the numbers in their names, from 1.
    """

    path: Path
    classes: list[str]
    val: list[str]


def read_devkit(folder: Path) -> Devkit | None:
    """The devkit if it is in ``folder``, read by torchvision after its MD5 was checked.

    Raises:
        UserError: another file, or a damaged one.
    """
    name, md5 = ARCHIVE_META["devkit"]
    path = folder / name
    if not path.is_file():
        return None
    if not check_integrity(str(path), md5):
        raise UserError(f"{path}: MD5 is not {md5}, so damaged or another file; download it again")
    # torchvision writes beside the archive
    with tempfile.TemporaryDirectory() as temporary, disk_faults(Path(temporary, name)):
        Path(temporary, name).symlink_to(path.resolve())
        parse_devkit_archive(temporary)
        names, val = load_meta_file(temporary)
    return Devkit(path, sorted(names), val)


def class_of_each(
    folder: Path, images: list[str], classes: list[str], devkit: Devkit | None
) -> list[str]:
    """WordNet identifiers of validation images, by the devkit or a mapping file.

    A mapping file has a line for each image: its name, with or without ending, and after a space
    or comma its WordNet identifier, or its class counted from 0 in their order.

    Args:
        folder: where the mapping file may lie.
        images: file names.
        classes: WordNet identifiers, in order.
        devkit: used if there.

    Raises:
        UserError: there is neither, or it does not fit the images.
    """
    if devkit:
        return _by_number(folder, images, devkit)
    for name in MAPPINGS:
        if (folder / name).is_file():
            mapping = _read_mapping(folder / name, classes)
            break
    else:
        raise UserError(
            f"images.folder: {folder}: the classes of the val images are unknown; it should "
            f"hold {ARCHIVE_META['devkit'][0]}, {' or '.join(MAPPINGS)}, or val in class folders"
        )
    missing = [name for name in images if PurePosixPath(name).stem not in mapping]
    if missing:
        raise UserError(
            f"{folder / name}: no line for {missing[0]} ({len(missing)} of {len(images)} "
            "missing); use the mapping file of these images"
        )
    return [mapping[PurePosixPath(image).stem] for image in images]


def _by_number(folder: Path, images: list[str], devkit: Devkit) -> list[str]:
    """By the number in each name: in order alone, a stray file would shift all that follow it."""
    truth = {
        f"ILSVRC2012_val_{number:08d}.JPEG": wnid for number, wnid in enumerate(devkit.val, start=1)
    }
    strays = sorted(set(images) - set(truth))
    if strays:
        raise UserError(
            f"images.folder: {folder}: {strays[0]} is none of the {len(truth)} val images of "
            f"{devkit.path.name}, {min(truth)} to {max(truth)}; remove it from val"
        )
    missing = sorted(set(truth) - set(images))
    if missing:
        raise UserError(
            f"images.folder: {folder}: val image {missing[0]} is missing ({len(missing)} of "
            f"the {len(truth)} that {devkit.path.name} has); extract or download val again"
        )
    return [truth[name] for name in images]


def _read_mapping(path: Path, classes: list[str]) -> dict[str, str]:
    mapping = {}
    text = path.read_text(encoding="utf-8-sig", errors="replace")  # a spreadsheet's has a mark
    for number, line in enumerate(text.splitlines(), start=1):
        image, *rest = re.split(r"[,\s]+", line.strip())
        if not image or image == "ImageId":  # Kaggle's heading
            continue
        label = rest[0] if rest else ""
        if re.fullmatch(r"\d{1,9}", label, re.ASCII) and int(label) < len(classes):
            label = classes[int(label)]
        if label not in classes:
            said = shortened(label) or "nothing"
            raise UserError(
                f"{path}:{number}: {said} after {shortened(image)}; should be one of the "
                f"{len(classes)} class folders of train, or 0 to {len(classes) - 1}"
            )
        mapping[PurePosixPath(image).stem] = label
    return mapping
