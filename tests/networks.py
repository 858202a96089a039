"""Small networks on disk, as if of a training, and images to show them."""

from pathlib import Path

import torch
from torch import nn

from nat.network.model import Network, Trunk, initialise, save_network
from nat.runtime.settings.params import ModelSettings


def trained(trunk: Trunk) -> None:
    """Batch norm statistics and scales as if of a training, so that folding has work to do."""
    draws = torch.Generator().manual_seed(1)
    for layer in trunk.layers:
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(generator=draws)
            layer.running_var.uniform_(0.5, 2, generator=draws)
            nn.init.normal_(layer.weight, generator=draws)  # negative scales too
            nn.init.normal_(layer.bias, generator=draws)


def network_file(
    folder: Path, preprocessing: str = "sobel", channels: int = 1, trunk: str = "small"
) -> Path:
    settings = ModelSettings(preprocessing=preprocessing, trunk=trunk, hidden=8, dropout=0.0)
    network = Network(settings, 28 if trunk.startswith("small") else 64, 5, channels)
    initialise(network, torch.Generator().manual_seed(0))
    trained(network.trunk)
    save_network(network, folder / "network.safetensors")
    return folder / "network.safetensors"


def images(n: int = 6, channels: int = 1, size: int = 28) -> torch.Tensor:
    draws = torch.Generator().manual_seed(2)
    shape = (n, channels, size, size)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=draws)
