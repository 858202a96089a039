"""Bring foreign boxes into the image, and say how much of the ground truth proposals cover."""

from typing import Any

import numpy as np
import torch
from torchvision.ops import box_iou

from nat.voc.data.proposals import Proposals
from nat.voc.data.reader import VocSplit

OVERLAP = 0.5  # IoU from which VOC counts a detection as right


def corners(boxes: Any) -> np.ndarray:
    """Foreign boxes as numbers (m, 4) of a type that can go below 0: files often have uint16.

    Args:
        boxes: an array or lists of numbers, (m, 4), or anything empty.

    Raises:
        ValueError: something else.
    """
    found = np.asarray(boxes)
    if found.size == 0:
        found = np.zeros((0, 4))
    if found.ndim != 2 or found.shape[1] != 4 or found.dtype.kind not in "iuf":
        raise ValueError(f"should be numbers (m, 4), not {found.dtype} {found.shape}")
    return found if found.dtype.kind == "f" else found.astype(np.int64)


def clean(
    boxes: np.ndarray, width: int, height: int, smallest: int
) -> tuple[np.ndarray, np.ndarray]:
    """Clip boxes to the image and keep the usable ones.

    Args:
        boxes: numbers (m, 4): xmin, ymin, xmax, ymax; pixels from 1, both ends inclusive.
        width: of the image, pixels.
        height: likewise.
        smallest: least width and least height of a box, pixels.

    Returns:
        The different boxes in the same order: (k, 4), of the same type; and the rows that they
        are of, int64 (k,).
    """
    rows = np.flatnonzero(np.isfinite(boxes).all(axis=1))
    limits = np.array([width, height, width, height])
    # a box beside the image would be clipped to a line at its border
    touching = (boxes[rows, :2] <= limits[:2]).all(axis=1) & (boxes[rows, 2:] >= 1).all(axis=1)
    rows = rows[touching]
    clipped = boxes[rows].clip(1, limits).astype(boxes.dtype)
    sides = clipped[:, 2:].astype(float) - clipped[:, :2] + 1
    wide_enough = (sides >= smallest).all(axis=1)
    clipped, rows = clipped[wide_enough], rows[wide_enough]
    first = np.sort(np.unique(clipped, axis=0, return_index=True)[1])
    return clipped[first], rows[first]


def recall(split: VocSplit, proposals: Proposals) -> float:
    """The part of the annotated objects that some proposal overlaps with an IoU of at least 0.5.

    Objects flagged difficult are left out, as in VOC's own measure. 0.0 if nothing remains.
    """
    found = total = 0
    for index, annotation in enumerate(split.annotations):
        truth = split.objects(index)
        boxes = truth.boxes[~truth.difficult]
        best = overlaps(boxes, proposals[annotation.name]).amax(dim=1)
        found += int((best >= OVERLAP).sum())
        total += len(boxes)
    return found / total if total else 0.0


def overlaps(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """IoU of boxes with both ends inclusive: float (n, 4) and (m, 4), m >= 1, to (n, m)."""
    start = torch.tensor([1.0, 1.0, 0.0, 0.0])  # a pixel's left border lies one below its number
    return box_iou(a - start, b - start)
