"""Average precision of detections as VOC's development kit computes it (VOCevaldet).

A detection belongs to the object of its image and class that it overlaps most; it is right if
that overlap is at least 0.5 and no better scored detection has the same object. A second one is
wrong. One that belongs to a difficult object counts neither way, however many there are.

VOC 2007 averages the precision at 11 recalls, later years take the area under the curve. Both
first raise the precision at each recall to the best one at that recall or any higher.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from nat.voc.data.boxes import overlaps


@dataclass(frozen=True)
class Detections:
    """What was detected of one class, in any order.

    Attributes:
        images: int64 (n,), rows of the split.
        scores: float64 (n,), higher means surer.
        boxes: float64 (n, 4): xmin, ymin, xmax, ymax; pixels from 1, both ends inclusive.
    """

    images: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray


@dataclass(frozen=True)
class Truth:
    """The objects of one class in one image.

    Attributes:
        boxes: float64 (k, 4), as those of Detections.
        difficult: bool (k,).
    """

    boxes: np.ndarray
    difficult: np.ndarray


def ranked_hits(found: Detections, truth: Sequence[Truth], overlap: float = 0.5) -> np.ndarray:
    """Which detections are right, from the highest score to the lowest.

    Equal scores keep the order of ``found``, as in the kit, and of two objects that a detection
    overlaps equally it belongs to the first.

    Args:
        found: of one class.
        truth: its objects, one entry an image of the split.
        overlap: least intersection over union of a match.

    Returns:
        bool (m,), m <= n: those that belong to difficult objects are left out.
    """
    belongs = np.full(len(found.scores), -1)  # objects counted through, over all images
    difficult = np.concatenate([one.difficult for one in truth] or [np.zeros(0, bool)])
    firsts = np.cumsum([0] + [len(one.boxes) for one in truth])
    by_image = np.argsort(found.images, kind="stable")
    images, starts = np.unique(found.images[by_image], return_index=True)
    for image, rows in zip(images, np.split(by_image, starts[1:]), strict=False):
        if len(truth[image].boxes):
            boxes, objects = found.boxes[rows], truth[image].boxes
            shared = overlaps(torch.from_numpy(boxes), torch.from_numpy(objects)).numpy()
            belongs[rows] = np.where(shared.max(1) >= overlap, firsts[image] + shared.argmax(1), -1)
    ranked = belongs[np.argsort(-found.scores, kind="stable")]
    ranked = ranked[(ranked < 0) | ~np.append(difficult, False)[ranked]]
    hits = np.zeros(len(ranked), bool)
    objects, first = np.unique(ranked, return_index=True)
    hits[first[objects >= 0]] = True
    return hits


def positives(truth: Sequence[Truth]) -> int:
    """How many objects there are to find: those that are not difficult."""
    return sum(int((~one.difficult).sum()) for one in truth)


def _precision(hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Right ones so far, and the best precision from here on, at each rank."""
    right = np.cumsum(hits)
    precision = right / np.arange(1, len(hits) + 1)
    return right, np.maximum.accumulate(precision[::-1])[::-1]


def eleven_point(hits: np.ndarray, total: int) -> float:
    """VOC 2007: the mean over t = 0, 0.1 .. 1 of the best precision at a recall of at least t.

    Recall is compared in whole numbers. The reference codes compare fractions, whose rounding
    depends on the language where a recall is exactly a tenth.

    Args:
        hits: bool (m,), from ``ranked_hits``.
        total: from ``positives``, at least 1.
    """
    right, best = _precision(hits)
    reached = [np.flatnonzero(10 * right >= tenth * total) for tenth in range(11)]
    return float(sum(best[ranks[0]] for ranks in reached if len(ranks)) / 11)


def area(hits: np.ndarray, total: int) -> float:
    """VOC 2010 and later: the area under the curve, each right one adding 1/total of recall.

    Args:
        hits: bool (m,), from ``ranked_hits``.
        total: from ``positives``, at least 1.
    """
    return float(_precision(hits)[1][hits].sum() / total)
