"""The network: a front end, AlexNet's convolutions with batch norm, and its MLP head.

The paper's AlexNet (section 3.3), at 224 px, and a small trunk of the same shape for 28 to 32 px;
of both a dense form, whose conv1 has half the stride. Layer order is convolution, batch norm, max
pool, ReLU; no groups, no local response normalisation.
"""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from nat.network.front_ends import FRONT_ENDS, standardise
from nat.runtime.device import check_weights
from nat.runtime.errors import UserError
from nat.runtime.io.files import atomic_write
from nat.runtime.io.foreign import reading
from nat.runtime.io.outputs import tensors
from nat.runtime.io.tensors import described, layout_of, read_tensors
from nat.runtime.settings.params import ModelSettings, Preprocessing

NETWORK = tensors("a network of this project", "network")


@dataclass(frozen=True)
class Shape:
    """The numbers of a trunk: (width, kernel, stride, padding) of conv1 to conv5."""

    convolutions: tuple[tuple[int, int, int, int], ...]
    pool_padding: int

    def sides(self, size: int) -> list[int]:
        """Sides of what each convolution and pooling give of ``size`` pixels; 0 of too few."""
        found = []
        for index, (_, kernel, stride, padding) in enumerate(self.convolutions, start=1):
            size = max((size + 2 * padding - kernel) // stride + 1, 0)
            found.append(size)
            if index in POOLED:
                size = max((size + 2 * self.pool_padding - 3) // 2 + 1, 0)
                found.append(size)
        return found

    def dense(self) -> "Shape":
        """With half the stride of conv1, as Noroozi & Favaro (2016) have it: a finer map."""
        (width, kernel, stride, padding), *others = self.convolutions
        return replace(self, convolutions=((width, kernel, stride // 2, padding), *others))


SHAPES = {
    # 224 px -> 55 -> 27 -> 13 -> 6, 9216 features
    "alexnet": Shape(
        ((96, 11, 4, 2), (256, 5, 1, 2), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1)), 0
    ),
    # 28 px -> 14 -> 7 -> 4 -> 2, 256 features; 4.3 million multiplications an image
    "small": Shape(((32, 5, 2, 2), (64, 3, 1, 1), (96, 3, 1, 1), (96, 3, 1, 1), (64, 3, 1, 1)), 1),
}
# 224 px -> 12, 36864 features; 28 px -> 4, 1024 features
SHAPES |= {f"{name}-dense": shape.dense() for name, shape in SHAPES.items()}
POOLED = (1, 2, 5)
Side = Annotated[int, Field(ge=8, le=4096)]  # of a network's crops, pixels


class Convolution(nn.Conv2d):
    """A convolution, computed over blocks of pixels on a GPU where its stride is more than 1.

    A GPU's kernels leave most of it idle when a few channels meet a large stride, as in conv1.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float (b, c, h, w) -> (b, w', h', w')."""
        if x.device.type == "cuda" and self.stride[0] > 1:
            return self.over_blocks(x)
        return super().forward(x)

    def over_blocks(self, x: torch.Tensor) -> torch.Tensor:
        """The same sums: a block of stride x stride pixels is one pixel of more channels."""
        kernel, stride, padding = self.kernel_size[0], self.stride[0], int(self.padding[0])
        blocks = -(-kernel // stride)
        weight = F.pad(self.weight, (0, blocks * stride - kernel) * 2)
        around: list[int] = []
        for side in reversed(x.shape[2:]):  # as F.pad has them, the last dimension first
            size = (side + 2 * padding - kernel) // stride + blocks
            around += [padding, stride * size - side - padding]
        x = F.pad(x, around)
        blocked = F.pixel_unshuffle(x, stride).contiguous(memory_format=torch.channels_last)
        return F.conv2d(blocked, F.pixel_unshuffle(weight, stride), self.bias)


class Trunk(nn.Module):
    """Standardisation, the front end and the five convolutional layers.

    Attributes:
        name: of its shape.
        channels: of the images.
        described: what makes another of the same shape, ``Trunk(**described)``.
    """

    def __init__(
        self, name: str, preprocessing: Preprocessing = "sobel", channels: int = 1
    ) -> None:
        """``channels`` are the images'."""
        super().__init__()
        self.name, self.channels = name, channels
        self.described = {"name": name, "preprocessing": preprocessing, "channels": channels}
        self.front_end = FRONT_ENDS[preprocessing](channels)
        shape = SHAPES[name]
        self.layers = nn.Sequential()
        channels = self.front_end.outputs
        for index, (width, kernel, stride, padding) in enumerate(shape.convolutions, start=1):
            self.layers.add_module(
                f"conv{index}", Convolution(channels, width, kernel, stride, padding)
            )
            self.layers.add_module(f"bn{index}", nn.BatchNorm2d(width))
            if index in POOLED:
                self.layers.add_module(f"pool{index}", nn.MaxPool2d(3, 2, shape.pool_padding))
            self.layers.add_module(f"relu{index}", nn.ReLU(inplace=True))
            channels = width

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images to conv5 features after pooling.

        Args:
            images: uint8 (b, c, h, w); or float, of any scale, such as generated ones, through
                which gradients pass.

        Returns:
            float (b, w5, h', w').
        """
        return self.layers(self.preprocess(images).contiguous(memory_format=torch.channels_last))

    def preprocess(self, images: torch.Tensor) -> torch.Tensor:
        """What conv1 sees of images, (b, c, h, w): float32 (b, front_end.outputs, h, w)."""
        with torch.autocast(images.device.type, enabled=False):  # little work, and exact
            return self.front_end(standardise(images))

    def features(self, input_size: int) -> int:
        """How many numbers conv5 gives for a square image of ``input_size`` pixels."""
        channels, side = self.map_of(input_size)
        return channels * side * side

    def map_of(self, input_size: int) -> tuple[int, int]:
        """Channels and side of what conv5 gives for a square image of ``input_size`` pixels."""
        shape = SHAPES[self.name]
        side = shape.sides(input_size)[-1]
        if side < 1:
            raise UserError(
                f"augment.crop: {input_size} px is too small for the trunk {self.name!r}"
            )
        return shape.convolutions[-1][0], side


def mlp(
    inputs: int, hidden: int, outputs: int, dropout: float, setting: str = "model.hidden"
) -> nn.Sequential:
    """AlexNet's fully connected layers with batch norm; no batch norm on the output.

    inputs - hidden - BN - ReLU - dropout - hidden - BN - ReLU - outputs. It is the head of
    pretraining (outputs = d) and the classifier of the probe (outputs = classes).

    Args:
        inputs: numbers of an image's features, flattened.
        hidden: units of both hidden layers.
        outputs: d, or the classes.
        dropout: its probability.
        setting: what ``hidden`` is called in params.yaml.

    Raises:
        UserError: no memory holds so many weights.
    """
    check_weights((inputs + hidden + outputs) * hidden, setting)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(inputs, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.BatchNorm1d(hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, outputs),
    )


class Network(nn.Module):
    """Trunk and head; ``f_theta`` before normalisation."""

    def __init__(
        self, settings: ModelSettings, input_size: int, outputs: int, channels: int = 1
    ) -> None:
        """``input_size`` is the side of the square crops; ``outputs`` is d, or the classes."""
        super().__init__()
        self.settings, self.input_size, self.outputs = settings, input_size, outputs
        self.trunk = Trunk(settings.trunk, settings.preprocessing, channels)
        inputs = self.trunk.features(input_size)
        self.head = mlp(inputs, settings.hidden, outputs, settings.dropout)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images, uint8 (b, c, h, w), to outputs, float (b, outputs)."""
        return self.head(self.trunk(images))


def fan_in(layer: nn.Conv2d | nn.ConvTranspose2d | nn.Linear) -> int:
    """How many numbers one of a layer's outputs is made of."""
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.weight[:, 0].numel() // math.prod(layer.stride)
    return layer.weight[0].numel()


@torch.no_grad()
def initialise(module: nn.Module, generator: torch.Generator) -> None:
    """Weights and biases U(+-1/sqrt(fan_in)); batch norm's gamma U(0, 1), beta 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            bound = fan_in(layer) ** -0.5
            layer.weight.uniform_(-bound, bound, generator=generator)
            if layer.bias is not None:
                layer.bias.uniform_(-bound, bound, generator=generator)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.affine:
            layer.weight.uniform_(0, 1, generator=generator)
            layer.bias.zero_()


def save_network(network: Network, path: Path) -> None:
    """Write weights as safetensors, with what the shape follows from as metadata, whole."""
    weights = {name: value.contiguous() for name, value in network.state_dict().items()}
    shape = {
        "model": network.settings.model_dump(),
        "input_size": network.input_size,
        "outputs": network.outputs,
        "channels": network.trunk.channels,
    }
    with atomic_write(path, NETWORK) as temporary:
        # one entry: the order of several is not fixed, and the same network gives the same bytes
        # not save_file, whose files nobody else can read, and whose errors are its own
        temporary.write_bytes(save(weights, {"network": json.dumps(shape)}))


class Described(BaseModel):
    """What a file says of its network, beside the weights."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: ModelSettings
    input_size: Side
    outputs: Annotated[int, Field(ge=1)]
    channels: Literal[1, 3]

    def network(self) -> Network:
        """A network of this shape, with weights of its own.

        Raises:
            ValueError: the input is too small for the trunk.
        """
        try:
            return Network(self.model, self.input_size, self.outputs, self.channels)
        except UserError as error:  # of the setting that it would be elsewhere
            raise ValueError(f"input_size: {self.input_size} is too small") from error


def read_network(path: Path) -> tuple[Described, dict[str, torch.Tensor]]:
    """Read and check what ``save_network`` wrote, without making a network of it.

    Raises:
        UserError: missing, damaged, not of this project, or with a weight that is not finite.
    """
    remedy = "make it with `python -m nat pretrain`"
    with reading(path, "network of this project", remedy), safe_open(path, "pt") as file:
        shape = Described.model_validate_json(described(file, "network"))
        with torch.device("meta"):  # which takes no memory, whatever the file says of its shape
            expected = layout_of(shape.network().state_dict())
        return shape, read_tensors(file, expected)


def load_network(path: Path, channels: int | None = None) -> Network:
    """The network that ``save_network`` wrote.

    Args:
        path: of its file.
        channels: those of the images that it is to look at, if they must be as in its training.

    Raises:
        UserError: as ``read_network``, or a network for other channels.
    """
    shape, weights = read_network(path)
    if channels not in (None, shape.channels):
        kinds = {1: "grey (images.channels: 1)", 3: "colour (images.channels: 3)"}
        raise UserError(
            f"{path}: was trained on images in {kinds[shape.channels]}, and these are in "
            f"{kinds[channels or 1]}; use a network of such images, or prepare them in its channels"
        )
    network = shape.network()
    network.load_state_dict(weights)
    return network
