"""Two views of each image: random augmentations of whole batches, on the device.

The papers' list, with what a trunk that standardises every image can see of it. A factor on all
pixels and an offset, which brightness and contrast are, vanish there: a random tone curve stands in
their place. Hue and saturation change colour images alone. Blur is the papers' where it is as wide
as a pixel, and nothing where images are small (SimCLR's CIFAR-10 has none either, appendix B.9).
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

ASPECT = 4 / 3  # of a square's sides, at most
JITTERED, GREY = 0.8, 0.2  # shares of views, in all of the papers
SIGMA = (0.1, 2.0)  # of blur, pixels of an image of BLUR_SIDE
BLUR_SIDE, BLURRED_FROM = 224, 64  # side of the images, pixels
# luma, and two axes of colour: YIQ
YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True)
class Recipe:
    """What a paper does to the pixels of views.

    Attributes:
        tone: strength of its brightness jitter; here the largest logarithm of the tone curve's
            exponent.
        saturation: strength of the jitter of colours' saturation.
        hue: largest turn of the hue, of a whole circle.
        blurred: probability of blur in the first and in the second view.
        solarised: likewise, that the brighter half of the values is turned dark.
    """

    tone: float
    saturation: float
    hue: float
    blurred: tuple[float, float]
    solarised: tuple[float, float] = (0.0, 0.0)


SIMCLR = Recipe(0.8, 0.8, 0.2, (0.5, 0.5))  # appendix A
BYOL = Recipe(0.4, 0.2, 0.1, (1.0, 0.1), (0.0, 0.2))  # appendix B; Barlow Twins' and DINO's too
SIMSIAM = Recipe(0.4, 0.4, 0.1, (0.5, 0.5))  # section 3
VICREG = Recipe(0.4, 0.2, 0.1, (0.5, 0.5), (0.1, 0.1))  # appendix C.1


class Views(nn.Module):
    """Two views of each image of a batch, drawn from torch's own generator of the device."""

    yiq: torch.Tensor
    rgb: torch.Tensor

    def __init__(self, recipe: Recipe, area: float, flip: bool) -> None:
        """A maker of views.

        Args:
            recipe: what is done to pixels.
            area: least share of an image that a view shows.
            flip: whether to mirror half of the views.
        """
        super().__init__()
        self.recipe, self.area, self.flip = recipe, area, flip
        self.register_buffer("yiq", torch.tensor(YIQ), persistent=False)
        self.register_buffer("rgb", torch.linalg.inv(torch.tensor(YIQ)), persistent=False)

    @torch.no_grad()
    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Uint8 (b, c, h, w) to two float32 batches of the same shape, values from 0 to 255."""
        with torch.autocast(images.device.type, enabled=False):
            return self.view(images, 0), self.view(images, 1)

    def view(self, images: torch.Tensor, which: int) -> torch.Tensor:
        """The first or the second view."""
        drawn = torch.rand(6, len(images), device=images.device)
        area = self.area + (1 - self.area) * drawn[0]
        ratio = ((2 * drawn[1] - 1) * math.log(ASPECT)).exp()
        mirrored = (drawn[5] < 0.5) & self.flip
        x = resized_crop(images.float() / 255, area, ratio, drawn[2], drawn[3], mirrored)
        x = self.recoloured(x)
        if images.shape[-1] >= BLURRED_FROM:
            low, high = (sigma * images.shape[-1] / BLUR_SIDE for sigma in SIGMA)
            sigma = low + (high - low) * drawn[4]
            x = blur(x, torch.where(self.happens(x, self.recipe.blurred[which]), sigma, 0))
        turned = self.happens(x, self.recipe.solarised[which])[:, None, None, None] & (x >= 0.5)
        return 255 * torch.where(turned, 1 - x, x)

    def recoloured(self, x: torch.Tensor) -> torch.Tensor:
        """A random tone curve, then saturation and hue; values from 0 to 1."""
        jittered = self.happens(x, JITTERED)
        tone, saturation, hue = (2 * torch.rand(3, len(x), device=x.device) - 1) * jittered
        x = x ** (self.recipe.tone * tone).exp()[:, None, None, None]
        if x.shape[1] == 3:
            strength = 1 + self.recipe.saturation * saturation
            strength = strength.where(~self.happens(x, GREY), 0)
            angle = 2 * math.pi * self.recipe.hue * hue
            turn = torch.zeros(len(x), 3, 3, device=x.device)
            turn[:, 0, 0] = 1
            turn[:, 1, 1] = turn[:, 2, 2] = strength * angle.cos()
            turn[:, 2, 1] = strength * angle.sin()
            turn[:, 1, 2] = -turn[:, 2, 1]
            colours = self.rgb @ turn @ self.yiq
            x = torch.einsum("bij,bjhw->bihw", colours, x).clamp(0, 1)
        return x

    @staticmethod
    def happens(x: torch.Tensor, probability: float) -> torch.Tensor:
        """Whether it does, for each image: bool (b,)."""
        return torch.rand(len(x), device=x.device) < probability


def resized_crop(
    x: torch.Tensor,
    area: torch.Tensor,
    ratio: torch.Tensor,
    across: torch.Tensor,
    down: torch.Tensor,
    mirrored: torch.Tensor,
) -> torch.Tensor:
    """A part of each image, enlarged to the image's size.

    Args:
        x: float (b, c, h, w).
        area: (b,), the part's share of an image.
        ratio: (b,), its width by its height; a side that would be longer than the image's is cut.
        across: (b,), where it is, from 0, left, to 1, right.
        down: likewise, from top to bottom.
        mirrored: bool (b,).

    Returns:
        float (b, c, h, w), bilinear.
    """
    width, height = ((area * by).sqrt().clamp(max=1) for by in (ratio, 1 / ratio))
    where = torch.zeros(len(x), 2, 3, device=x.device)
    where[:, 0, 0] = torch.where(mirrored, -width, width)
    where[:, 0, 2] = (1 - width) * (2 * across - 1)
    where[:, 1, 1] = height
    where[:, 1, 2] = (1 - height) * (2 * down - 1)
    grid = F.affine_grid(where, list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def blur(x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
    """Gaussian blur of its own width for each image; at the border, of what is within.

    Args:
        x: float (b, c, side, side).
        sigma: (b,), pixels; 0 leaves an image as it is.
    """
    side = torch.arange(x.shape[-1], device=x.device)
    distance = (side[:, None] - side).square()
    weights = (-distance / (2 * sigma.clamp(min=1e-3).square())[:, None, None, None]).exp()
    weights = weights / weights.sum(-1, keepdim=True)
    return weights @ x @ weights.mT
