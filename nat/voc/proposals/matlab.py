"""Read the selective-search boxes published with Fast R-CNN (Girshick, 2015): .mat files.

Two cells: ``images`` with the pictures' names, and ``boxes`` with a matrix (m, 4) each, columns
ymin, xmin, ymax, xmax counted from 1. The order of the columns and the counting from 1 are what the
public Fast R-CNN code assumes; that names stand in ``images`` and need no ending is known from
code that reads such files, not from the files themselves, which were not at hand.

A process of its own reads the file, because a damaged one can end it: scipy 1.17 does not check
everything that it relies on.
"""

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from nat.errors import UserError
from nat.voc.proposals.boxes import corners

EXPECTED = "should be a .mat file (version 5 to 7) with the cells `boxes` and `images`"


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """The boxes of every picture in the file.

    Returns:
        Numbers (m, 4) by picture: xmin, ymin, xmax, ymax; pixels counted from 1, both ends
        inclusive; in the file's order.

    Raises:
        UserError: missing, damaged, or with other content.
    """
    try:
        content = _loaded(path)
        cells, names = content["boxes"].ravel(), content["images"].ravel()
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; mend `proposals` in params.yaml") from error
    except BrokenProcessPool as error:
        raise UserError(f"{path}: damaged, it ended its reading process; {EXPECTED}") from error
    except Exception as error:  # loadmat fails on a damaged file in any way
        reason = " ".join(str(error).split())
        raise UserError(f"{path}: {EXPECTED} ({type(error).__name__}: {reason})") from error
    if len(cells) != len(names):
        raise UserError(f"{path}: {len(cells)} `boxes` for {len(names)} `images`; {EXPECTED}")
    found: dict[str, np.ndarray] = {}
    for cell, entry in zip(cells, names, strict=True):
        name = _text(entry)
        if not name or not name.isprintable() or name in found:
            raise UserError(f"{path}: the picture {name!r} has no usable name or is there twice")
        try:
            found[name] = corners(cell)[:, [1, 0, 3, 2]]
        except ValueError as error:
            raise UserError(f"{path}: boxes of {name} {error}") from error
    return found


def _loaded(path: Path) -> dict[str, Any]:
    with ProcessPoolExecutor(1, get_context("spawn")) as reader:
        wanted = ("boxes", "images")
        return reader.submit(loadmat, str(path), appendmat=False, variable_names=wanted).result()


def _text(entry: object) -> str:
    """A cell's text, which loadmat wraps in an array."""
    words = np.asarray(entry).ravel()
    return str(words[0]).strip().removesuffix(".jpg") if len(words) else ""
