"""Get VOC-format data ready and describe it by a manifest, as images/store.py does for images.

Composed images lie in ``machine.data``, the kit wherever the user keeps it; both outside DVC's
cache. The manifest stands for them in the pipeline.
"""

import hashlib
import io
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL import Image
from torchvision.datasets import FashionMNIST

from nat.data.seeds import generator
from nat.datasets.fashion_mnist import read_objects
from nat.runtime.io.files import check_output, disk_faults, replace_folder, workplace, write_json
from nat.runtime.io.outputs import FOLDER_OF_OURS, json_like
from nat.runtime.io.paths import place
from nat.runtime.progress import progress
from nat.runtime.settings.params import Params
from nat.voc.data.archives import obtain_devkit
from nat.voc.data.compose import Draws, Objects, scene
from nat.voc.data.devkit import (
    Thing,
    annotation,
    annotation_xml,
    image_set,
    jpeg,
    make_folders,
    write_image_set,
)
from nat.voc.data.manifest import COMPOSED, DEVKIT, OWN, composed_folder
from nat.voc.data.reader import VocSplit, read_classes

QUALITY = 92  # of the JPEG files
VOC_2007 = {"trainval": 5011, "test": 4952}  # images
CLASSES = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train",
    "tvmonitor",
]  # fmt: skip
MANIFEST = json_like(dict.fromkeys(("source", "classes", "splits")))


def prepare_voc(params: Params, manifest: Path) -> None:
    """Compose the images, or get and check VOC 2007, and write the manifest.

    Args:
        params: voc and machine.data are used, and images.folder to find Fashion-MNIST.
        manifest: where to write it.

    Raises:
        UserError: VOC 2007 cannot be had, what a reader refuses, or an unwritable output.
    """
    check_output(manifest, MANIFEST)
    if params.voc.source == "devkit":
        content = describe(obtain_devkit(params.voc.folder, params.machine.data))
    else:
        content = compose(params)
    write_json(manifest, content, MANIFEST)


def compose(params: Params) -> dict[str, Any]:
    """Compose ``voc.images`` scenes for trainval and as many for test; return the manifest.

    Trainval draws its objects from the first half of the images kept for this, test from the
    second. Every scene has a generator of its own, which no run's seed changes. The checksums are
    those of the pixels before compression: the same with any version of the JPEG library.
    """
    settings, data = params.voc, params.machine.data
    named = params.images.folder if params.images.source == "fashion_mnist" else None
    images, labels = read_objects(named, data)
    classes = [re.sub("[^a-z0-9]+", "-", name.lower()) for name in FashionMNIST.classes]
    content: dict[str, Any] = {"source": COMPOSED, "classes": sorted(classes), "splits": {}}
    sets = place(data) / "voc"
    half = len(images) // 2
    wide, high = settings.size
    check_output(sets / COMPOSED, FOLDER_OF_OURS)
    with disk_faults(sets / COMPOSED), workplace(sets / COMPOSED) as temporary:
        devkit = temporary / "new" / "VOCdevkit"
        make_folders(devkit)
        for part, split in enumerate(("trainval", "test")):
            pool = slice(part * half, (part + 1) * half)
            objects = Objects(images[pool], labels[pool], classes)
            annotated: dict[str, list[Thing]] = {}
            digest = hashlib.sha256()
            first = 1 + part * settings.images
            for index in progress(range(first, first + settings.images), f"compose {split}"):
                name = f"{index:06d}"
                draws = Draws(generator(0, "compose", split, index - first))
                pixels, things = scene(objects, wide, high, draws)
                height, width = pixels.shape
                xml = annotation_xml(name, width, height, 1, things)
                # by way of memory: into a file, Pillow does not notice what a full disk leaves out
                encoded = io.BytesIO()
                Image.fromarray(pixels).save(encoded, "JPEG", quality=QUALITY)
                jpeg(devkit, name).write_bytes(encoded.getbuffer())
                annotation(devkit, name).write_bytes(xml)
                digest.update(pixels.tobytes())
                digest.update(xml)
                annotated[name] = things
            write_image_set(devkit, split, annotated, classes)
            if split == "trainval":
                middle = len(annotated) // 2
                for name, rows in (("train", slice(middle)), ("val", slice(middle, None))):
                    write_image_set(devkit, name, dict(list(annotated.items())[rows]), classes)
            content["splits"][split] = counts(list(annotated.values()), digest.hexdigest())
        replace_folder(temporary / "new", composed_folder(content, data))
    return content


def describe(devkit: Path) -> dict[str, Any]:
    """The manifest of VOC 2007, or of another set of its format; annotations and images checked.

    The checksums are those of lists and annotations.
    """
    classes, counted = read_classes(devkit), {}
    content: dict[str, Any] = {"source": OWN, "classes": classes, "splits": {}}
    for split in VOC_2007:
        found = VocSplit(devkit, classes, split)
        check_images(found, split)
        counted[split] = len(found)
        digest = hashlib.sha256(image_set(devkit, split).read_bytes())
        for one in found.annotations:
            digest.update(annotation(devkit, one.name).read_bytes())
        things = [list(one.things) for one in found.annotations]
        content["splits"][split] = counts(things, digest.hexdigest())
    if (sorted(classes), counted) == (CLASSES, VOC_2007):
        content["source"] = DEVKIT
    return content


def check_images(found: VocSplit, split: str) -> None:
    """Decode every image once, on all cores, so that a damaged one is found now.

    Raises:
        UserError: one cannot be decoded, or has another size than annotated.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in progress(
            pool.map(found.image, range(len(found))), f"check {split}", total=len(found)
        ):
            pass


def counts(images: list[list[Thing]], sha256: str) -> dict[str, Any]:
    """What the manifest says of a split."""
    things = [thing for image in images for thing in image]
    return {
        "count": len(images),
        "objects": len(things),
        "difficult": sum(thing.difficult for thing in things),
        "truncated": sum(thing.truncated for thing in things),
        "sha256": sha256,
    }
