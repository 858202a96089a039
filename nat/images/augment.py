"""Cropping and flipping whole batches on the device (section 3.3)."""

import torch


def crop_at(
    pictures: torch.Tensor, top: torch.Tensor, left: torch.Tensor, crop: int
) -> torch.Tensor:
    """Cut one square a picture, each at its own place, in one gather.

    Args:
        pictures: (b, c, h, w).
        top: int64 (b,), row of the upper left corner.
        left: int64 (b,), its column.
        crop: side in pixels.

    Returns:
        (b, c, crop, crop), same dtype and device.
    """
    device = pictures.device
    side = torch.arange(crop, device=device)
    batch = torch.arange(len(pictures), device=device)[:, None, None, None]
    channel = torch.arange(pictures.shape[1], device=device)[None, :, None, None]
    rows = (top.to(device)[:, None] + side)[:, None, :, None]
    columns = (left.to(device)[:, None] + side)[:, None, None, :]
    return pictures[batch, channel, rows, columns]


def random_crop_flip(
    pictures: torch.Tensor, crop: int, flip: bool, draws: torch.Generator
) -> torch.Tensor:
    """A random square of ``crop`` pixels of each picture, mirrored with probability 1/2.

    Args:
        pictures: (b, c, h, w) with h, w >= crop.
        crop: side in pixels.
        flip: whether to mirror.
        draws: a CPU generator.
    """
    b, _, height, width = pictures.shape
    top = torch.randint(height - crop + 1, (b,), generator=draws)
    left = torch.randint(width - crop + 1, (b,), generator=draws)
    mirrored = torch.rand(b, generator=draws) < 0.5
    cut = crop_at(pictures, top, left, crop)
    if flip:
        cut = torch.where(mirrored.to(cut.device)[:, None, None, None], cut.flip(-1), cut)
    return cut


def fixed_crops(pictures: torch.Tensor, crop: int, crops: int) -> torch.Tensor:
    """The crops a picture is tested with.

    1: the centre. 2: the centre and its mirror image. 10: centre and four corners, each also
    mirrored.

    Returns:
        (crops, b, c, crop, crop).
    """
    _, _, height, width = pictures.shape
    down, right = height - crop, width - crop
    corners = [(down // 2, right // 2)]
    if crops == 10:
        corners += [(0, 0), (0, right), (down, 0), (down, right)]
    cuts = [pictures[..., y : y + crop, x : x + crop] for y, x in corners]
    if crops > 1:
        cuts += [cut.flip(-1) for cut in cuts]
    return torch.stack(cuts)
