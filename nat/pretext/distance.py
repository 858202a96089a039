"""How far generated images are from real ones, as distributions."""

import torch
from torch import nn

from nat.network.front_ends import standardise

DEGREE = 3


def kernel_distance(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """The squared maximum mean discrepancy between standardised images: 0 if equally distributed.

    The kernel is (x . y / d + 1)^3, as in Bińkowski et al. (2018), eq. 4, who apply it to
    Inception's features; x . y / d is the correlation of two images' pixels here. The estimate is
    without bias for any size of batch, so that it may be negative, and averaged over batches.

    Args:
        real: uint8 or float, (b, c, h, w), b at least 2.
        made: likewise, as many, of any scale.

    Returns:
        float32, a number.
    """
    b = len(real)
    with torch.no_grad(), torch.autocast(real.device.type, enabled=False):
        x = nn.functional.normalize(standardise(torch.cat([real.float(), made.float()])).flatten(1))
        kernel = (x @ x.T + 1) ** DEGREE
        within = kernel.fill_diagonal_(0)[:b, :b].sum() + kernel[b:, b:].sum()
        return within / (b * (b - 1)) - 2 * kernel[:b, b:].mean()
