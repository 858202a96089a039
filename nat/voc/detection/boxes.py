"""Boxes as the development kit writes them: pixels counted from 1, both ends inclusive.

A box from xmin to xmax covers ``xmax - xmin + 1`` pixels of a row; how much such boxes overlap
tells ``nat.voc.data.boxes``.
"""

import math

import torch

LARGEST = math.log(1000 / 16)  # of a predicted log ratio of sides, so that exp() stays finite


def end_exclusive(boxes: torch.Tensor) -> torch.Tensor:
    """Boxes, float (m, 4), with the ends that torchvision.ops takes: one after the last pixel."""
    return boxes + boxes.new_tensor([0, 0, 1, 1])


def mirrored(boxes: torch.Tensor, width: int) -> torch.Tensor:
    """Where the boxes lie, float (m, 4), when their image of ``width`` pixels is flipped."""
    xmin, ymin, xmax, ymax = boxes.unbind(-1)
    return torch.stack([width + 1 - xmax, ymin, width + 1 - xmin, ymax], -1)


def clipped(boxes: torch.Tensor, width: int, height: int) -> torch.Tensor:
    """The part of the boxes, float (..., 4), inside an image."""
    limits = boxes.new_tensor([width, height, width, height])
    return boxes.clamp(min=1).minimum(limits)


def _centres_and_sides(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """As Fast R-CNN measures boxes, from the first pixel to the last: one less than they cover.

    Its sides of a line of pixels are 1e-14, by which moves become absurd; here they are 1.
    """
    low, high = boxes[..., :2], boxes[..., 2:]
    return (low + high) / 2, (high - low).clamp(min=1)


def encode(boxes: torch.Tensor, goals: torch.Tensor) -> torch.Tensor:
    """How to move each box to its goal: the regression targets of R-CNN.

    Args:
        boxes: float (..., 4).
        goals: float (..., 4), likewise.

    Returns:
        float (..., 4): shift of the centre in sides of the box, log ratio of the sides; x, y each.
    """
    centres, sides = _centres_and_sides(boxes)
    to, size = _centres_and_sides(goals)
    return torch.cat([(to - centres) / sides, (size / sides).log()], -1)


def decode(boxes: torch.Tensor, moves: torch.Tensor) -> torch.Tensor:
    """Move boxes as ``encode`` says, float (..., 4): its inverse, but for a line of pixels."""
    centres, sides = _centres_and_sides(boxes)
    to = centres + moves[..., :2] * sides
    half = sides * moves[..., 2:].clamp(max=LARGEST).exp() / 2
    return torch.cat([to - half, to + half], -1)
