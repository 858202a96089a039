import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from conftest import write_image_folder
from PIL import Image
from ruamel.yaml import YAML
from tiny import settings

from nat.api.embed import embed_folder, find_images
from nat.api.load import PretrainedTrunk, load_trunk
from nat.cli import main
from nat.data.discovery import Unused
from nat.network.model import Network, initialise, save_network
from nat.runtime.errors import UserError
from nat.runtime.io.outputs import names_of
from nat.runtime.settings.params import ModelSettings


@pytest.fixture
def network(tmp_path: Path) -> Path:
    settings = ModelSettings(preprocessing="sobel", trunk="small", hidden=16, dropout=0.0)
    module = Network(settings, 28, 6, 1)
    initialise(module, torch.Generator().manual_seed(0))
    save_network(module, tmp_path / "network.safetensors")
    return tmp_path / "network.safetensors"


@pytest.fixture
def trunk(network: Path) -> PretrainedTrunk:
    return load_trunk(network)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_image_folder(tmp_path / "images", a_class=5)
    (tmp_path / "images" / "notes.txt").write_text("no image")
    (tmp_path / "images" / "disc" / "odd.png").mkdir()
    (tmp_path / "images" / "disc-copy.JPG").write_bytes(
        (tmp_path / "images" / "disc" / "000.jpg").read_bytes()
    )
    return tmp_path / "images"


def read(out: Path) -> tuple[list[str], np.ndarray]:
    return json.loads(names_of(out).read_text()), np.load(out, allow_pickle=False)


@pytest.mark.parametrize("batch", [4, 256])
def test_rows_are_the_images_in_order_of_their_paths(
    trunk: PretrainedTrunk,
    folder: Path,
    tmp_path: Path,
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("nat.api.embed.BATCH", batch)
    out = tmp_path / "features.npy"
    assert embed_folder(trunk, folder, out) == []
    names, features = read(out)
    assert names == sorted(names)
    assert len(names) == 16
    assert "disc-copy.JPG" in names
    assert features.dtype == np.float32
    expected = trunk.embed([folder / name for name in names])
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    twins = names.index("disc-copy.JPG"), names.index("disc/000.jpg")
    np.testing.assert_allclose(*features[list(twins)], rtol=1e-4, atol=1e-5)
    assert not np.allclose(features[0], features[-1])


def test_corrupt_images_stop_it_or_are_left_out(
    trunk: PretrainedTrunk, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nat.api.embed.BATCH", 3)
    out = tmp_path / "out" / "features.npy"
    embed_folder(trunk, folder, out)
    before = dict(zip(*read(out), strict=True))
    for name in ("across/000.jpg", "across/001.png", "across/002.jpg", "along/004.jpg"):
        (folder / name).write_bytes((folder / name).read_bytes()[:60])
    with pytest.raises(UserError, match=r"across/000\.jpg: no readable.*--skip-corrupt"):
        embed_folder(trunk, folder, out)
    assert len(read(out)[0]) == 16  # the former files, whole
    skipped = embed_folder(trunk, folder, out, skip_corrupt=True)
    assert [fault.split(":")[0] for fault in skipped] == [
        str(folder / name)
        for name in ("across/000.jpg", "across/001.png", "across/002.jpg", "along/004.jpg")
    ]
    names, features = read(out)
    assert len(names) == len(features) == 12
    for name, row in zip(names, features, strict=True):
        np.testing.assert_allclose(row, before[name], rtol=1e-4, atol=1e-5)
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "features.names.json",
        "features.npy",
    ]


def test_images_of_16_bits_and_of_unknown_white(trunk: PretrainedTrunk, folder: Path) -> None:
    grey = np.asarray(Image.open(folder / "disc" / "001.png"))
    deep = Image.fromarray(257 * grey.astype(np.uint16))
    expected = trunk.embed([folder / "disc" / "001.png"])
    np.testing.assert_array_equal(trunk.embed([deep]), expected)
    with pytest.raises(UserError, match=r"mode=F .*: no readable image \(floating-point"):
        trunk.embed([Image.fromarray(grey.astype(np.float32))])


def test_nothing_readable_is_an_error(trunk: PretrainedTrunk, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="none of its 1 images is readable"):
        embed_folder(trunk, tmp_path / "images", tmp_path / "f.npy", skip_corrupt=True)
    assert not (tmp_path / "f.npy").exists()


def test_wrong_folders_and_endings_are_named(trunk: PretrainedTrunk, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"f\.csv: should end in \.npy or \.parquet"):
        embed_folder(trunk, tmp_path, tmp_path / "f.csv")
    with pytest.raises(UserError, match="no such folder"):
        find_images(tmp_path / "none", Unused())
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "a.psd").touch()
    with pytest.raises(UserError, match=r"empty: no images \(.*\.png.*; found .* \(\.psd 1\)"):
        find_images(tmp_path / "empty", Unused())


def test_images_are_those_that_prepare_finds(
    trunk: PretrainedTrunk, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Behind links, and not what systems leave; the last line counts what is not used."""
    write_image_folder(tmp_path / "elsewhere", a_class=5)
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "linked" / "back").symlink_to(folder)
    (folder / "gone.png").symlink_to("none.png")
    (folder / "._000.jpg").write_bytes(b"a Mac's")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "a.jpg").write_bytes(b"")
    (folder / "more.WEBP").write_bytes((folder / "disc" / "000.jpg").read_bytes())
    embed_folder(trunk, folder, tmp_path / "f.npy")
    names, features = read(tmp_path / "f.npy")
    assert len(names) == len(features) == 16 + 15 + 1
    assert "linked/disc/000.jpg" in names
    assert names == sorted(names)
    assert capsys.readouterr().err == (
        f"{folder}: not used: dangling links: 1 (gone.png); files of other kinds: 1 (.txt 1); "
        "hidden or left by a system: 2 (._000.jpg, .ipynb_checkpoints); "
        "links to a folder around them: 1 (linked/back)\n"
    )


def test_a_name_that_is_no_text(folder: Path) -> None:
    os.rename(folder / "disc", os.fsencode(folder) + b"/dis\xe7")  # noqa: PTH104 - of bytes
    with pytest.raises(UserError) as caught:
        find_images(folder, Unused())
    assert str(caught.value) == (
        rf"{folder}/dis\udce7/000.jpg: its name is not valid UTF-8; rename it"
    )


def test_parquet_without_pyarrow_says_how_to_get_it(
    trunk: PretrainedTrunk, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    with pytest.raises(UserError, match=r"f\.parquet: needs pyarrow; .*'\.\[parquet\]'"):
        embed_folder(trunk, folder, tmp_path / "f.parquet")


def test_parquet_holds_the_same(
    trunk: PretrainedTrunk, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr("nat.api.embed.BATCH", 3)
    (folder / "across" / "000.jpg").write_bytes(b"")
    for out in (tmp_path / "f.npy", tmp_path / "f.parquet"):
        assert len(embed_folder(trunk, folder, out, skip_corrupt=True)) == 1
    names, features = read(tmp_path / "f.npy")
    table = parquet.read_table(tmp_path / "f.parquet")
    assert table.column("image").to_pylist() == names
    np.testing.assert_array_equal(
        np.array(table.column("features").to_pylist(), np.float32), features
    )


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def test_the_commands(network: Path, folder: Path, tmp_path: Path) -> None:
    exported, out = tmp_path / "trunk.safetensors", tmp_path / "f.npy"
    result = run("export", "--network", network, "--out", exported)
    assert result.exit_code == 0, result.output
    (folder / "across" / "000.jpg").write_bytes(b"")
    words = ["embed", "--network", exported, "--images", folder, "--out", out, "--size", "32"]
    words += ["--device", "cpu", "--threads", "1"]
    result = run(*words)
    assert result.exit_code == 1
    assert not out.exists()
    result = run(*words, "--skip-corrupt")
    assert result.exit_code == 0, result.output
    assert f"left out: {folder}/across/000.jpg: no readable image" in result.stderr
    assert f"{folder}: not used: files of other kinds: 1 (.txt 1)\n" in result.stderr
    names, features = read(out)
    expected = load_trunk(network, 32).embed([folder / name for name in names])
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)


def test_it_needs_no_settings_and_takes_those_that_are_named(
    network: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    words = ["embed", "--network", network, "--images", folder, "--out", "f.npy"]
    seen = []
    threads = torch.set_num_threads
    monkeypatch.setattr(torch, "set_num_threads", lambda n: seen.append(n) or threads(n))
    assert run(*words).exit_code == 0
    assert seen == []
    assert sorted(path.name for path in Path().iterdir()) == ["f.names.json", "f.npy"]
    params = tmp_path / "params.yaml"
    YAML().dump(settings(machine={"threads": 1, "device": "cpu"}), params)
    assert run(*words, "--params", params).exit_code == 0
    assert run(*words, "--params", params, "--threads", "2").exit_code == 0
    assert seen == [1, 1, 2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "tpu"], "--device: 'tpu' is no device; use auto, cpu, cuda or cuda:N"),
        (["--device", "cuda:99"], "--device: cuda:99: "),
        (["--params", "none.yaml"], "none.yaml: No such file or directory; run in"),
    ],
)
def test_faults_of_the_machine_are_one_line(
    words: list[str], said: str, network: Path, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "f.npy"
    result = run("embed", "--network", network, "--images", folder, "--out", out, *words)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {said}")
    assert result.stderr.count("\n") == 1
    assert not out.exists()
