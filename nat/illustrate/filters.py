"""What Figure 4 shows, in one small file, without images, which may not be kept of some data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nat.illustrate.arrays import Checked, load_arrays, save_arrays
from nat.runtime.io.arrays import Kinds


class FiltersFacts(Checked):
    """Of the network whose filters these are: its images, front end and trunk."""

    source: str
    preprocessing: str
    trunk: str


@dataclass(frozen=True)
class Filters:
    """w filters of conv1 after the front end, k + 2 pixels wide.

    Attributes:
        facts: see FiltersFacts.
        provenance: of this file, as of any record.
        labels: float16 (w, k + 2, k + 2), of the trunk trained with labels.
        nat: the same, of NAT.
    """

    facts: dict[str, Any]
    provenance: dict[str, Any]
    labels: np.ndarray
    nat: np.ndarray

    def check(self) -> None:
        """Nothing: that both are of trunks of one shape is in LAYOUT."""


LAYOUT: dict[str, Kinds] = {
    "labels": {"float16": ("w", "k", "k")},
    "nat": {"float16": ("w", "k", "k")},
}


def save_filters(filters: Filters, path: Path) -> None:
    """Write ``path`` (.npz), whole."""
    save_arrays(filters, path)


def load_filters(path: Path) -> Filters:
    """Read what ``save_filters`` wrote.

    Raises:
        UserError: missing, damaged, or of another version of this project.
    """
    return load_arrays(Filters, path, "illustrate", LAYOUT, FiltersFacts)
