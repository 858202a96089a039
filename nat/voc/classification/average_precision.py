"""Average precision as the classification protocol computes it (philkr/voc-classification).

The area under the uninterpolated precision-recall curve, not VOC 2007's own 11-point estimate.
"""

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.metrics import average_precision_score

from nat.voc.data.devkit import DIFFICULT, PRESENT


def average_precision(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """AP of one class: ``sum_n (R_n - R_{n-1}) P_n`` over the distinct scores from high to low.

    Args:
        scores: float (n,), higher means present.
        labels: int (n,): 1 present, 0 absent, -1 present as difficult only, which is left out.

    Returns:
        Between 0 and 1; None if no image has the class, as recall is then undefined.
    """
    counted = labels != DIFFICULT
    positive = labels[counted] == PRESENT
    if not positive.any():
        return None
    return float(average_precision_score(positive, scores[counted]))


def percent_in_training(
    scores: Sequence[torch.Tensor], labels: Sequence[torch.Tensor]
) -> float | None:
    """Mean average precision in percent of the batches that an epoch was trained on.

    Args:
        scores: float (b, classes) each.
        labels: int (b, classes) each, as in ``average_precision``.

    Returns:
        None if no image has any of the classes.
    """
    known = torch.cat(list(labels)).cpu().numpy()
    if not (known == PRESENT).any():
        return None
    return 100 * mean_average_precision(torch.cat(list(scores)).float().cpu().numpy(), known)[0]


def mean_average_precision(
    scores: np.ndarray, labels: np.ndarray
) -> tuple[float, list[float | None]]:
    """The mean over the classes that some image has, and each class's AP.

    Args:
        scores: float (n, classes).
        labels: int (n, classes), as in ``average_precision``.

    Raises:
        ValueError: no class has a positive.
    """
    each = [average_precision(s, y) for s, y in zip(scores.T, labels.T, strict=True)]
    known = [ap for ap in each if ap is not None]
    if not known:
        raise ValueError("no image has any of the classes, so there is no average precision")
    return float(np.mean(known)), each
