from pathlib import Path

import pytest
import torch
from torch import nn

from nat.errors import UserError
from nat.model import Network, Trunk, initialise, load_network, save_network
from nat.params import ModelSettings

SMALL = ModelSettings(preprocessing="sobel", trunk="small", hidden=16, dropout=0.0)


@pytest.mark.parametrize(("name", "size", "features"), [("alexnet", 224, 9216), ("small", 28, 256)])
def test_feature_count_is_what_the_trunk_gives(name: str, size: int, features: int) -> None:
    trunk = Trunk(name)
    assert trunk.features(size) == features
    assert trunk(torch.zeros(1, 1, size, size, dtype=torch.uint8)).numel() == features


def test_alexnet_has_the_papers_layers() -> None:
    layers = dict(Trunk("alexnet").layers.named_children())
    order = "conv1 bn1 pool1 relu1 conv2 bn2 pool2 relu2 conv3 bn3 relu3 conv4 bn4 relu4 conv5 bn5"
    assert list(layers) == [*order.split(), "pool5", "relu5"]
    widths = [layer.out_channels for layer in layers.values() if isinstance(layer, nn.Conv2d)]
    assert widths == [96, 256, 384, 384, 256]
    assert layers["conv1"].kernel_size == (11, 11)
    assert all(layer.groups == 1 for layer in layers.values() if isinstance(layer, nn.Conv2d))


def test_a_picture_too_small_for_the_trunk_is_refused() -> None:
    with pytest.raises(UserError, match=r"augment\.crop: 16 px is too small"):
        Trunk("alexnet").features(16)


def test_initialisation_has_its_bounds_and_its_seed() -> None:
    network = Network(SMALL, 28, 8)
    initialise(network, torch.Generator().manual_seed(0))
    conv = network.trunk.layers.get_submodule("conv2")
    bound = (32 * 9) ** -0.5
    assert 0.95 * bound < conv.weight.abs().max() <= bound
    assert conv.weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.05)
    norm = network.trunk.layers.get_submodule("bn3")
    assert 0 <= norm.weight.min() < 0.2 < 0.8 < norm.weight.max() <= 1
    assert (norm.bias == 0).all()
    again = Network(SMALL, 28, 3)  # another head, the same trunk: rows start alike
    initialise(again, torch.Generator().manual_seed(0))
    for a, b in zip(network.trunk.parameters(), again.trunk.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("preprocessing", ["sobel", "high-pass", "clean"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_saved_network_is_the_same_function(
    preprocessing: str, channels: int, tmp_path: Path
) -> None:
    settings = SMALL.model_copy(update={"preprocessing": preprocessing})
    network = Network(settings, 28, 8, channels)
    initialise(network, torch.Generator().manual_seed(0))
    save_network(network, tmp_path / "n.safetensors")
    again = load_network(tmp_path / "n.safetensors")
    pictures = torch.randint(0, 256, (4, channels, 28, 28), dtype=torch.uint8)
    assert torch.equal(network.eval()(pictures), again.eval()(pictures))


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "n.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="no network of this project"):
        load_network(tmp_path / "n.safetensors")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.safetensors: not found"):
        load_network(tmp_path / "none.safetensors")
