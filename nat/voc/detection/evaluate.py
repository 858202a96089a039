"""Detect the objects of test images and judge the detections (Fast R-CNN, section 3; VOC 2007).

Every region gives each class a score and a box. In an image the 100 best scored boxes of a class
are kept, whatever their score; of these, over all test images, the best 40 times as many as there
are images; then those that overlap a better one of the class by more than 0.3 are dropped.
``min_score`` can leave out more, as the 0.05 of py-faster-rcnn does.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torchvision.ops import nms

from nat.runtime.distributed import Distributed
from nat.runtime.errors import UserError
from nat.runtime.progress import progress
from nat.runtime.settings.params import Detect
from nat.voc.data.reader import VocSplit
from nat.voc.detection.average_precision import (
    Detections,
    Truth,
    area,
    eleven_point,
    positives,
    ranked_hits,
)
from nat.voc.detection.boxes import clipped, end_exclusive
from nat.voc.detection.images import scale_factor, scaled
from nat.voc.detection.model import Detector, Regions

AT_ONCE = 8  # test images, of one size, so that none is filled up


def lowest(settings: Detect) -> float:
    """What every score has to exceed."""
    return -math.inf if settings.min_score is None else settings.min_score


def least_scores(best: Sequence[torch.Tensor], settings: Detect) -> torch.Tensor:
    """What the scores of a class have to exceed for ``mean_detections`` an image to remain.

    Fast R-CNN counts before non-maximum suppression, and keeps none of those that equal the last
    one that it counts.

    Args:
        best: of each test image the best scores of each class, float32 (k, classes).
        settings: mean_detections is used.

    Returns:
        float32 (classes,), -inf where there are not more.
    """
    every = torch.cat(list(best))
    if settings.mean_detections is None or len(every) <= settings.mean_detections * len(best):
        return torch.full(every.shape[1:], -math.inf)
    counted = settings.mean_detections * len(best)
    return every.kthvalue(len(every) - counted + 1, dim=0).values


def kept(scores: torch.Tensor, boxes: torch.Tensor, settings: Detect) -> torch.Tensor:
    """Which boxes of one class and image do not overlap better ones, best first.

    Args:
        scores: float32 (m,).
        boxes: float32 (m, 4); pixels from 1, both ends inclusive.
        settings: min_score, detections and nms are used.

    Returns:
        Rows, int64 (k,); equal scores in the order of the regions.
    """
    (rows,) = torch.nonzero(scores > lowest(settings), as_tuple=True)
    order = scores[rows].sort(descending=True, stable=True).indices
    rows = rows[order[: settings.detections]]
    return rows[nms(end_exclusive(boxes[rows]), scores[rows], settings.nms)]


def look(
    network: Detector,
    images: Sequence[torch.Tensor],
    regions: Sequence[torch.Tensor],
    settings: Detect,
    distributed: Distributed,
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Run the network on images, in float32: rounded scores would be equal too often to rank.

    Of regions that are pooled from the same cells one is computed, as in Fast R-CNN; each is moved
    from where it lies itself, there all from where that one lies.

    Args:
        network: in evaluation mode.
        images: uint8 (h, w), or all in colour (3, h, w).
        regions: float32 (m, 4) for each; pixels from 1, both ends inclusive.
        settings: test_short_side and long_side are used.
        distributed: whose device the network is on.

    Returns:
        For each image scores, float32 (m, classes), and boxes inside the image,
        float32 (m, classes, 4), on the CPU.
    """
    inputs, boxes = [], []
    for slot, (image, region) in enumerate(zip(images, regions, strict=True)):
        height, width = image.shape[-2:]
        factor = scale_factor(height, width, settings.test_short_side, settings.long_side)
        inputs.append(scaled(image, factor, False, distributed.device))
        boxes.append(F.pad((region - 1) * factor, (1, 0), value=slot))
    once, where = network.distinct(torch.cat(boxes).to(distributed.device))
    logits, moves = network(Regions(inputs, once))
    scores = logits.softmax(1)[where, 1:].cpu()
    moved = network.moved(torch.cat(list(regions)).to(distributed.device), moves[where]).cpu()
    counts = [len(region) for region in regions]
    return [
        (score, clipped(box, image.shape[-1], image.shape[-2]))
        for image, score, box in zip(images, scores.split(counts), moved.split(counts), strict=True)
    ]


@torch.no_grad()
def detected(
    network: Detector,
    split: VocSplit,
    regions: Sequence[torch.Tensor],
    settings: Detect,
    distributed: Distributed,
) -> list[Detections]:
    """Detections of every class, in the order of the split's images, the best first in each.

    Suppression comes before the total is limited, which changes nothing: a box is suppressed by
    better ones alone, and none is limited before a worse one is.
    """
    network.eval()
    sizes: dict[tuple[int, int], list[int]] = {}
    for row, one in enumerate(split.annotations):
        sizes.setdefault((one.height, one.width), []).append(row)
    chunks = [
        rows[at : at + AT_ONCE] for rows in sizes.values() for at in range(0, len(rows), AT_ONCE)
    ]
    found: list[list[tuple[int, np.ndarray, np.ndarray]]] = [[] for _ in split.classes]
    best_of = []
    with progress(total=len(split), label="test", unit="images") as bar:
        for rows in chunks:
            images = [split.seen(row, network.trunk.channels) for row in rows]
            looks = look(network, images, [regions[row] for row in rows], settings, distributed)
            for row, (scores, boxes) in zip(rows, looks, strict=True):
                best_of.append(scores.topk(min(settings.detections, len(scores)), dim=0).values)
                for label in torch.nonzero((scores > lowest(settings)).any(0))[:, 0].tolist():
                    best = kept(scores[:, label], boxes[:, label], settings)
                    found[label].append(
                        (row, scores[best, label].numpy(), boxes[best, label].numpy())
                    )
            bar.update(len(rows))
    return [
        _joined(sorted(entries, key=lambda entry: entry[0]), least)
        for entries, least in zip(found, least_scores(best_of, settings).tolist(), strict=True)
    ]


def _joined(entries: list[tuple[int, np.ndarray, np.ndarray]], least: float) -> Detections:
    rows = [np.full(len(scores), row) for row, scores, _ in entries]
    images = np.concatenate([np.zeros(0, np.int64), *rows])
    scores = np.concatenate([np.zeros(0), *(scores for _, scores, _ in entries)])
    boxes = np.concatenate([np.zeros((0, 4)), *(boxes for _, _, boxes in entries)])
    above = scores > least
    return Detections(images[above], scores[above], boxes[above])


def truth_of(split: VocSplit) -> list[list[Truth]]:
    """The objects to find: a list a class, an entry an image."""
    found: list[list[Truth]] = [[] for _ in split.classes]
    for row in range(len(split)):
        ground = split.objects(row)
        for label, entries in enumerate(found):
            own = ground.labels == label
            entries.append(Truth(ground.boxes[own].double().numpy(), ground.difficult[own].numpy()))
    return found


def judged(found: Sequence[Detections], split: VocSplit) -> dict[str, Any]:
    """Average precisions in percent: 11-point and area, their means over the classes with objects.

    Args:
        found: one entry a class.
        split: the images they are of.

    Returns:
        map, map_area, and ap and ap_area by class, None for a class without an object to find.

    Raises:
        UserError: no class has an object to find.
    """
    points: dict[str, float | None] = {}
    areas: dict[str, float | None] = {}
    for label, one, truth in zip(split.classes, found, truth_of(split), strict=True):
        hits, total = ranked_hits(one, truth), positives(truth)
        points[label] = 100 * eleven_point(hits, total) if total else None
        areas[label] = 100 * area(hits, total) if total else None
    if all(ap is None for ap in points.values()):
        raise UserError(
            f"{split.devkit}: no test image has an object that is not difficult; there is "
            "nothing to find"
        )
    measured: dict[str, Any] = {}
    for name, aps in (("map", points), ("map_area", areas)):
        measured[name] = round(float(np.mean([ap for ap in aps.values() if ap is not None])), 2)
    for name, aps in (("ap", points), ("ap_area", areas)):
        measured[name] = {k: None if ap is None else round(ap, 2) for k, ap in aps.items()}
    return measured
