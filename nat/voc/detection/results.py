"""Detections in the kit's own files, so that any evaluation for VOC can read them.

comp4_det_test_CLASS.txt, a line a detection: image, score, xmin, ymin, xmax, ymax; pixels from 1.
"comp4" is the kit's name for detection by a method that was trained on further data.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nat.runtime.errors import UserError
from nat.runtime.io.files import atomic_write
from nat.runtime.io.foreign import shortened
from nat.runtime.io.outputs import any_of
from nat.voc.detection.average_precision import Detections

DETECTIONS = any_of("detections that `nat detect` wrote", r"comp4_det_test_.*\.txt")


def file_name(label: str) -> str:
    """The file of the class ``label``."""
    return f"comp4_det_test_{label}.txt"


def write_results(
    folder: Path, names: Sequence[str], classes: Sequence[str], found: Sequence[Detections]
) -> None:
    """Write a file a class, the folder whole.

    Args:
        folder: to write; replaced if it exists.
        names: of the split's images.
        classes: their names.
        found: one entry a class.
    """
    with atomic_write(folder, DETECTIONS) as temporary:
        temporary.mkdir()
        for label, one in zip(classes, found, strict=True):
            lines = (
                f"{names[image]} {score:.6f} " + " ".join(f"{v:.2f}" for v in box) + "\n"
                for image, score, box in zip(one.images, one.scores, one.boxes, strict=True)
            )
            (temporary / file_name(label)).write_text("".join(lines))


def read_results(folder: Path, names: Sequence[str], classes: Sequence[str]) -> list[Detections]:
    """Read what ``write_results`` or another detector wrote, one entry a class.

    Raises:
        UserError: a file is missing, or a line is not as above; names file and line.
    """
    rows = {name: row for row, name in enumerate(names)}
    found = []
    for label in classes:
        path = folder / file_name(label)
        try:
            lines = path.read_text().splitlines()
        except (OSError, ValueError) as error:
            raise UserError(
                f"{path}: the detections of {label} cannot be read; make them again with "
                "`python -m nat detect`"
            ) from error
        images, numbers = [], []
        for number, line in enumerate(lines, start=1):
            try:
                name, *values = line.split()
                score, xmin, ymin, xmax, ymax = map(float, values)
                images.append(rows[name])
                numbers.append((score, xmin, ymin, xmax, ymax))
            except (ValueError, KeyError) as error:
                raise UserError(
                    f"{path}: line {number} should be a test image's name, a score and a box of "
                    f"4 numbers, not {shortened(line)!r}"
                ) from error
        table = np.array(numbers, np.float64).reshape(-1, 5)
        if not np.isfinite(table).all():
            raise UserError(f"{path}: holds a number that is not finite")
        found.append(Detections(np.array(images, np.int64), table[:, 0], table[:, 1:]))
    return found
