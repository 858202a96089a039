import gzip
import hashlib
import subprocess
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import ALL, machine, settings

from nat.datasets import fashion_mnist
from nat.datasets.fashion_mnist import SHA256, find, read
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Images, Params


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The four files with 30 + 20 random images, packed, and their checksums in force."""
    folder = tmp_path / "named"
    folder.mkdir()
    draws = np.random.default_rng(0)
    sums = {}
    for part, n in (("train", 30), ("t10k", 20)):
        images = b"\0" * 16 + draws.integers(0, 256, n * 784, dtype=np.uint8).tobytes()
        labels = b"\0" * 8 + bytes(i % 10 for i in range(n))
        for name, content in (("images-idx3", images), ("labels-idx1", labels)):
            (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(content))
            sums[f"{part}-{name}-ubyte"] = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(fashion_mnist, "SHA256", sums)
    monkeypatch.setattr(fashion_mnist, "PRETRAINING", 20)
    return folder


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No download, no package installed, no apt-get."""

    def refuse(*_: Any, **__: Any) -> None:
        raise RuntimeError("Error downloading")

    monkeypatch.setattr(fashion_mnist, "FashionMNIST", refuse)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "usr/share/datasets/fashion-mnist")
    monkeypatch.setattr(fashion_mnist.shutil, "which", lambda _: None)


def images_of(folder: Path | None, **changes: object) -> Images:
    group = {"folder": folder and str(folder), **ALL, **changes}
    return Params.model_validate(settings(images=group)).images


def test_splits_leave_the_last_images_to_composing(files: Path, tmp_path: Path) -> None:
    source = read(images_of(files), machine(tmp_path))
    assert (source.splits["train"].count, source.splits["test"].count) == (20, 20)
    images, labels = fashion_mnist.read_objects(str(files), str(tmp_path))
    assert (len(images), labels.tolist()) == (10, [i % 10 for i in range(20, 30)])


def test_a_margin_and_no_interpolation(files: Path, tmp_path: Path) -> None:
    (image, *_) = read(images_of(files), machine(tmp_path)).splits["train"].images
    raw, _ = fashion_mnist.read_idx_pair(files, "train")
    assert image.shape == (1, 32, 32)
    assert np.array_equal(image[0, 2:30, 2:30], raw[0])
    assert image[0, :2].max() == 0


def test_unpacked_files_serve_too(files: Path, tmp_path: Path) -> None:
    for path in files.glob("*.gz"):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert read(images_of(files), machine(tmp_path)).splits["train"].count == 20


@pytest.mark.usefixtures("offline")
def test_the_debian_package_is_the_last_way(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        find(None, str(tmp_path / "data"))
    message = str(caught.value)
    assert "\n" not in message
    assert all(w in message for w in ("images.folder", "download", "apt-get install"))
    for cause in ("download (Error downloading)", f"installed (not in {fashion_mnist.DEBIAN})"):
        assert cause in message
    assert "fetched (no apt-get or dpkg-deb here)" in message
    fashion_mnist.DEBIAN.parent.mkdir(parents=True)
    files.rename(fashion_mnist.DEBIAN)
    assert find(None, str(tmp_path / "data")) == fashion_mnist.DEBIAN


@pytest.mark.usefixtures("offline")
def test_the_package_is_fetched_where_it_is_not_installed(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """apt-get and dpkg-deb are played by a function that does what they would do."""

    def play(words: list[str], cwd: str | None = None, **_: Any) -> None:
        if words[0] == "apt-get" and "download" in words:
            Path(cwd or "", "dataset-fashion-mnist_1_all.deb").touch()
        if words[0] == "dpkg-deb":
            target = Path(words[3]) / fashion_mnist.DEBIAN.relative_to("/")
            target.parent.mkdir(parents=True)
            files.rename(target)

    monkeypatch.setattr(fashion_mnist.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(fashion_mnist.subprocess, "run", play)
    found = find(None, str(tmp_path / "data"))
    assert found == tmp_path / "data" / "raw" / "debian"
    assert fashion_mnist.read_idx_pair(found, "train")[0].shape == (30, 28, 28)


@pytest.mark.usefixtures("offline")
def test_an_apt_that_fails_is_no_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(words: list[str], **_: Any) -> None:
        raise subprocess.CalledProcessError(100, words, stderr=b"E: no\nE: route\n")

    monkeypatch.setattr(fashion_mnist.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(fashion_mnist.subprocess, "run", fail)
    with pytest.raises(UserError, match=r"fetched \(apt-get ended with 100: E: no E: route\)"):
        find(None, str(tmp_path / "data"))
    assert not (tmp_path / "data" / "raw" / "debian").exists()


def test_a_broken_download_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(root: str, download: bool) -> None:
        folder = Path(root) / "FashionMNIST" / "raw"
        folder.mkdir(parents=True)
        (folder / "train-images-idx3-ubyte.gz").write_bytes(b"half")
        raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(fashion_mnist, "FashionMNIST", cut_off)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "none")
    monkeypatch.setattr(fashion_mnist.shutil, "which", lambda _: None)
    with pytest.raises(UserError, match="not found"):
        find(None, str(tmp_path / "data"))
    assert not list((tmp_path / "data" / "raw").iterdir())


@pytest.mark.parametrize("keep", [0, 10, 500])
def test_a_truncated_file_is_named(keep: int, files: Path, tmp_path: Path) -> None:
    path = files / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"train-images-idx3-ubyte.*run prepare again"):
        read(images_of(files), machine(tmp_path))


def test_a_wrong_checksum_is_named(files: Path, tmp_path: Path) -> None:
    path = files / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(b"\0" * 28))
    with pytest.raises(UserError, match="t10k-labels-idx1-ubyte: wrong checksum"):
        read(images_of(files), machine(tmp_path))


def test_a_small_file_that_unpacks_to_a_large_one_takes_little(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fashion_mnist, "LARGEST", 10**5)
    (files / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(5 * 10**7)))
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"train-images-idx3-ubyte: wrong checksum"):
            read(images_of(files), machine(tmp_path))
        assert tracemalloc.get_traced_memory()[1] < 10**6
    finally:
        tracemalloc.stop()


def test_other_faults_are_named(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"images\.train: 21 is more than the 20"):
        read(images_of(files, train=21), machine(tmp_path))
    with pytest.raises(UserError, match=r"images\.folder: .*should hold train-images"):
        find(str(tmp_path), str(tmp_path))


def test_checksums_cover_torchvisions_files() -> None:
    from torchvision.datasets import FashionMNIST

    assert {f"{name}.gz" for name in SHA256} == {name for name, _ in FashionMNIST.resources}
