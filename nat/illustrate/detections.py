"""What the figure of detections shows, chosen by rule and seed, never by hand.

The same number of test images of the class that is detected best and of the one that is detected
worst. In the choice of the images their detections play no part.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nat.data.seeds import generator
from nat.illustrate.detected import Detected
from nat.illustrate.judge import Operating, best_f1, missed, some, verdicts
from nat.runtime.device import prepare_device
from nat.runtime.errors import UserError
from nat.runtime.io.files import read_json
from nat.runtime.provenance import provenance
from nat.runtime.settings.params import Params
from nat.voc.data.manifest import open_voc
from nat.voc.detection.average_precision import (
    Detections,
    Truth,
    eleven_point,
    positives,
    ranked_hits,
)
from nat.voc.detection.evaluate import truth_of
from nat.voc.detection.images import scale_factor, scaled
from nat.voc.detection.results import file_name, read_results

IMAGES = 4  # of each class, at most
SIDE = 320  # pixels; larger images are reduced to it, so that the file stays small


def gather_detections(
    params: Params, seed: int, manifest: Path, result: Path, folder: Path
) -> Detected:
    """Pick images of two classes with their objects and detections.

    The facts hold: source, test (how many images) and classes, the best first. A class holds its
    name, ap (percent), objects (how many test has to find), and score, the least of the detections
    that are here, with the precision and recall (percent) of such detections in all of test. It is
    the score of the highest F1; all three are None where no detection counts.

    Args:
        params: machine is used, and voc.folder to find the images.
        seed: of the choice of images.
        manifest: what ``nat prepare voc`` wrote.
        result: the JSON file that ``nat detect`` wrote.
        folder: the detections that it wrote with it.

    Raises:
        UserError: an input is missing or damaged, or does not fit the others.
    """
    start = time.perf_counter()
    device = prepare_device(params.machine)
    precisions = read_precisions(result)
    data, _, test = open_voc(params, manifest, params.evaluate_on)
    chosen = best_and_worst(precisions)
    if not set(chosen) <= set(test.classes):
        raise UserError(f"{result}: has other classes than {manifest}; give those of one run")
    labels = [test.classes.index(name) for name in chosen]
    every = truth_of(test)
    rows = choose(test.labels[:, labels] == 1, seed)

    classes: list[dict[str, Any]] = []
    shown: list[dict[str, np.ndarray]] = []
    results = read_results(folder, [one.name for one in test.annotations], chosen)
    for place, (name, found) in enumerate(zip(chosen, results, strict=True)):
        truth = every[labels[place]]
        if not has_precision(found, truth, precisions[name]):
            raise UserError(
                f"{folder / file_name(name)}: its average precision is not that in {result}; give "
                "what one run of `python -m nat detect` wrote"
            )
        judged = verdicts(found, truth)
        least = best_f1(found, judged, positives(truth))
        classes.append({"name": name, "ap": precisions[name], **_worth(truth, least)})
        worth = found.scores >= (least.score if least else math.inf)
        for row in rows[place]:
            image = test.image(row)
            own = np.flatnonzero(worth & (found.images == row))
            own = own[np.argsort(-found.scores[own], kind="stable")]
            shown.append(
                {
                    "images": (small := reduced(image, device)),
                    "labels": np.array([place]),
                    "boxes": moved(found.boxes[own], image.shape, small.shape),
                    "scores": found.scores[own].astype(np.float32),
                    "right": judged.right[own],
                    "neither": judged.neither[own],
                    "objects": moved(truth[row].boxes, image.shape, small.shape),
                    "difficult": truth[row].difficult,
                    "missed": missed(some(found, own), truth[row]),
                }
            )
    facts = {"source": data["data"], "test": len(test), "classes": classes}
    where = provenance({}, seed, data, time.perf_counter() - start, device)
    return Detected(facts, where, **joined(shown))


def read_precisions(result: Path) -> dict[str, float]:
    """The average precision, percent, of each class that has one.

    Raises:
        UserError: the file is missing or not what ``nat detect`` writes.
    """
    content = read_json(result, "detect")
    try:
        found = {k: float(ap) for k, ap in content["measured"]["ap"].items() if ap is not None}
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        found = {}
    if not found:
        raise UserError(
            f"{result}: no average precision of any class; make it again with "
            "`python -m nat detect`"
        )
    return found


def best_and_worst(precisions: dict[str, float]) -> list[str]:
    """The classes of the highest and of the lowest value; of equal ones the first by name.

    They are different classes, unless there is but one, which is then alone.
    """
    best = min(precisions, key=lambda name: (-precisions[name], name))
    others = [name for name in precisions if name != best]
    return [best, *sorted(others, key=lambda name: (precisions[name], name))[:1]]


def choose(present: torch.Tensor, seed: int) -> list[list[int]]:
    """Of each class the first images that show it, in one random order.

    Args:
        present: bool (n, classes), whether an image has an object that is not difficult.
        seed: of the order.

    Returns:
        For each class as many rows, IMAGES or what the rarest class has.
    """
    order = torch.randperm(len(present), generator=generator(seed, "illustrate-detections"))
    count = min(IMAGES, int(present.sum(0).min()))
    return [order[own[order]][:count].tolist() for own in present.T]


def has_precision(found: Detections, truth: Sequence[Truth], expected: float) -> bool:
    """Whether VOC 2007's average precision is as ``expected``, percent with two places."""
    total = positives(truth)
    return total > 0 and round(100 * eleven_point(ranked_hits(found, truth), total), 2) == expected


def reduced(image: torch.Tensor, device: torch.device) -> np.ndarray:
    """An image, uint8 (h, w), with sides of at most SIDE pixels."""
    height, width = image.shape
    factor = min(scale_factor(height, width, SIDE, SIDE), 1.0)
    pixels = scaled(image, factor, False, device)[0, 0]
    return pixels.round().clamp(0, 255).to("cpu", torch.uint8).numpy()


def moved(boxes: np.ndarray, size: Sequence[int], reduced_to: Sequence[int]) -> np.ndarray:
    """Boxes in an image of another size.

    Args:
        boxes: (n, 4), pixels from 1, both ends inclusive.
        size: height and width of their image.
        reduced_to: those of the other.

    Returns:
        float32 (n, 4): left, top, right, bottom, in pixels from the upper left corner.
    """
    factors = np.array(reduced_to[::-1]) / np.array(size[::-1])
    return ((boxes - [1, 1, 0, 0]) * np.tile(factors, 2)).astype(np.float32)


def joined(shown: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of images, one after another, as ``Detected`` holds them."""
    arrays = {
        name: np.concatenate([each[name] for each in shown])
        for name in shown[0]
        if name != "images"
    }
    for name in ("boxes", "objects"):
        arrays[f"{name}_in"] = np.repeat(np.arange(len(shown)), [len(each[name]) for each in shown])
    sizes = np.array([each["images"].shape for each in shown])
    images = np.zeros((len(shown), *sizes.max(0)), np.uint8)
    for place, each in zip(images, shown, strict=True):
        height, width = each["images"].shape
        place[:height, :width] = each["images"]
    return arrays | {"images": images, "sizes": sizes}


def _worth(truth: Sequence[Truth], least: Operating | None) -> dict[str, Any]:
    return {
        "objects": positives(truth),
        "score": least and least.score,
        "precision": least and round(100 * least.precision, 2),
        "recall": least and round(100 * least.recall, 2),
    }
