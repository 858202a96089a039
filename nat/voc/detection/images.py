"""Whole images at the scale of the protocol: short side 600 pixels, long side at most 1000."""

import torch
import torch.nn.functional as F


def scale_factor(height: int, width: int, short: int, long: int) -> float:
    """What to multiply the sides by: the short side becomes ``short``, the long one <= ``long``."""
    return min(short / min(height, width), long / max(height, width))


def scaled(image: torch.Tensor, factor: float, flip: bool, device: torch.device) -> torch.Tensor:
    """An image, resized on the device.

    Args:
        image: uint8 (h, w), or in colour (3, h, w), on the CPU.
        factor: from ``scale_factor``.
        flip: whether to mirror it.
        device: of the result.

    Returns:
        float32 (1, channels, h', w'), 0 to 255.
    """
    sides = image.shape[-2:]
    size = [max(round(side * factor), 1) for side in sides]
    pixels = image.to(device, non_blocking=True).float().reshape(1, -1, *sides)
    pixels = pixels.flip(-1) if flip else pixels
    if size == list(sides):
        return pixels
    return F.interpolate(pixels, size, mode="bilinear", antialias=True)
