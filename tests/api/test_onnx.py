"""ONNX files compute what the network does, in onnxruntime, which has no part in writing them."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import images, network_file

from nat.api.onnx import export_onnx
from nat.network.model import load_network
from nat.runtime.errors import UserError

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize(
    ("preprocessing", "channels", "trunk", "keep_batch_norm"),
    [
        ("sobel", 1, "small", False),
        ("sobel", 3, "alexnet", True),
        ("high-pass", 3, "small", False),
        ("clean", 1, "small-dense", True),
    ],
)
def test_it_gives_the_trunks_features_of_raw_pixels(
    preprocessing: str, channels: int, trunk: str, keep_batch_norm: bool, tmp_path: Path
) -> None:
    network = network_file(tmp_path, preprocessing, channels, trunk)
    export_onnx(network, tmp_path / "trunk.onnx", keep_batch_norm)
    onnx.checker.check_model(onnx.load(tmp_path / "trunk.onnx"), full_check=True)
    session = runtime.InferenceSession(tmp_path / "trunk.onnx")
    ours = load_network(network)
    for count in (1, 2, 5):
        x = images(count, channels, ours.input_size)
        if count == 5:
            x[0] = 200  # blank
        (found,) = session.run(["features"], {"images": x.numpy().astype(np.float32)})
        with torch.no_grad():
            expected = ours.trunk.eval()(x).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    assert expected.std() > 0.1
    about = json.loads(session.get_modelmeta().custom_metadata_map["trunk"])
    assert (about["format"], about["crop"]) == ("onnx", ours.input_size)
    assert about["batch_norm"] == ("kept" if keep_batch_norm else "folded")


def test_the_same_network_gives_the_same_bytes_which_tell_of_no_machine(tmp_path: Path) -> None:
    network = network_file(tmp_path)
    for name in ("a.onnx", "b.onnx"):
        export_onnx(network, tmp_path / name)
    content = (tmp_path / "a.onnx").read_bytes()
    assert content == (tmp_path / "b.onnx").read_bytes()
    for words in ("site-packages", ".py", "/tmp", "nat/"):
        assert words.encode() not in content, words


def test_it_replaces_its_own_files_and_no_others(tmp_path: Path) -> None:
    network, out = network_file(tmp_path), tmp_path / "trunk.onnx"
    export_onnx(network, out)
    export_onnx(network, out, keep_batch_norm=True)
    foreign = onnx.load(out)
    foreign.producer_name = "another"
    onnx.save(foreign, out)
    before = out.read_bytes()
    with pytest.raises(UserError, match=r"trunk\.onnx: exists and is not a trunk that `nat export"):
        export_onnx(network, out)
    assert out.read_bytes() == before


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_package_is_named(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError, match=r"trunk\.onnx: needs the packages onnx and onnxscript; "):
        export_onnx(network_file(tmp_path), tmp_path / "trunk.onnx")
    assert not (tmp_path / "trunk.onnx").exists()
