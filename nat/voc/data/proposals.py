"""Proposals of a split in one compact file: boxes of all images, one after another.

A safetensors file with ``boxes`` (n, 4), int16 where all coordinates are whole and float32 where
not; ``offsets`` int64 (images + 1), image i owning the rows offsets[i] to offsets[i + 1]; and
``names`` uint8, the images' names as UTF-8 with a line feed between them. Nothing in it is code,
and the same content gives the same bytes. VOC 2007's trainval with 2,000 boxes an image: 80 MB.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save

from nat.runtime.errors import UserError
from nat.runtime.io.arrays import Kinds
from nat.runtime.io.files import atomic_write
from nat.runtime.io.foreign import reading
from nat.runtime.io.outputs import FILE_OF_OURS
from nat.runtime.io.tensors import read_tensors

MADE_BY = "make it with `python -m nat proposals`"
LAYOUT: dict[str, Kinds] = {
    "boxes": {"int16": ("n", 4), "float32": ("n", 4)},
    "offsets": {"int64": ("images + 1",)},
    "names": {"uint8": ("bytes",)},
}


class Proposals:
    """The proposals of a split's images, by name.

    Attributes:
        names: of the images, in the order they were given.
    """

    def __init__(self, names: Sequence[str], boxes: Sequence[np.ndarray]) -> None:
        """Keep the boxes compactly.

        Args:
            names: one an image, all different, without line feeds.
            boxes: numbers (m, 4) an image, m >= 0: xmin, ymin, xmax, ymax; pixels counted from 1,
                both ends inclusive; best first where they are ranked.

        Raises:
            ValueError: another shape, a repeated name, or not as many names as boxes.
        """
        if len(names) != len(boxes) or any("\n" in name for name in names):
            raise ValueError("one name without line feeds is needed for each array of boxes")
        for name, each in zip(names, boxes, strict=True):
            if each.ndim != 2 or each.shape[1] != 4:
                raise ValueError(f"boxes of {name} should be (m, 4), not {each.shape}")
        joined = np.concatenate([*boxes, np.zeros((0, 4), np.int16)])
        small = joined.astype(np.int16)
        exact = np.array_equal(small, joined)
        self._boxes = small if exact else joined.astype(np.float32)
        self._offsets = np.cumsum([0, *(len(each) for each in boxes)], dtype=np.int64)
        self.names = list(names)
        self._rows = {name: row for row, name in enumerate(names)}
        if len(self._rows) != len(names):
            raise ValueError("a name is there twice")

    def __len__(self) -> int:
        """The number of images."""
        return len(self.names)

    def __iter__(self) -> Iterator[str]:
        """The images' names."""
        return iter(self.names)

    def __contains__(self, name: object) -> bool:
        return name in self._rows

    def __getitem__(self, name: str) -> torch.Tensor:
        """The boxes of an image: float32 (m, 4), xmin, ymin, xmax, ymax as the devkit counts.

        Raises:
            UserError: there is no such image.
        """
        if name not in self._rows:
            raise UserError(
                f"no proposals for image {name!r}: they were made for another split or data set; "
                "run `python -m nat proposals` for this one"
            )
        row = self._rows[name]
        first, last = self._offsets[row : row + 2]
        return torch.from_numpy(self._boxes[first:last].astype(np.float32))

    def arrays(self) -> dict[str, np.ndarray]:
        """What the file holds."""
        names = np.frombuffer("\n".join(self.names).encode(), np.uint8)
        return {"boxes": self._boxes, "offsets": self._offsets, "names": names}


def save_proposals(path: Path | str, boxes_by_name: dict[str, np.ndarray]) -> None:
    """Write proposals, whole.

    Args:
        path: a .safetensors file in a folder of this project's own.
        boxes_by_name: numbers (m, 4) an image, as Proposals takes them.

    Raises:
        UserError: the file cannot be written.
        ValueError: boxes of another shape.
    """
    arrays = Proposals(list(boxes_by_name), list(boxes_by_name.values())).arrays()
    with atomic_write(path, FILE_OF_OURS) as temporary:
        temporary.write_bytes(save(arrays))


def load_proposals(path: Path | str) -> Proposals:
    """Read what ``save_proposals`` wrote.

    Raises:
        UserError: the file is missing or damaged, or holds something else.
    """
    with reading(path, "whole file of proposals", MADE_BY), safe_open(path, "pt") as file:
        content = {name: each.numpy() for name, each in read_tensors(file, LAYOUT).items()}
        boxes, offsets = content["boxes"], content["offsets"]
        names = content["names"].tobytes().decode().split("\n") if len(offsets) > 1 else []
        if offsets[0] != 0 or offsets[-1] != len(boxes) or (np.diff(offsets) < 0).any():
            raise ValueError("offsets that do not fit the boxes")
        if len(offsets) != len(names) + 1:
            raise ValueError(f"{len(names)} names for {len(offsets) - 1} images")
        return Proposals(names, np.split(boxes, offsets[1:-1]) if names else [])
