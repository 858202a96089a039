"""The manifest that stands for an image store in the pipeline: what it holds, checked."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from nat.runtime.errors import UserError
from nat.runtime.io.files import read_json
from nat.runtime.io.foreign import reading

REMEDY = "make it again with `python -m nat prepare images`"
MOST = 2**40  # images, which no store reaches


class _Split(BaseModel):
    model_config = ConfigDict(strict=True)

    count: Annotated[int, Field(ge=1, lt=MOST)]
    labelled: Annotated[int, Field(ge=0, lt=MOST)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Manifest(BaseModel):
    model_config = ConfigDict(strict=True)

    source: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]  # names a folder
    size: Annotated[int, Field(ge=1, le=2**16)]
    channels: Literal[1, 3]
    classes: list[str]
    splits: dict[str, _Split]


def read_manifest(path: Path) -> dict[str, Any]:
    """Read what ``nat prepare images`` wrote.

    Returns:
        source, size and channels of the images, classes, and splits: count, labelled and sha256
        of each.

    Raises:
        UserError: missing, damaged, or something else.
    """
    content = read_json(path, "prepare images", *_Manifest.model_fields)
    with reading(path, "manifest of images", REMEDY):
        _Manifest.model_validate(content)
    return content


def pretraining_split(path: Path) -> str:
    """The split to train on without labels: the one that is for nothing else, or "train".

    Raises:
        UserError: as ``read_manifest``.
    """
    splits = read_manifest(path)["splits"]
    return "unlabelled" if "unlabelled" in splits else "train"


def facts_of(content: dict[str, Any], split: str, path: Path) -> dict[str, Any]:
    """What the manifest at ``path``, read, says of a split.

    Raises:
        UserError: there is no such split.
    """
    if split == "validation" and split not in content["splits"]:
        raise UserError(
            f"evaluate_on: validation, but {path} has no such images; set images.validation to how "
            f"many are to be held out of those to train on, and {REMEDY}"
        )
    if split not in content["splits"]:
        raise UserError(f"{path}: has no split {split!r}; {REMEDY}")
    return content["splits"][split]
