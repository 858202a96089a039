"""What a trunk sees of an image: the front ends of Table 2, fixed and without parameters."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn


def standardise(images: torch.Tensor) -> torch.Tensor:
    """Subtract each image's mean and divide by its standard deviation, before any front end.

    One scalar each, over the image's pixels and channels; a blank image becomes zeros.

    Args:
        images: uint8 or float, (b, c, h, w).

    Returns:
        float32, same shape.
    """
    x = images.float()
    mean = x.mean(dim=(1, 2, 3), keepdim=True)
    std = x.std(dim=(1, 2, 3), keepdim=True, correction=0)
    return (x - mean) / std.clamp(min=1e-3)


class FrontEnd(nn.Module):
    """A fixed linear map of images.

    Attributes:
        outputs: its channels.
        kernel: float (outputs, 1, 3, 3), what it does to a grey image.
    """

    kernel: torch.Tensor

    def __init__(self, kernel: torch.Tensor) -> None:
        super().__init__()
        self.outputs = len(kernel)
        self.register_buffer("kernel", kernel[:, None], persistent=False)

    def convolved(self, x: torch.Tensor, groups: int) -> torch.Tensor:
        """Float (b, groups, h, w) -> (b, outputs, h, w), zero padding 1."""
        kernel = self.kernel
        if x.device.type == "cuda":
            # a network's channels_last, slow there for single channels, ends here
            kernel = kernel.flatten().view(kernel.shape)
        return F.conv2d(x, kernel, padding=1, groups=groups)


class Clean(FrontEnd):
    """The image as it is."""

    def __init__(self, channels: int) -> None:
        same = torch.zeros(channels, 3, 3)
        same[:, 1, 1] = 1
        super().__init__(same)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float (b, c, h, w) -> (b, c, h, w)."""
        return x


class HighPass(FrontEnd):
    """Each pixel less the mean around it, in each channel; zero padding 1.

    The paper does not describe its high-pass. Here the mean is the binomial one over 3 x 3 pixels,
    (1, 2, 1)/4 in both directions: Sobel's own support and smoothing.
    """

    def __init__(self, channels: int) -> None:
        smooth = torch.tensor([1.0, 2.0, 1.0]) / 4
        kernel = -torch.outer(smooth, smooth)
        kernel[1, 1] += 1
        super().__init__(kernel.repeat(channels, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float (b, c, h, w) -> (b, c, h, w)."""
        return self.convolved(x, self.outputs)


class Sobel(FrontEnd):
    """Grayscale image gradients (section 3.3, pre-processing): 2 output channels.

    The mean of the channels, convolved with the Sobel kernels of d/dx and d/dy, zero padding 1.
    """

    def __init__(self, channels: int) -> None:
        dx = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
        super().__init__(torch.stack([dx, dx.T]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float (b, c, h, w) -> (b, 2, h, w)."""
        return self.convolved(x.mean(dim=1, keepdim=True), 1)


FRONT_ENDS: dict[str, Callable[[int], FrontEnd]] = {
    "clean": Clean,
    "high-pass": HighPass,
    "sobel": Sobel,
}
