"""Read the selective-search boxes published with Fast R-CNN (Girshick, 2015): .mat files.

Two cells: ``images`` with the images' names, and ``boxes`` with a matrix (m, 4) each, columns
ymin, xmin, ymax, xmax counted from 1. The order of the columns and the counting from 1 are what the
public Fast R-CNN code assumes; that names stand in ``images`` and need no ending is known from
code that reads such files, not from the files themselves, which were not at hand.

A process of its own reads the file, because a damaged one can end it: scipy 1.17 does not check
everything that it relies on.
"""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from nat.runtime.errors import UserError
from nat.runtime.io.foreign import reading
from nat.runtime.processes import Ended, call_apart
from nat.voc.data.boxes import corners
from nat.voc.proposals.published import Published

# Compressed zeros unfold to 1000 times their length, boxes to 10 or 20 times.
LEAST, UNFOLDED = 2**30, 32  # bytes that reading may take; and more for each byte of the file
EXPECTED = "should be a .mat file (version 5 to 7) with the cells `boxes` and `images`"


def read_mat(path: Path) -> dict[str, Published]:
    """The boxes of every image in the file.

    Returns:
        By image, in the file's order, which is none of rank: all scores are 0.

    Raises:
        UserError: missing, damaged, or with other content.
    """
    remedy = f"{EXPECTED}; mend `proposals` in params.yaml"
    with reading(path, "file of boxes", remedy):
        try:
            content = _loaded(path)
        except Ended as error:
            raise ValueError("damaged, it ended its reading process") from error
        except MemoryError as error:
            raise ValueError(
                f"reading its {path.stat().st_size:,} bytes takes too much memory"
            ) from error
        cells, names = (np.asarray(content[name]).ravel() for name in ("boxes", "images"))
    if len(cells) != len(names):
        raise UserError(f"{path}: {len(cells)} `boxes` for {len(names)} `images`; {EXPECTED}")
    found: dict[str, Published] = {}
    for cell, entry in zip(cells, names, strict=True):
        name = _text(entry)
        if not name or not name.isprintable() or name in found:
            raise UserError(f"{path}: the image {name!r} has no usable name or is there twice")
        try:
            numbers = corners(cell)[:, [1, 0, 3, 2]]
        except ValueError as error:
            raise UserError(f"{path}: boxes of {name} {error}") from error
        found[name] = Published(numbers, np.zeros(len(numbers)))
    return found


def _loaded(path: Path) -> dict[str, Any]:
    # scipy's function itself, so that the process loads nothing else
    load = partial(loadmat, str(path), appendmat=False, variable_names=("boxes", "images"))
    return call_apart(LEAST + UNFOLDED * path.stat().st_size, load)


def _text(entry: object) -> str:
    """A cell's text, which loadmat wraps in an array."""
    words = np.asarray(entry).ravel()
    return str(words[0]).strip().removesuffix(".jpg") if len(words) else ""
