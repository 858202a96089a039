"""Cropping and flipping whole batches on the device (section 3.3)."""

from typing import NamedTuple

import torch


class Cuts(NamedTuple):
    """The square of each image of a batch, and whether to mirror it; on the CPU.

    Attributes:
        top: int64 (b,), row of the upper left corner.
        left: int64 (b,), its column.
        mirrored: bool (b,).
    """

    top: torch.Tensor
    left: torch.Tensor
    mirrored: torch.Tensor

    def of(self, part: slice) -> "Cuts":
        """Those of a part of the batch."""
        return Cuts(self.top[part], self.left[part], self.mirrored[part])


def draw_cuts(b: int, size: int, crop: int, flip: bool, draws: torch.Generator) -> Cuts:
    """Random squares, mirrored with probability 1/2 if ``flip``.

    Args:
        b: how many.
        size: side of the images, pixels.
        crop: side of the squares, pixels.
        flip: whether to mirror.
        draws: a CPU generator.
    """
    top, left = (torch.randint(size - crop + 1, (b,), generator=draws) for _ in range(2))
    mirrored = torch.rand(b, generator=draws) < 0.5
    return Cuts(top, left, mirrored & flip)


def cut_out(images: torch.Tensor, rows: torch.Tensor, cuts: Cuts, crop: int) -> torch.Tensor:
    """Cut one square out of each of some images: lines of pixels first, then columns of those.

    Args:
        images: (n, c, h, w).
        rows: int64 (b,), which of them.
        cuts: b squares.
        crop: side in pixels.

    Returns:
        (b, c, crop, crop), same dtype and device as ``images``.
    """
    # a few numbers an image go to the device, where they become indices, crop times as many
    device = images.device
    rows, top, left, mirrored = (t.to(device, non_blocking=True) for t in (rows, *cuts))
    side = torch.arange(crop, device=device)
    down = top[:, None] + side
    across = left[:, None] + torch.where(mirrored[:, None], side.flip(0), side)
    channels = torch.arange(images.shape[1], device=device)
    lines = images[rows[:, None, None], channels[None, :, None], down[:, None, :]]
    return lines.gather(3, across[:, None, None, :].expand(-1, len(channels), crop, -1))


def fixed_crops(images: torch.Tensor, crop: int, crops: int) -> torch.Tensor:
    """The crops an image is tested with.

    1: the centre. 2: the centre and its mirror image. 10: centre and four corners, each also
    mirrored.

    Returns:
        (crops, b, c, crop, crop).
    """
    _, _, height, width = images.shape
    down, right = height - crop, width - crop
    corners = [(down // 2, right // 2)]
    if crops == 10:
        corners += [(0, 0), (0, right), (down, 0), (down, right)]
    cuts = [images[..., y : y + crop, x : x + crop] for y, x in corners]
    if crops > 1:
        cuts += [cut.flip(-1) for cut in cuts]
    return torch.stack(cuts)
