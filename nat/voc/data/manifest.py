"""Open the VOC-format data that a manifest describes.

What ``nat prepare voc`` writes (see prepare.py): source, classes, and count and checksum of each
split. Where the images lie follows from the parameters.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from nat.runtime.errors import UserError
from nat.runtime.io.files import read_json
from nat.runtime.io.foreign import reading
from nat.runtime.io.paths import place
from nat.runtime.settings.params import Params
from nat.voc.data.devkit import YEAR
from nat.voc.data.reader import VocSplit, read_list

SPLITS = {"test": ("trainval", "test"), "validation": ("train", "val")}  # by evaluate_on
# a manifest's source; OWN has VOC 2007's format, but other classes or numbers of images
COMPOSED, DEVKIT, OWN = "fashion-mnist-voc", "voc2007", "voc-format"


class _Split(BaseModel):
    model_config = ConfigDict(strict=True)

    count: Annotated[int, Field(ge=1)]


class _Splits(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    trainval: _Split
    test: _Split


class _Manifest(BaseModel):
    model_config = ConfigDict(strict=True)

    source: Literal["fashion-mnist-voc", "voc2007", "voc-format"]
    classes: Annotated[list[Annotated[str, Field(pattern=r"^[^/\x00\n]+$")]], Field(min_length=1)]
    splits: _Splits


def composed_folder(manifest: dict[str, Any], data: str) -> Path:
    """Where the composed images of ``manifest`` lie: named by their content."""
    key = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:12]
    return place(data) / "voc" / f"{manifest['source']}-{key}"


def extracted_devkit(data: str) -> Path:
    """Where VOC 2007's official archives are extracted to."""
    return place(data) / "voc" / DEVKIT / "VOCdevkit"


def open_voc(
    params: Params, manifest: Path, evaluate_on: str = "test"
) -> tuple[dict[str, Any], VocSplit, VocSplit]:
    """Open what a manifest describes.

    Args:
        params: voc.folder and machine.data are used.
        manifest: what ``nat prepare voc`` wrote.
        evaluate_on: test or validation.

    Returns:
        What provenance says of the data; what to train on and what to test on, see SPLITS.

    Raises:
        UserError: the folder is missing or not the manifest's, or what the reader refuses.
    """
    content = read_json(manifest, "prepare voc", *_Manifest.model_fields)
    with reading(
        manifest, "manifest of VOC-format data", "make it with `python -m nat prepare voc`"
    ):
        _Manifest.model_validate(content)
    if content["source"] == COMPOSED:
        devkit = composed_folder(content, params.machine.data) / "VOCdevkit"
        remedy = "make them again with `python -m nat prepare voc`"
    else:
        devkit = extracted_devkit(params.machine.data)
        if params.voc.folder is not None:
            named = place(params.voc.folder)
            if (named / YEAR).is_dir() or not any(named.glob("VOC*.tar")):
                devkit = named
        remedy = "mend voc.folder in params.yaml, or run `python -m nat prepare voc`"
    if not (devkit / YEAR).is_dir():
        raise UserError(f"{devkit}: the images of {manifest} are missing; {remedy}")
    for split, described in content["splits"].items():
        if len(read_list(devkit, split)) != described["count"]:
            raise UserError(
                f"{devkit}: {split} is not as {manifest} says; run `python -m nat prepare voc`"
            )
    names = SPLITS[evaluate_on]
    trainval, test = (VocSplit(devkit, content["classes"], name) for name in names)
    data = {
        "data": content["source"],
        "store": composed_folder(content, params.machine.data).name,
        "images": dict(zip(names, (len(trainval), len(test)), strict=True)),
    }
    return data, trainval, test
