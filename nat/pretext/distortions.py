"""Random distortions of images, drawn for each one alone, on the device (Dosovitskiy et al., 2014).

Section 3 of their paper, with its ranges: moved by up to a fifth of the side, scaled by 0.7 to 1.4,
turned by up to 20 degrees; contrast along the principal components of pixels times 0.5 to 2;
brightness and saturation (HSV) to the power of 1/4 to 4, times 0.7 to 1.4, plus -0.1 to 0.1; hue
plus -0.1 to 0.1. Of a grey image brightness is the grey value, and colours do not apply.
"""

import math

import torch
import torch.nn.functional as F

MOVE, SCALE, TURN = 0.2, (0.7, 1.4), math.radians(20)
CONTRAST, POWER, FACTOR, PLUS = (0.5, 2.0), (0.25, 4.0), (0.7, 1.4), 0.1
HUE = 0.1  # of a whole turn


def uniform(like: torch.Tensor, low: float, high: float, *shape: int) -> torch.Tensor:
    """Float32 (b, *shape) between ``low`` and ``high``, for a batch on its device."""
    return low + (high - low) * torch.rand(len(like), *shape, device=like.device)


def geometric(low: float, high: float) -> tuple[float, float]:
    """Logarithms, as a factor is as likely as its inverse."""
    return math.log(low), math.log(high)


def moved(x: torch.Tensor) -> torch.Tensor:
    """Moved, scaled and turned around the middle; what lies outside is mirrored.

    Args:
        x: float32 (b, c, s, s).
    """
    scale = uniform(x, *geometric(*SCALE)).exp()
    turn = uniform(x, -TURN, TURN)
    across, down = turn.cos() / scale, turn.sin() / scale
    shift = uniform(x, -2 * MOVE, 2 * MOVE, 2)  # an image's side is 2 in these coordinates
    rows = [torch.stack(row, 1) for row in ((across, -down), (down, across))]
    matrix = torch.cat([torch.stack(rows, 1), shift[:, :, None]], 2)
    places = F.affine_grid(matrix, list(x.shape), align_corners=False)
    return F.grid_sample(x, places, padding_mode="reflection", align_corners=False)


def recontrasted(x: torch.Tensor, mean: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    """Each principal component of pixels times a factor of its own, clamped to 0 to 1.

    Args:
        x: float32 (b, c, s, s), 0 to 1.
        mean: float32 (c,), of all pixels.
        axes: float32 (c, c), orthonormal columns.
    """
    factors = uniform(x, *geometric(*CONTRAST), len(axes)).exp()
    matrix = torch.einsum("ik,bk,jk->bij", axes, factors, axes)
    middle = mean[None, :, None, None]
    return (torch.einsum("bij,bjhw->bihw", matrix, x - middle) + middle).clamp(0, 1)


def reshaded(x: torch.Tensor) -> torch.Tensor:
    """Brightness or saturation, float32 (b, h, w) of 0 to 1, changed as a whole."""
    power = uniform(x, *geometric(*POWER), 1, 1).exp()
    factor, plus = uniform(x, *FACTOR, 1, 1), uniform(x, -PLUS, PLUS, 1, 1)
    return (x.pow(power) * factor + plus).clamp(0, 1)


def to_hsv(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hue, saturation and brightness, (b, h, w) of 0 to 1 each, of RGB, float32 (b, 3, h, w)."""
    value, which = x.max(1)
    spread = value - x.amin(1)
    safe = spread.clamp(min=1e-8)
    red, green, blue = x.unbind(1)
    sixths = torch.stack([(green - blue) / safe, (blue - red) / safe + 2, (red - green) / safe + 4])
    hue = sixths.gather(0, which[None])[0] / 6 % 1
    return hue, spread / value.clamp(min=1e-8), value


def to_rgb(hue: torch.Tensor, saturation: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """The inverse of ``to_hsv``."""
    channels = []
    for offset in (5, 3, 1):
        k = (offset + 6 * hue) % 6
        channels.append(value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, 1)


def distorted(images: torch.Tensor, mean: torch.Tensor, axes: torch.Tensor) -> torch.Tensor:
    """All of the above.

    Args:
        images: uint8 (b, c, s, s).
        mean: see ``recontrasted``.
        axes: likewise.

    Returns:
        float32 (b, c, s, s), 0 to 255.
    """
    x = recontrasted(moved(images.float() / 255), mean, axes)
    if x.shape[1] == 1:
        return 255 * reshaded(x[:, 0])[:, None]
    hue, saturation, value = to_hsv(x)
    hue = (hue + uniform(x, -HUE, HUE, 1, 1)) % 1
    return 255 * to_rgb(hue, reshaded(saturation), reshaded(value))
