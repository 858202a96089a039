import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import CLASSES, write_image_folder
from PIL import Image
from safetensors.torch import load_file
from tiny import PROJECT

import nat
from nat.api.export import export_trunk
from nat.data.squares import read_square
from nat.network.model import Network, initialise, load_network, save_network
from nat.runtime.errors import UserError
from nat.runtime.settings.params import ModelSettings


@pytest.fixture(params=[1, 3], ids=["luma", "rgb"])
def network(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    settings = ModelSettings(preprocessing="sobel", trunk="small", hidden=16, dropout=0.5)
    module = Network(settings, 28, 6, request.param)
    initialise(module, torch.Generator().manual_seed(0))
    save_network(module, tmp_path / "network.safetensors")
    return tmp_path / "network.safetensors"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    write_image_folder(tmp_path / "images", a_class=3, size=40)
    Image.new("CMYK", (50, 90), (10, 90, 30, 0)).save(tmp_path / "images" / "tall.jpg")
    return sorted((tmp_path / "images").rglob("*.*g"))


@pytest.mark.parametrize("size", [None, 36])
def test_conv5_is_the_trunks_on_the_same_squares(
    network: Path, files: list[Path], size: int | None
) -> None:
    assert len(files) == 3 * len(CLASSES) + 1
    trunk = load_network(network).trunk.eval()
    side, margin = (28, 0) if size is None else (36, 4)
    squares = np.stack(
        [read_square(file.read_bytes(), side, trunk.channels, True) for file in files]
    )
    centre = torch.from_numpy(squares[..., margin : margin + 28, margin : margin + 28])
    with torch.no_grad():
        expected = trunk(centre).flatten(1).numpy()
    found = nat.load_trunk(network, size).embed(files)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert found.std(0).max() > 0


def test_output_is_the_network_on_the_unit_sphere(network: Path, files: list[Path]) -> None:
    whole = load_network(network).eval()
    squares = [read_square(file.read_bytes(), 28, whole.trunk.channels, True) for file in files]
    with torch.no_grad():
        expected = whole(torch.from_numpy(np.stack(squares))).numpy()
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = nat.load_trunk(network).embed(files, "output")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_paths_texts_and_images_are_the_same_images(network: Path, files: list[Path]) -> None:
    trunk = nat.load_trunk(str(network))
    by_path = trunk.embed(files)
    assert np.array_equal(by_path, trunk.embed([str(file) for file in files]))
    assert np.array_equal(by_path, trunk.embed([Image.open(file) for file in files]))


def test_batches_do_not_matter(
    network: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    trunk = nat.load_trunk(network)
    at_once = trunk.embed(files)
    monkeypatch.setattr("nat.api.load.BATCH", 3)
    np.testing.assert_allclose(trunk.embed(files), at_once, rtol=1e-4, atol=1e-5)
    assert trunk.embed([]).shape == (0, 256)
    assert trunk.embed([], "output").shape == (0, 6)


def test_an_exported_trunk_gives_the_same_and_has_no_output(
    network: Path, files: list[Path], tmp_path: Path
) -> None:
    export_trunk(network, tmp_path / "trunk.safetensors")
    exported = nat.load_trunk(tmp_path / "trunk.safetensors")
    assert np.array_equal(exported.embed(files), nat.load_trunk(network).embed(files))
    with pytest.raises(UserError, match="an exported trunk has no output"):
        exported.embed(files, "output")


def test_faults_are_named(network: Path, files: list[Path], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="size: 20 is smaller than the network's input 28"):
        nat.load_trunk(network, 20)
    with pytest.raises(UserError, match=r"none: not found"):
        nat.load_trunk(tmp_path / "none")
    with pytest.raises(UserError, match=r"no network of this project"):
        nat.load_trunk(files[0])
    trunk = nat.load_trunk(network)
    with pytest.raises(UserError, match="layer: 'conv4' is unknown; use conv5 or output"):
        trunk.embed(files, "conv4")  # type: ignore[arg-type]
    (tmp_path / "empty.jpg").write_bytes(b"")
    with pytest.raises(UserError, match=r"empty\.jpg: no readable image"):
        trunk.embed([*files, tmp_path / "empty.jpg"])
    with pytest.raises(UserError, match=r"none\.jpg: cannot be read \(No such file"):
        trunk.embed([tmp_path / "none.jpg"])


def test_the_package_itself_is_light() -> None:
    code = (
        "import sys, nat\n"
        "heavy = {'torch', 'numpy', 'PIL', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "from nat import load_trunk\n"
        "assert callable(load_trunk) and 'torch' in sys.modules\n"
        "try:\n    nat.nothing\nexcept AttributeError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "module 'nat' has no attribute 'nothing'"


def test_it_is_a_module(network: Path, files: list[Path]) -> None:
    """Whose tensors are the file's, which sees raw pixels or scaled ones, and which can learn."""
    trunk = nat.load_trunk(network)
    assert not trunk.training
    saved = load_file(network)
    assert trunk.state_dict().keys() == saved.keys()
    assert all(torch.equal(value, saved[name]) for name, value in trunk.state_dict().items())
    squares = torch.from_numpy(np.stack([trunk.read(file) for file in files]))
    with torch.no_grad():
        found = trunk(squares)
        expected = load_network(network).trunk.eval()(squares)
        scaled = trunk(squares / 255)
    assert torch.equal(found, expected)
    assert found.shape == (len(files), 64, 2, 2)
    np.testing.assert_allclose(found.flatten(1), trunk.embed(files), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(scaled, found, rtol=1e-3, atol=1e-4)
    trunk.train()(squares).square().sum().backward()
    assert all(weight.grad is not None for weight in trunk.trunk.parameters())
    trunk.embed(files)
    assert trunk.training  # as it was


def test_it_moves(network: Path) -> None:
    trunk = nat.load_trunk(network, device="meta")
    assert {value.device.type for value in trunk.state_dict().values()} == {"meta"}
    assert trunk.device == torch.device("meta")
    trunk = nat.load_trunk(network)
    assert trunk.device == torch.device("cpu")
    assert trunk.to("meta").device == torch.device("meta")
    assert {kernel.device.type for kernel in trunk.buffers()} == {"meta"}  # of the front end too
