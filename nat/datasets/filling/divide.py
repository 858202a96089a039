"""Which of a data set's images are trained on, and which are held out of them."""

from collections import Counter

import numpy as np
import torch

from nat.data.seeds import generator
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Images


def divide(
    labels: np.ndarray, order: np.ndarray, settings: Images
) -> tuple[np.ndarray, np.ndarray]:
    """Divide the images that are not for testing.

    Validation images are always the same ones, drawn by chance from those that ``images.train``
    leaves over. If that is null, each class keeps an image to train on.

    Args:
        labels: int64 (n,).
        order: int64 (n,), all rows in the order in which ``images.train`` takes them.
        settings: train and validation are used.

    Returns:
        Rows to train on and validation rows, int64, ascending.

    Raises:
        UserError: there are fewer images.
    """
    n, train, held = len(labels), settings.train, settings.validation
    if train is not None and train > n:
        raise UserError(
            f"images.train: {train} is more than the {n} images there are; use at most {n}, or "
            "null for all that are not held out"
        )
    if held and held > n - (train or 1):
        beside = "" if train is None else f" beside images.train {train}"
        raise UserError(
            f"images.validation: {held}{beside} is too many for {n} images; use at most "
            f"{n - (train or 1)}"
        )
    draws = generator(0, "validation")
    if train is not None:
        rest = order[train:]
        validation = rest[torch.randperm(len(rest), generator=draws)[:held].numpy()]
        return np.sort(order[:train]), np.sort(validation)
    validation = hold_out(labels, torch.randperm(n, generator=draws).numpy(), held)
    if len(validation) < held:
        raise UserError(
            f"images.validation: {len(validation)} of {n} images can be held out if each class "
            f"keeps one to train on, not {held}"
        )
    return np.setdiff1d(np.arange(n), validation), validation


def at_most(count: int | None, n: int) -> slice:
    """The first ``images.test`` of n images.

    Raises:
        UserError: there are fewer.
    """
    if count is not None and count > n:
        raise UserError(
            f"images.test: {count} is more than the {n} images there are; use at most {n}, or null "
            "for all"
        )
    return slice(count)


def hold_out(labels: np.ndarray, order: np.ndarray, count: int) -> np.ndarray:
    """The first ``count`` rows of ``order`` that leave every class an image, ascending.

    Args:
        labels: int64 (n,).
        order: int64 (n,), rows.
        count: of rows; fewer are returned if there are no more.
    """
    left = Counter(labels.tolist())
    chosen: list[int] = []
    for row in order.tolist():
        label = int(labels[row])
        if len(chosen) == count:
            break
        if left[label] > 1:
            left[label] -= 1
            chosen.append(row)
    return np.sort(np.array(chosen, dtype=np.int64))
