"""Images of which a part is hidden, for tasks that are to find it again.

Masks are drawn by torch's global generator on the images' device: bool (b, 1, h, w), true where
a pixel is hidden, in all channels.
"""

import torch

BLOCKS = 4  # squares hidden in an image, which may overlap
PART = 4  # of the image's side is theirs: together they cover a quarter of it at most


def pixels(images: torch.Tensor, share: float) -> torch.Tensor:
    """A mask of single pixels, the same number in every image.

    Args:
        images: (b, c, h, w).
        share: of an image's pixels, rounded.
    """
    b, _, height, width = images.shape
    count = round(share * height * width)
    drawn = torch.rand(b, height * width, device=images.device).argsort(1)[:, :count]
    mask = torch.zeros(b, height * width, dtype=torch.bool, device=images.device)
    return mask.scatter_(1, drawn, True).view(b, 1, height, width)


def blocks(images: torch.Tensor) -> torch.Tensor:
    """A mask of BLOCKS random squares of square images, (b, c, side, side)."""
    b, _, side, _ = images.shape
    block = side // PART
    start = torch.randint(side - block + 1, (2, b, BLOCKS, 1), device=images.device)
    line = torch.arange(side, device=images.device)
    down, across = (line >= start) & (line < start + block)
    return (down[..., :, None] & across[..., None, :]).any(1, keepdim=True)


def hide(images: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Give hidden pixels the mean of their image's others, so that they tell nothing.

    Args:
        images: uint8 or float, (b, c, h, w).
        mask: see above; not of all pixels.

    Returns:
        float32, same shape as the images.
    """
    x, seen = images.float(), ~mask
    numbers = seen.sum((1, 2, 3), keepdim=True) * images.shape[1]
    return torch.where(mask, (x * seen).sum((1, 2, 3), keepdim=True) / numbers, x)
