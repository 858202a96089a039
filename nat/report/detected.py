"""What the figure of detections shows, in one small file.

The stage ``illustrate-detections`` writes it, so that ``tabulate`` reads no test pictures.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nat.report.arrays import load_arrays, save_arrays


@dataclass(frozen=True)
class Detected:
    """p pictures with n detections and m objects, each of the one class its picture shows.

    Boxes are float32 (..., 4): left, top, right and bottom, in pixels of the picture as it is
    here, from its upper left corner.

    Attributes:
        facts: see ``nat.voc.detection.illustrate.illustrate_detections``.
        provenance: of this file, as of any record.
        pictures: uint8 (p, h, w), luma, filled up to the right and below.
        sizes: int64 (p, 2), height and width without the filling.
        labels: int64 (p,), rows of facts["classes"].
        boxes: (n, 4), of detections, the highest score first within a picture.
        boxes_in: int64 (n,), rows of ``pictures``.
        scores: float32 (n,).
        right: bool (n,).
        neither: bool (n,), those of difficult objects, neither right nor wrong.
        objects: (m, 4).
        objects_in: int64 (m,), rows of ``pictures``.
        difficult: bool (m,).
        missed: bool (m,), neither difficult nor found by any of the detections.
    """

    facts: dict[str, Any]
    provenance: dict[str, Any]
    pictures: np.ndarray
    sizes: np.ndarray
    labels: np.ndarray
    boxes: np.ndarray
    boxes_in: np.ndarray
    scores: np.ndarray
    right: np.ndarray
    neither: np.ndarray
    objects: np.ndarray
    objects_in: np.ndarray
    difficult: np.ndarray
    missed: np.ndarray


def save_detected(detected: Detected, path: Path) -> None:
    """Write ``path`` (.npz), whole."""
    save_arrays(detected, path)


def load_detected(path: Path) -> Detected:
    """Read what ``save_detected`` wrote.

    Raises:
        UserError: missing, damaged, or of another version of this project.
    """
    return load_arrays(Detected, path, "illustrate-detections")
