"""What Figures 1 and 3 need of images and a network, in one small file.

The stage ``illustrate`` writes it, so that the report reads neither image store nor
networks.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from nat.illustrate.arrays import Checked, Finite, Integer, load_arrays, save_arrays, within
from nat.runtime.io.arrays import Kinds


class IllustrationFacts(Checked):
    """See nat/illustrate/features.py."""

    source: str
    classes: list[str]
    train: Integer
    test: Integer
    size: Integer
    channels: Integer
    crop: Integer
    preprocessing: str
    target_type: str
    dimension: Integer
    trunk: str
    layers: Annotated[list[Annotated[list[Integer], Field(min_length=2, max_length=2)]],
                      Field(min_length=5, max_length=5)]  # fmt: skip
    hidden: Integer
    searched: Integer
    cosine: Finite


@dataclass(frozen=True)
class Illustration:
    """m images of Figure 1, q queries of Figure 3.

    Images are uint8, (..., channels, side, side). Points of Figure 1 are coordinates in one plane
    through the centre of the sphere, float32, (..., 2), of length at most 1.

    Attributes:
        facts: of data, network and targets; JSON values, see ``illustrate`` in features.py.
        provenance: of this file, as of any record.
        images: (m, channels, side, side).
        gradients: float16 (2 or channels, crop, crop), what the network sees of the first image.
        features: (m, 2), f_theta of the images.
        targets: (m, 2), the target of each image by NAT's assignment P.
        cosines: float32 (m,), inner products of both in all d dimensions.
        other_features: (e, 2), of other training images.
        other_targets: (e, 2), theirs.
        queries: (q, channels, side, side), test images.
        query_labels: int64 (q,).
        neighbours: (q, 3, channels, side, side), training images, the closest first.
        neighbour_labels: int64 (q, 3).
        distances: float32 (q, 3), L2, between 0 and 2.
    """

    facts: dict[str, Any]
    provenance: dict[str, Any]
    images: np.ndarray
    gradients: np.ndarray
    features: np.ndarray
    targets: np.ndarray
    cosines: np.ndarray
    other_features: np.ndarray
    other_targets: np.ndarray
    queries: np.ndarray
    query_labels: np.ndarray
    neighbours: np.ndarray
    neighbour_labels: np.ndarray
    distances: np.ndarray

    def check(self) -> None:
        """Check that labels are of the classes.

        Raises:
            ValueError: one is not.
        """
        for name in ("query_labels", "neighbour_labels"):
            within(getattr(self, name), len(self.facts["classes"]), name)


LAYOUT: dict[str, Kinds] = {
    "images": {"uint8": ("m", "channels", "side", "side")},
    "gradients": {"float16": ("g", "crop", "crop")},
    "features": {"float32": ("m", 2)},
    "targets": {"float32": ("m", 2)},
    "cosines": {"float32": ("m",)},
    "other_features": {"float32": ("e", 2)},
    "other_targets": {"float32": ("e", 2)},
    "queries": {"uint8": ("q", "channels", "side", "side")},
    "query_labels": {"int64": ("q",)},
    "neighbours": {"uint8": ("q", "r", "channels", "side", "side")},
    "neighbour_labels": {"int64": ("q", "r")},
    "distances": {"float32": ("q", "r")},
}


def save_illustration(illustration: Illustration, path: Path) -> None:
    """Write ``path`` (.npz), whole."""
    save_arrays(illustration, path)


def load_illustration(path: Path) -> Illustration:
    """Read what ``save_illustration`` wrote.

    Raises:
        UserError: missing, damaged, or of another version of this project.
    """
    return load_arrays(Illustration, path, "illustrate", LAYOUT, IllustrationFacts)
