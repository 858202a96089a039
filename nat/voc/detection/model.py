"""Fast R-CNN (Girshick, 2015): a trunk over the whole image, fc6 to the two outputs a region.

The trunk comes without batch norm and without its last pooling, in whose place each region's part
of conv5 is pooled to the same number of cells. Every layer is padded by half of its kernel, so that
these cells lie where pooling takes them to be. The front end sees each image by itself; images of a
batch are then filled up to one size with zeros.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torchvision.ops import roi_pool

from nat.network.model import POOLED, SHAPES, Trunk
from nat.runtime.errors import UserError
from nat.voc.detection.boxes import decode
from nat.voc.transfer.rescale import fold_batch_norm
from nat.voc.transfer.top import hidden_layers, initialise_hidden


@dataclass(frozen=True)
class Regions:
    """Images and the regions to look at, on the network's device.

    Attributes:
        images: float32 (1, channels, h, w) each, 0 to 255, of any sizes.
        boxes: float32 (r, 5): a row of ``images``; xmin, ymin, xmax, ymax in its pixels,
            counted from 0, both ends inclusive.
    """

    images: Sequence[torch.Tensor]
    boxes: torch.Tensor


def stride(name: str) -> int:
    """Pixels between neighbouring cells of conv5: 16 for AlexNet, 8 for the small trunk."""
    strides = [stride for _, _, stride, _ in SHAPES[name].convolutions]
    return math.prod(strides) * 2 ** len([layer for layer in POOLED if layer < 5])


def pooled_side(trunk: Trunk, input_size: int) -> int:
    """Cells a side that classification's squares have after pool5: 6 for AlexNet at 224 pixels."""
    return math.isqrt(trunk.features(input_size) // SHAPES[trunk.name].convolutions[-1][0])


def centre_cells(layers: nn.Sequential) -> None:
    """Pad each layer by half of its kernel: cell i of the map is then centred at pixel stride * i.

    So does Fast R-CNN with CaffeNet, whose conv1 it pads by 5 pixels and whose pool1 and pool2 by 1
    cell. With the padding that AlexNet is pretrained with, 2 and 0, cell i is centred at 16 i + 15,
    nearly a cell beside the regions that are pooled there, and no cell is centred in the first 15
    pixels. The small trunk is padded so from the start.

    Args:
        layers: convolutions and max poolings of odd kernels, changed in place.
    """
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            layer.padding = tuple(size // 2 for size in layer.kernel_size)
        elif isinstance(layer, nn.MaxPool2d):
            assert isinstance(layer.kernel_size, int)
            layer.padding = layer.kernel_size // 2


class Detector(nn.Module):
    """Scores and boxes of regions.

    Attributes:
        mean: float32 (classes, 4), of the training set's moves; outputs are standardised by it.
        std: float32 (classes, 4).
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, trunk: Trunk, side: int, hidden: int, classes: int, dropout: float) -> None:
        """``trunk`` is as pretrained; ``side`` is that of the pooled regions, in cells."""
        super().__init__()
        self.trunk = fold_batch_norm(trunk)
        del self.trunk.layers.pool5
        centre_cells(self.trunk.layers)
        self.side, self.scale = side, 1 / stride(trunk.name)
        features = SHAPES[trunk.name].convolutions[-1][0] * side**2
        self.hidden = hidden_layers(features, hidden, dropout, "detect.hidden")
        self.scores = nn.Linear(hidden, classes + 1)
        self.moves = nn.Linear(hidden, 4 * classes)
        self.register_buffer("mean", torch.zeros(classes, 4))
        self.register_buffer("std", torch.ones(classes, 4))

    def conv5(self, images: Sequence[torch.Tensor]) -> torch.Tensor:
        """Images, float32 (1, channels, h, w) each, to maps, float (b, c, h', w')."""
        inputs = [self.trunk.preprocess(image) for image in images]
        height, width = (max(x.shape[axis] for x in inputs) for axis in (2, 3))
        filled = torch.cat(
            [nn.functional.pad(x, (0, width - x.shape[3], 0, height - x.shape[2])) for x in inputs]
        )
        return self.trunk.layers(filled.contiguous(memory_format=torch.channels_last))

    def fc7(self, regions: Regions) -> torch.Tensor:
        """Regions to fc7's output, float (r, hidden)."""
        maps = self.conv5(regions.images).float()  # roi_pool takes no two types, as autocast has
        pooled = roi_pool(maps, self.cells(regions.boxes), self.side)
        return self.hidden(pooled.flatten(1))

    def cells(self, boxes: torch.Tensor) -> torch.Tensor:
        """The cells of conv5 that regions are pooled from, their ends rounded to whole cells.

        Args:
            boxes: float32 (r, 5), as those of Regions.

        Returns:
            float32 (r, 5): a row of the images; first and last cell, x and y, both inclusive.
        """
        ends = (boxes[:, 1:].double() * self.scale + 0.5).floor()  # in float32 0.5 less a bit is 1
        return torch.cat([boxes[:, :1], ends.float()], 1)

    def distinct(self, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Regions that differ in the cells they are pooled from, so that none is computed twice.

        Args:
            boxes: float32 (r, 5), as those of Regions.

        Returns:
            float32 (k, 5), k <= r, likewise; and int64 (r,), which of them stands for each region.
        """
        cells, where = torch.unique(self.cells(boxes), dim=0, return_inverse=True)
        return torch.cat([cells[:, :1], cells[:, 1:] / self.scale], 1), where

    def forward(self, regions: Regions) -> tuple[torch.Tensor, torch.Tensor]:
        """Regions to logits, float (r, 1 + classes), and standardised moves (r, classes, 4).

        The first logit is background's.
        """
        x = self.fc7(regions)
        return self.scores(x), self.moves(x).unflatten(1, (-1, 4))

    def moved(self, boxes: torch.Tensor, moves: torch.Tensor) -> torch.Tensor:
        """Where each class's object would be.

        Args:
            boxes: float32 (r, 4), pixels from 1, of the image as it is stored.
            moves: float (r, classes, 4), of ``forward``.

        Returns:
            float32 (r, classes, 4).
        """
        return decode(boxes[:, None], moves.float() * self.std + self.mean)


@torch.no_grad()
def initialise_outputs(network: Detector, draws: torch.Generator) -> None:
    """fc6 and fc7 to be rescaled; scores N(0, 0.01^2), moves N(0, 0.001^2), biases 0."""
    initialise_hidden(network.hidden, draws)
    for layer, deviation in ((network.scores, 0.01), (network.moves, 0.001)):
        layer.weight.normal_(0, deviation, generator=draws)
        layer.bias.zero_()


def check_size(trunk: Trunk, shortest: int, setting: str) -> None:
    """Refuse images that are too small for the trunk.

    Args:
        trunk: the network's.
        shortest: shortest side of any image after scaling, pixels.
        setting: the parameter that says so.

    Raises:
        UserError: names the setting.
    """
    try:
        trunk.features(shortest)
    except UserError as error:
        raise UserError(
            f"{setting}: makes a side of {shortest} px, too short for the trunk {trunk.name!r}; "
            "use a larger one"
        ) from error
