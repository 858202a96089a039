import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, safe_open, save_file
from torch import nn

from nat.network.model import (
    Convolution,
    Network,
    Trunk,
    fan_in,
    initialise,
    load_network,
    mlp,
    save_network,
)
from nat.runtime import device
from nat.runtime.errors import UserError
from nat.runtime.settings.params import ModelSettings

SMALL = ModelSettings(preprocessing="sobel", trunk="small", hidden=16, dropout=0.0)


@pytest.mark.parametrize(("name", "size", "features"), [("alexnet", 224, 9216), ("small", 28, 256)])
def test_feature_count_is_what_the_trunk_gives(name: str, size: int, features: int) -> None:
    trunk = Trunk(name)
    assert trunk.features(size) == features
    assert trunk(torch.zeros(1, 1, size, size, dtype=torch.uint8)).numel() == features


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_blocks_of_pixels_give_the_sums_of_a_stride(data: st.DataObject) -> None:
    channels, width, stride = (data.draw(st.integers(1, 4)) for _ in range(3))
    kernel, padding = data.draw(st.integers(1, 11)), data.draw(st.integers(0, 3))
    high, wide = (data.draw(st.integers(max(1, kernel - 2 * padding), 40)) for _ in range(2))
    layer = Convolution(channels, width, kernel, stride, padding).double()
    image = torch.randn(2, channels, high, wide, dtype=torch.float64)
    assert torch.allclose(layer.over_blocks(image), layer(image), rtol=0, atol=1e-12)


def test_a_image_too_small_for_the_trunk_is_refused() -> None:
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


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(7, 3),
        nn.Conv2d(6, 4, 3, padding=1, groups=2),
        nn.ConvTranspose2d(6, 4, 4, 2, padding=1),
        nn.ConvTranspose2d(6, 4, 6, 3),
    ],
)
def test_fan_in_is_how_many_numbers_an_output_is_made_of(layer: Any) -> None:
    nn.init.ones_(layer.weight)
    nn.init.zeros_(layer.bias)
    ones = torch.ones(1, 7) if isinstance(layer, nn.Linear) else torch.ones(1, 6, 9, 9)
    assert (layer(ones) == fan_in(layer)).sum() > 2
    assert layer(ones).max() == fan_in(layer)


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
    images = torch.randint(0, 256, (4, channels, 28, 28), dtype=torch.uint8)
    assert torch.equal(network.eval()(images), again.eval()(images))


def test_a_file_is_safetensors_own_but_for_its_permissions(tmp_path: Path) -> None:
    network, path = Network(SMALL, 28, 8), tmp_path / "n.safetensors"
    before = os.umask(0o002)
    try:
        save_network(network, path)
    finally:
        os.umask(before)
    with safe_open(path, "pt") as file:
        save_file(load_file(path), tmp_path / "theirs", file.metadata())
    assert path.read_bytes() == (tmp_path / "theirs").read_bytes()
    assert path.stat().st_mode & 0o777 == 0o664


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_damaged_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "n.safetensors").write_bytes(content)
    with pytest.raises(UserError, match="no network of this project"):
        load_network(tmp_path / "n.safetensors")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.safetensors: not found"):
        load_network(tmp_path / "none.safetensors")


def written(path: Path, about: Any, weights: dict[str, torch.Tensor]) -> Path:
    text = about if isinstance(about, str) else json.dumps(about)
    save_file(weights, path / "n.safetensors", {"network": text})
    return path / "n.safetensors"


def parts() -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Description and weights of a small network."""
    about = {"model": SMALL.model_dump(), "input_size": 28, "outputs": 8, "channels": 1}
    return about, Network(SMALL, 28, 8).state_dict()


def refusal(path: Path) -> str:
    with pytest.raises(UserError, match=r"n\.safetensors: no network of this project") as caught:
        load_network(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["trunk.layers.conv3.weight", "head.8.bias"])
def test_a_weight_that_is_not_finite_is_refused(name: str, value: float, tmp_path: Path) -> None:
    about, weights = parts()
    weights[name].view(-1)[-1] = value
    said = refusal(written(tmp_path, about, weights))
    assert f"the tensor {name} holds a number that is NaN or infinite" in said


def test_a_negative_variance_is_refused(tmp_path: Path) -> None:
    about, weights = parts()
    weights["trunk.layers.bn2.running_var"][3] = -0.1
    said = refusal(written(tmp_path, about, weights))
    assert "the tensor trunk.layers.bn2.running_var holds a negative variance" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden": 2**16}, "head.1.weight: float32 (16, 256) instead of float32 (65536, 256)"),
        ({"hidden": 2**16 + 1}, "model.hidden: should be less than or equal to 65536"),
        ({"hidden": 2**62}, "n.safetensors"),
        ({"hidden": "16"}, "model.hidden: should be a valid integer"),
        ({"hidden": -16}, "model.hidden: should be greater than 0"),
        ({"trunk": "resnet"}, "model.trunk: should be 'alexnet', 'alexnet-dense', 'small'"),
        ({"trunk": "alexnet"}, "input_size: 28 is too small"),
        ({"input_size": 10**9}, "input_size: should be less than or equal to 4096"),
        ({"input_size": 4096}, "head.1.weight: float32 (16, 256) instead of"),
        ({"input_size": 28.5}, "input_size: should be a valid integer"),
        ({"outputs": 10**12}, f"head.8.weight: float32 (8, 16) instead of float32 ({10**12}, 16)"),
        ({"outputs": None}, "outputs: should be a valid integer"),
        ({"channels": 2}, "channels: should be 1 or 3"),
        ({"version": 2}, "version: Extra inputs are not permitted"),
        ({"preprocessing": "clean"}, "trunk.layers.conv1.weight: float32 (32, 2, 5, 5) instead of"),
    ],
)
def test_a_description_that_lies_is_refused(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    """Before memory for what it says is asked for."""
    about, weights = parts()
    for name, value in change.items():
        group = about["model"] if name in about["model"] else about
        group[name] = value
    assert said in refusal(written(tmp_path, about, weights))


@pytest.mark.parametrize(
    ("about", "said"),
    [("[" * 100_000, "JSON"), ("7", "should be"), ("{}", "model: Field required"), ("{", "JSON")],
)
def test_another_description_is_refused(about: str, said: str, tmp_path: Path) -> None:
    assert said in refusal(written(tmp_path, about, parts()[1]))


def test_other_tensors_are_refused(tmp_path: Path) -> None:
    about, weights = parts()
    half = weights | {"head.8.bias": weights["head.8.bias"].half()}
    for changed, said in (
        ({n: t for n, t in weights.items() if n != "head.8.bias"}, "it lacks the tensor head.8.bi"),
        (weights | {"more": torch.zeros(1)}, "it also has the tensor more"),
        (half, "head.8.bias: float16 (8) instead of float32 (8)"),
        ({"fc.weight": torch.zeros(1)}, "it lacks the tensor head.1.bias"),
    ):
        assert said in refusal(written(tmp_path, about, changed))
    save_file(weights, tmp_path / "n.safetensors")
    assert "its metadata has no entry 'network'" in refusal(tmp_path / "n.safetensors")


def test_reading_draws_as_making_does(tmp_path: Path) -> None:
    """The checks before draw nothing, so that what is drawn afterwards stays as it was."""
    path = written(tmp_path, *parts())
    torch.manual_seed(0)
    Network(SMALL, 28, 8)
    expected = torch.rand(1)
    torch.manual_seed(0)
    load_network(path)
    assert torch.equal(torch.rand(1), expected)


def test_layers_larger_than_all_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 2**28 < device.memory() < 2**50
    monkeypatch.setattr(device, "memory", lambda: 2 * 4 * (10 + 100 + 3) * 100)
    mlp(10, 100, 3, 0.0)
    with pytest.raises(UserError, match=r"model\.hidden: makes layers of 11,400 weights"):
        mlp(11, 100, 3, 0.0)
