"""Exported trunks compute what the network does, with this package and without it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from networks import images, network_file
from safetensors.torch import load_file, safe_open, save_file
from tiny import PROJECT
from torch import nn

from nat.api.export import export_trunk, load_exported, plain_modules
from nat.network.front_ends import standardise
from nat.network.model import load_network
from nat.runtime.errors import UserError


def metadata(path: Path) -> dict:
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["trunk"])


@pytest.mark.parametrize("keep_batch_norm", [False, True])
@pytest.mark.parametrize("preprocessing", ["sobel", "high-pass", "clean"])
@pytest.mark.parametrize("channels", [1, 3])
def test_plain_modules_are_the_same_function(
    preprocessing: str, channels: int, keep_batch_norm: bool, tmp_path: Path
) -> None:
    trunk = load_network(network_file(tmp_path, preprocessing, channels)).trunk.eval()
    modules = plain_modules(trunk, keep_batch_norm)
    assert {type(module).__module__.split(".")[0] for module in modules.modules()} == {"torch"}
    x = images(channels=channels)
    x[0] = 200  # blank
    with torch.no_grad():
        torch.testing.assert_close(modules(x.float()), trunk(x), rtol=1e-3, atol=1e-4)
    assert any(isinstance(layer, nn.BatchNorm2d) for layer in trunk.layers)  # left as it was


@pytest.mark.parametrize("channels", [1, 3])
def test_the_steps_before_the_layers_match_one_by_one(channels: int, tmp_path: Path) -> None:
    """Alone, where no ReLU hides a difference."""
    trunk = load_network(network_file(tmp_path, channels=channels)).trunk
    modules = plain_modules(trunk)
    x = images(channels=channels).float()
    torch.testing.assert_close(modules[0](x), standardise(x), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(modules[1](x), trunk.front_end(x), rtol=1e-4, atol=1e-3)


def test_alexnet_has_torchvisions_names(tmp_path: Path) -> None:
    torchvision = pytest.importorskip("torchvision")
    out = tmp_path / "trunk.safetensors"
    export_trunk(network_file(tmp_path, trunk="alexnet"), out, "torchvision")
    theirs = torchvision.models.alexnet(weights=None).features
    names = {name for name in load_file(out) if name.startswith("features")}
    assert names == {f"features.{name}" for name in theirs.state_dict()}
    kinds = [kind for kind, _ in metadata(out)["features"]]
    assert kinds == [type(layer).__name__ for layer in theirs]


@pytest.mark.parametrize(("trunk", "keep_batch_norm"), [("small", True), ("alexnet", False)])
def test_the_documented_lines_need_only_pytorch(
    trunk: str, keep_batch_norm: bool, tmp_path: Path
) -> None:
    """The lines of docs/trunk.md as they stand, in a process that never imports this package."""
    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / "docs/trunk.md").read_text(), re.S)
    (snippet,) = [block for block in blocks if "safe_open" in block]
    network = network_file(tmp_path, trunk=trunk)
    export_trunk(network, tmp_path / "trunk.safetensors", "torchvision", keep_batch_norm)
    (tmp_path / "load.py").write_text(
        snippet + "import sys\nfrom safetensors.torch import save_file\n"
        "assert not {'nat', 'torchvision'} & set(sys.modules)\n"
        "save_file({'images': images, 'features': features}, 'seen.safetensors')\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "load.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    seen = load_file(tmp_path / "seen.safetensors")
    with torch.no_grad():
        ours = load_network(network).trunk.eval()(seen["images"].byte()).flatten(1)
    torch.testing.assert_close(seen["features"], ours, rtol=1e-3, atol=1e-4)
    assert ours.std() > 0.1


def test_this_projects_format_is_the_trunk_itself(tmp_path: Path) -> None:
    network = network_file(tmp_path, "high-pass", 3)
    export_trunk(network, tmp_path / "trunk.safetensors")
    trunk, crop = load_exported(tmp_path / "trunk.safetensors")
    assert crop == 28
    x = images(channels=3)
    assert torch.equal(trunk.eval()(x), load_network(network).trunk.eval()(x))
    assert not [name for name in load_file(tmp_path / "trunk.safetensors") if "head" in name]


@pytest.mark.parametrize("form", ["nat", "torchvision"])
def test_the_same_network_gives_the_same_bytes(form: str, tmp_path: Path) -> None:
    network = network_file(tmp_path)
    for name in ("a", "b"):
        export_trunk(network, tmp_path / name, form)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert metadata(tmp_path / "a")["format"] == form


def test_faults_are_named(tmp_path: Path) -> None:
    out = tmp_path / "trunk.safetensors"
    with pytest.raises(UserError, match=r"none\.safetensors: not found"):
        export_trunk(tmp_path / "none.safetensors", out)
    with pytest.raises(UserError, match=r"nat export"):
        load_exported(out)
    export_trunk(network_file(tmp_path), out, "torchvision")
    with pytest.raises(UserError, match=r"trunk\.safetensors: has the format torchvision"):
        load_exported(out)
    out.write_bytes(out.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"no trunk of this project"):
        load_exported(out)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"crop": 10**9}, "crop: should be less than or equal to 4096"),
        ({"crop": "28"}, "crop: should be a valid integer"),
        ({"trunk": "alexnet"}, "crop: 28 is too small"),
        ({"trunk": "resnet"}, "trunk: should be 'alexnet', 'alexnet-dense', 'small'"),
        ({"channels": 3, "preprocessing": "clean"}, "layers.conv1.weight: float32 (32, 2, 5, 5) i"),
        ({"format": "onnx"}, "format: should be 'nat' or 'torchvision'"),
    ],
)
def test_a_description_that_lies_is_refused(change: dict, said: str, tmp_path: Path) -> None:
    out = tmp_path / "trunk.safetensors"
    export_trunk(network_file(tmp_path), out)
    about, weights = metadata(out), load_file(out)
    save_file(weights, out, {"trunk": json.dumps(about | change)})
    with pytest.raises(UserError, match=r"no trunk of this project") as caught:
        load_exported(out)
    assert said in str(caught.value)
    weights["layers.conv1.bias"][0] = float("nan")
    save_file(weights, out, {"trunk": json.dumps(about)})
    with pytest.raises(UserError, match=r"the tensor layers\.conv1\.bias holds a number that is N"):
        load_exported(out)
