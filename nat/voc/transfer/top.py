"""A trunk and fc6 and fc7 on top, as classification and detection begin with them (Table 4)."""

from pathlib import Path

import torch
from torch import nn

from nat.network.model import Trunk, load_network
from nat.runtime.device import check_weights
from nat.voc.transfer.rescale import Layer


def load_trunk(network_file: Path) -> Trunk:
    """The trunk of a network, whose ``channels`` are those that VOC's images are read in.

    Raises:
        UserError: the network is damaged.
    """
    return load_network(network_file).trunk


def hidden_layers(features: int, hidden: int, dropout: float, setting: str) -> nn.Sequential:
    """fc6 and fc7 with ReLU and dropout: float (b, features) to float (b, hidden).

    Raises:
        UserError: no memory holds so many weights; names ``setting``, which ``hidden`` is of.
    """
    check_weights((features + hidden) * hidden, setting)
    layers = nn.Sequential()
    for name, inputs in (("6", features), ("7", hidden)):
        layers.add_module(f"fc{name}", nn.Linear(inputs, hidden))
        layers.add_module(f"relu{name}", nn.ReLU(inplace=True))
        layers.add_module(f"dropout{name}", nn.Dropout(dropout))
    return layers


@torch.no_grad()
def initialise_hidden(layers: nn.Sequential, draws: torch.Generator) -> None:
    """N(0, 1/inputs), bias 0, to be rescaled."""
    for layer in layers:
        if isinstance(layer, nn.Linear):
            layer.weight.normal_(0, layer.in_features**-0.5, generator=draws)
            layer.bias.zero_()


def layers_to_fc7(trunk: Trunk, hidden: nn.Sequential) -> list[Layer]:
    """conv1 to fc7, from bottom to top: what is rescaled between the layers."""
    both = (*trunk.layers, *hidden)
    return [layer for layer in both if isinstance(layer, nn.Conv2d | nn.Linear)]
