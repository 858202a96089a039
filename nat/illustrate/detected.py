"""What the figure of detections shows, in one small file.

The stage ``illustrate`` writes it, so that the report reads no test images.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from nat.illustrate.arrays import Checked, Finite, Integer, load_arrays, save_arrays, within
from nat.runtime.io.arrays import Kinds


class DetectedClass(Checked):
    """A class of which detections are shown."""

    name: str
    ap: Finite
    objects: Integer
    score: Finite | None
    precision: Finite | None
    recall: Finite | None


class DetectedFacts(Checked):
    """See nat/illustrate/detections.py."""

    source: str
    test: Integer
    classes: Annotated[list[DetectedClass], Field(min_length=1)]


@dataclass(frozen=True)
class Detected:
    """p images with n detections and m objects, each of the one class its image shows.

    Boxes are float32 (..., 4): left, top, right and bottom, in pixels of the image as it is
    here, from its upper left corner.

    Attributes:
        facts: see ``nat.illustrate.detections.gather_detections``.
        provenance: of this file, as of any record.
        images: uint8 (p, h, w), luma, filled up to the right and below.
        sizes: int64 (p, 2), height and width without the filling.
        labels: int64 (p,), rows of facts["classes"].
        boxes: (n, 4), of detections, the highest score first within an image.
        boxes_in: int64 (n,), rows of ``images``.
        scores: float32 (n,).
        right: bool (n,).
        neither: bool (n,), those of difficult objects, neither right nor wrong.
        objects: (m, 4).
        objects_in: int64 (m,), rows of ``images``.
        difficult: bool (m,).
        missed: bool (m,), neither difficult nor found by any of the detections.
    """

    facts: dict[str, Any]
    provenance: dict[str, Any]
    images: np.ndarray
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

    def check(self) -> None:
        """Check that labels are of the classes, boxes of the images, and sizes within them.

        Raises:
            ValueError: one is not.
        """
        within(self.labels, len(self.facts["classes"]), "labels")
        for name in ("boxes_in", "objects_in"):
            within(getattr(self, name), len(self.images), name)
        if not ((self.sizes >= 1) & (self.sizes <= self.images.shape[1:])).all():
            raise ValueError("sizes leave the images")


LAYOUT: dict[str, Kinds] = {
    "images": {"uint8": ("p", "h", "w")},
    "sizes": {"int64": ("p", 2)},
    "labels": {"int64": ("p",)},
    "boxes": {"float32": ("n", 4)},
    "boxes_in": {"int64": ("n",)},
    "scores": {"float32": ("n",)},
    "right": {"bool": ("n",)},
    "neither": {"bool": ("n",)},
    "objects": {"float32": ("m", 4)},
    "objects_in": {"int64": ("m",)},
    "difficult": {"bool": ("m",)},
    "missed": {"bool": ("m",)},
}


def save_detected(detected: Detected, path: Path) -> None:
    """Write ``path`` (.npz), whole."""
    save_arrays(detected, path)


def load_detected(path: Path) -> Detected:
    """Read what ``save_detected`` wrote.

    Raises:
        UserError: missing, damaged, or of another version of this project.
    """
    return load_arrays(Detected, path, "illustrate", LAYOUT, DetectedFacts)
