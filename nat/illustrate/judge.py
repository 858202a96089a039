"""What each detection and each object of a class counts as, told apart by ``ranked_hits`` alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nat.voc.detection.average_precision import Detections, Truth, ranked_hits


@dataclass(frozen=True)
class Verdicts:
    """What the detections of one class count as, in their order; what is neither is wrong.

    Attributes:
        right: bool (n,).
        neither: bool (n,), those that belong to difficult objects.
    """

    right: np.ndarray
    neither: np.ndarray


@dataclass(frozen=True)
class Operating:
    """Detections of at least some score, and what they are worth.

    Attributes:
        score: the least.
        precision: share of right ones, without those of difficult objects.
        recall: share of the objects found.
    """

    score: float
    precision: float
    recall: float


def some(found: Detections, rows: np.ndarray) -> Detections:
    """The detections of some rows, a mask or indices, in one and the same image, 0."""
    boxes = found.boxes[rows]
    return Detections(np.zeros(len(boxes), np.int64), found.scores[rows], boxes)


def verdicts(found: Detections, truth: Sequence[Truth]) -> Verdicts:
    """Judge each detection.

    Args:
        found: of one class.
        truth: its objects, one entry an image of the split.
    """
    # what is left out when it is alone belongs to a difficult object
    neither = np.array(
        [
            truth[image].difficult.any()
            and not len(ranked_hits(some(found, np.array([row])), [truth[image]]))
            for row, image in enumerate(found.images)
        ],
        bool,
    )
    order = np.argsort(-found.scores, kind="stable")  # that of ranked_hits
    right = np.zeros(len(order), bool)
    right[order[~neither[order]]] = ranked_hits(found, truth)
    return Verdicts(right, neither)


def missed(found: Detections, truth: Truth) -> np.ndarray:
    """Which objects of one image no detection belongs to.

    Args:
        found: of the objects' class, all in that image, 0.
        truth: the image's objects.

    Returns:
        bool (k,), false for difficult objects.
    """
    one_by_one = np.eye(len(truth.boxes), dtype=bool)
    # with all others difficult, what remains right belongs to this one
    reached = [ranked_hits(found, [Truth(truth.boxes, ~own)]).any() for own in one_by_one]
    return ~truth.difficult & ~np.array(reached, bool)


def best_f1(found: Detections, judged: Verdicts, total: int) -> Operating | None:
    """The score at which F1, the harmonic mean of precision and recall, is highest.

    Of several such scores the highest. None if no detection is right or wrong.

    Args:
        found: of one class.
        judged: the same detections.
        total: how many objects there are to find, at least 1.
    """
    counted = np.flatnonzero(~judged.neither)
    order = counted[np.argsort(-found.scores[counted], kind="stable")]
    if not len(order):
        return None
    scores, right = found.scores[order], np.cumsum(judged.right[order])
    # equal scores are above or below a threshold together
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    f1 = 2 * right[ends] / (ends + 1 + total)
    best = ends[f1.argmax()]
    return Operating(
        float(scores[best]), float(right[best] / (best + 1)), float(right[best] / total)
    )
