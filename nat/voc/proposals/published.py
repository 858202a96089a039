"""Published boxes: read from one file or several, and brought into the images of a split.

All boxes of an image are kept unless there are more than ``proposals.count``: then the best by
score, and of equal scores drawn ones. Selective search gives no scores, and its files are sorted by
the boxes' corners, so that the first of them lie in the upper part of the image.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from nat.data.seeds import generator
from nat.runtime.errors import UserError
from nat.runtime.io.paths import place
from nat.runtime.settings.params import ProposalSettings
from nat.voc.data.boxes import clean
from nat.voc.data.reader import VocSplit


class Published(NamedTuple):
    """The boxes of an image.

    Attributes:
        boxes: numbers (m, 4): xmin, ymin, xmax, ymax; pixels counted from 1, both ends inclusive.
        scores: float64 (m,), the higher the better; all equal where the file has none.
    """

    boxes: np.ndarray
    scores: np.ndarray


Reader = Callable[[Path], dict[str, Published]]


def files_of(named: str | Sequence[str] | None) -> list[Path]:
    """The files that a setting names."""
    return [place(name) for name in ([named] if isinstance(named, str) else named or [])]


def read_all(reader: Reader, files: Sequence[Path]) -> dict[str, Published]:
    """The boxes of every image in several files.

    Raises:
        UserError: a file is faulty, or an image is in two.
    """
    found: dict[str, Published] = {}
    for file in files:
        one = reader(file)
        if twice := next((name for name in one if name in found), None):
            raise UserError(
                f"{file}: has image {twice}, as has a file named before it; name files of "
                "different images in proposals"
            )
        found |= one
    return found


def fitted(
    found: dict[str, Published], split: VocSplit, files: Sequence[Path], settings: ProposalSettings
) -> dict[str, np.ndarray]:
    """The boxes for the images of a split, in its order, inside the images.

    Images of the files that are not in the split are left out.

    Args:
        found: what the files hold.
        split: the images.
        files: to name in messages.
        settings: count is used.

    Returns:
        Numbers (k, 4) by image, 1 <= k, at most count, in the order of ``found``.

    Raises:
        UserError: an image without usable boxes, or none of the images in the files.
    """
    names = ", ".join(map(str, files))
    missing = [one.name for one in split.annotations if one.name not in found]
    if len(missing) == len(split):
        raise UserError(
            f"{names}: holds none of the {len(split)} images, but {_some(list(found))}: it is of "
            "another split or data set; mend proposals.trainval and proposals.test"
        )
    if missing:
        raise UserError(
            f"{names}: lacks {len(missing)} of {len(split)} images, first {missing[0]}; name the "
            "file of the whole split, or all of its files"
        )
    kept = {}
    for one in split.annotations:
        boxes, scores = found[one.name]
        inside, rows = clean(boxes, one.width, one.height, 1)
        if not len(inside):
            if np.isfinite(boxes).all(axis=1).any():
                what = f"no box inside its {one.width} x {one.height} pixels"
            else:
                what = "only boxes that are no finite numbers" if len(boxes) else "no box"
            raise UserError(
                f"{names}: image {one.name} has {what}; name the file of these images, with boxes "
                "for each"
            )
        draws = generator(0, "proposals", one.name)
        kept[one.name] = inside[best(scores[rows], settings.count, draws)]
    return kept


def best(scores: np.ndarray, count: int | None, draws: torch.Generator) -> np.ndarray:
    """Rows of the ``count`` highest scores, in rising order; of equal scores drawn ones."""
    if count is None or count >= len(scores):
        return np.arange(len(scores))
    drawn = torch.randperm(len(scores), generator=draws).numpy()
    return np.sort(drawn[np.argsort(-scores[drawn], kind="stable")[:count]])


def _some(names: list[str]) -> str:
    return f"{len(names)} others, such as {names[0]}" if names else "no image at all"
