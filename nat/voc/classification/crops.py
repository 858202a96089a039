"""Random squares of images of different sizes, brought to one size on the device."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F


def random_squares(
    images: Sequence[torch.Tensor],
    scale: Sequence[float],
    size: int,
    flip: bool,
    draws: torch.Tensor,
    device: torch.device,
    by_area: bool = False,
) -> torch.Tensor:
    """One random square of every image.

    Its side is uniform in ``scale`` times the image's short side, or its area in ``scale`` times
    the image's; its place is uniform among those inside the image.

    Args:
        images: uint8 (h, w), or all in colour (3, h, w), of any sizes, on the CPU.
        scale: smallest and largest, relative to the short side or to the area.
        size: side of the result, pixels.
        flip: whether to mirror half of them.
        draws: float (b, 4), uniform in [0, 1), on the CPU: size, row, column and mirroring of each.
        device: of the result.
        by_area: whether areas are drawn, not sides; a square never leaves the image.

    Returns:
        float32 (b, channels, size, size), 0 to 255.
    """
    low, high = scale
    cuts = []
    for image, (u, v, w, mirrored) in zip(images, draws.tolist(), strict=True):
        height, width = image.shape[-2:]
        share = low + (high - low) * u
        side = round(math.sqrt(share * height * width) if by_area else share * min(height, width))
        side = min(max(side, 1), height, width)
        top, left = int(v * (height - side + 1)), int(w * (width - side + 1))
        cut = image[..., top : top + side, left : left + side].to(device, non_blocking=True)
        cut = cut.float().reshape(1, -1, side, side)
        cut = F.interpolate(cut, (size, size), mode="bilinear", antialias=True)
        cuts.append(cut.flip(-1) if flip and mirrored < 0.5 else cut)
    return torch.cat(cuts)
