"""The layers one by one: kinds, widths, kernels, strides, paddings, order, sizes and counts."""

from typing import Any

import pytest
import torch
from torch import nn

from nat.network.model import SHAPES, Network, Trunk, mlp
from nat.probe import Classifiers
from nat.runtime.settings.params import ModelSettings
from nat.voc.transfer.top import hidden_layers

# conv: channels in and out, kernel, stride, padding; norm: width; pool: kernel, stride, padding
ALEXNET = [
    ("conv1", "conv", 2, 96, 11, 4, 2),
    ("bn1", "norm", 96),
    ("pool1", "pool", 3, 2, 0),
    ("relu1", "relu"),
    ("conv2", "conv", 96, 256, 5, 1, 2),
    ("bn2", "norm", 256),
    ("pool2", "pool", 3, 2, 0),
    ("relu2", "relu"),
    ("conv3", "conv", 256, 384, 3, 1, 1),
    ("bn3", "norm", 384),
    ("relu3", "relu"),
    ("conv4", "conv", 384, 384, 3, 1, 1),
    ("bn4", "norm", 384),
    ("relu4", "relu"),
    ("conv5", "conv", 384, 256, 3, 1, 1),
    ("bn5", "norm", 256),
    ("pool5", "pool", 3, 2, 0),
    ("relu5", "relu"),
]
SMALL = [
    ("conv1", "conv", 2, 32, 5, 2, 2),
    ("bn1", "norm", 32),
    ("pool1", "pool", 3, 2, 1),
    ("relu1", "relu"),
    ("conv2", "conv", 32, 64, 3, 1, 1),
    ("bn2", "norm", 64),
    ("pool2", "pool", 3, 2, 1),
    ("relu2", "relu"),
    ("conv3", "conv", 64, 96, 3, 1, 1),
    ("bn3", "norm", 96),
    ("relu3", "relu"),
    ("conv4", "conv", 96, 96, 3, 1, 1),
    ("bn4", "norm", 96),
    ("relu4", "relu"),
    ("conv5", "conv", 96, 64, 3, 1, 1),
    ("bn5", "norm", 64),
    ("pool5", "pool", 3, 2, 1),
    ("relu5", "relu"),
]
MLP = [
    ("0", "flatten"),
    ("1", "linear", 9216, 4096),
    ("2", "norm", 4096),
    ("3", "relu"),
    ("4", "dropout", 0.5),
    ("5", "linear", 4096, 4096),
    ("6", "norm", 4096),
    ("7", "relu"),
]


def told(layer: nn.Module) -> tuple[Any, ...]:
    """A layer as the tables tell it; what they leave out is as usual."""
    if isinstance(layer, nn.Conv2d):
        assert layer.bias is not None
        assert (layer.groups, layer.dilation, layer.padding_mode) == (1, (1, 1), "zeros")
        sides = layer.kernel_size, layer.stride, layer.padding
        assert all(len(set(side)) == 1 for side in sides)
        return "conv", layer.in_channels, layer.out_channels, *(side[0] for side in sides)
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        assert (layer.eps, layer.momentum, layer.track_running_stats) == (1e-5, 0.1, True)
        return ("norm" if layer.affine else "fixed norm"), layer.num_features
    if isinstance(layer, nn.MaxPool2d):
        assert (layer.dilation, layer.ceil_mode) == (1, False)
        return "pool", layer.kernel_size, layer.stride, layer.padding
    if isinstance(layer, nn.Linear):
        assert layer.bias is not None
        return "linear", layer.in_features, layer.out_features
    if isinstance(layer, nn.Dropout):
        return "dropout", layer.p
    kinds = {nn.ReLU: "relu", nn.Flatten: "flatten"}
    return (kinds[type(layer)],)


def table(layers: nn.Sequential) -> list[tuple[Any, ...]]:
    return [(name, *told(layer)) for name, layer in layers.named_children()]


@pytest.fixture
def alexnet() -> Network:
    """The paper's network, d = 2048, without memory for its weights."""
    settings = ModelSettings(preprocessing="sobel", trunk="alexnet", hidden=4096, dropout=0.5)
    with torch.device("meta"):
        return Network(settings, 224, 2048)


def test_trunks(alexnet: Network) -> None:
    assert table(alexnet.trunk.layers) == ALEXNET
    assert table(Trunk("small").layers) == SMALL
    colours = table(Trunk("alexnet", "clean", 3).layers)
    assert colours == [("conv1", "conv", 3, 96, 11, 4, 2), *ALEXNET[1:]]


def test_mlps(alexnet: Network) -> None:
    assert table(alexnet.head) == [*MLP, ("8", "linear", 4096, 2048)]
    with torch.device("meta"):
        probe = Classifiers(9216, 4096, 1000, 0.5)
        small, top = mlp(256, 16, 3, 0.1), hidden_layers(9216, 4096, 0.5, "finetune.hidden")
    assert table(probe.mlp) == [*MLP, ("8", "linear", 4096, 1000)]
    assert table(probe.linear) == [
        ("0", "flatten"),
        ("1", "fixed norm", 9216),
        ("2", "linear", 9216, 1000),
    ]
    assert [row[1:] for row in table(small)] == [
        ("flatten",),
        ("linear", 256, 16),
        ("norm", 16),
        ("relu",),
        ("dropout", 0.1),
        ("linear", 16, 16),
        ("norm", 16),
        ("relu",),
        ("linear", 16, 3),
    ]
    assert table(top) == [
        ("fc6", "linear", 9216, 4096),
        ("relu6", "relu"),
        ("dropout6", "dropout", 0.5),
        ("fc7", "linear", 4096, 4096),
        ("relu7", "relu"),
        ("dropout7", "dropout", 0.5),
    ]


def test_parameters(alexnet: Network) -> None:
    """Weights and biases of convolutions and linear layers, gamma and beta of batch norm.

    Neither its running statistics nor Sobel's kernels, which no gradient trains.
    """
    convolutions = sum(
        width * (channels * kernel**2 + 1)
        for channels, width, kernel in (
            (2, 96, 11), (96, 256, 5), (256, 384, 3), (384, 384, 3), (384, 256, 3)
        )
    )  # fmt: skip
    norms = 2 * (96 + 256 + 384 + 384 + 256 + 4096 + 4096)
    linears = 4096 * (9216 + 1) + 4096 * (4096 + 1) + 2048 * (4096 + 1)
    assert sum(weight.numel() for weight in alexnet.parameters()) == 66_679_520
    assert convolutions + norms + linears == 66_679_520
    assert all(weight.requires_grad for weight in alexnet.parameters())


@pytest.mark.parametrize(
    ("name", "side", "expected"),
    [
        ("alexnet", 224, {1: (55, 27), 2: (27, 13), 3: (13,), 4: (13,), 5: (13, 6)}),
        ("alexnet-dense", 224, {1: (109, 54), 2: (54, 26), 3: (26,), 4: (26,), 5: (26, 12)}),
        ("small", 28, {1: (14, 7), 2: (7, 4), 3: (4,), 4: (4,), 5: (4, 2)}),
        ("small-dense", 28, {1: (28, 14), 2: (14, 7), 3: (7,), 4: (7,), 5: (7, 4)}),
    ],
)
def test_sizes(name: str, side: int, expected: dict[int, tuple[int, ...]]) -> None:
    """Of each convolution's output, and of its pooling's."""
    trunk, found = Trunk(name), dict.fromkeys(expected, ())
    for layer, module in trunk.layers.named_children():
        if layer.startswith(("conv", "pool")):

            def note(
                _: nn.Module, __: object, x: torch.Tensor, index: int = int(layer[-1])
            ) -> None:
                assert x.shape[2] == x.shape[3]
                found[index] += (x.shape[2],)

            module.register_forward_hook(note)
    trunk(torch.zeros(1, 1, side, side, dtype=torch.uint8))
    assert found == expected
    assert SHAPES[name].sides(side) == [size for sizes in found.values() for size in sizes]
