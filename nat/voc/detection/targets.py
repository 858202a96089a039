"""What a training image teaches: its regions, the object each is nearest to, its move there.

Regions are the image's objects and its proposals. Objects flagged difficult are left out, as by
py-faster-rcnn (its ``use_diff`` is false): no region is taken for them, and none is background on
their account.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from nat.voc.data.boxes import overlaps
from nat.voc.data.reader import Ground
from nat.voc.detection.boxes import encode


@dataclass(frozen=True)
class Example:
    """A training image's regions.

    Attributes:
        boxes: float32 (m, 4): objects, then proposals; pixels from 1, both ends inclusive.
        overlap: float32 (m,), intersection over union with the nearest object, 0 without any.
        nearest: int64 (m,), a row of the next two, 0 without any.
        objects: float32 (k, 4).
        labels: int64 (k,), classes from 0.
    """

    boxes: torch.Tensor
    overlap: torch.Tensor
    nearest: torch.Tensor
    objects: torch.Tensor
    labels: torch.Tensor


def make_example(ground: Ground, proposals: torch.Tensor) -> Example:
    """Regions of an image.

    Args:
        ground: its annotated objects.
        proposals: float32 (m, 4).
    """
    known = ~ground.difficult
    objects, labels = ground.boxes[known], ground.labels[known]
    boxes = torch.cat([objects, proposals])
    if not len(objects):
        zeros = torch.zeros(len(boxes))
        return Example(boxes, zeros, zeros.long(), objects, labels)
    overlap, nearest = overlaps(boxes, objects).max(1)
    return Example(boxes, overlap, nearest, objects, labels)


def move_statistics(
    examples: Sequence[Example], classes: int, overlap: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of the moves, over a training set and its mirror image.

    A flip changes the sign of the shift in x alone, whose mean is therefore 0.

    Args:
        examples: of the training set.
        classes: how many there are.
        overlap: least overlap of a region with its object.

    Returns:
        float32 (classes, 4) each; mean 0 and deviation 1 where there is nothing to measure.
    """
    labels, found = [], []
    for example in examples:
        (rows,) = torch.nonzero(example.overlap >= overlap, as_tuple=True)
        objects = example.nearest[rows]
        labels.append(example.labels[objects])
        found.append(encode(example.boxes[rows], example.objects[objects]).double())
    every, label = torch.cat(found), torch.cat(labels)
    every = torch.cat([every, every * every.new_tensor([-1, 1, 1, 1])])
    label = label.repeat(2)
    mean, std = torch.zeros(classes, 4), torch.ones(classes, 4)
    for index in range(classes):
        own = every[label == index]
        if len(own):
            mean[index], deviation = own.mean(0), own.std(0, correction=0)
            std[index] = torch.where(deviation > 1e-6, deviation, torch.ones(4).double())
    return mean, std
