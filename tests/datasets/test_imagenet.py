"""ImageNet in each layout that it lies in: the same images, classes and manifest."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ilsvrc import (
    A_CLASS,
    SIZE,
    VAL,
    WNIDS,
    publish,
    train_files,
    val_files,
    write_archives,
    write_files,
)
from ilsvrc import write_tree as tree
from PIL import Image
from torchvision.transforms import functional as F

from nat.data.store import Store


def expected(content: bytes, channels: int) -> np.ndarray:
    """By torchvision: decode whole, scale the short side, cut the centre; EXIF is not asked."""
    image = Image.open(io.BytesIO(content)).convert("RGB" if channels == 3 else "L")
    image = F.resize(image, SIZE, F.InterpolationMode.BICUBIC)
    array = np.asarray(F.center_crop(image, SIZE))
    return array[None] if channels == 1 else np.moveaxis(array, 2, 0)


@pytest.mark.parametrize("channels", [1, 3])
def test_the_store_holds_the_images(channels: int, tmp_path: Path, prepare: Any) -> None:
    manifest = prepare(tree(tmp_path / "in"), channels=channels)
    train, val = (Store(manifest, str(tmp_path / "data"), split) for split in ("train", "test"))
    assert (train.source, train.classes, train.channels) == ("imagenet", WNIDS, channels)
    files = train_files()
    names = sorted(files)
    assert train.labels.tolist() == [WNIDS.index(name.split("/")[0]) for name in names]
    stored = train.batch(torch.arange(len(train))).numpy()
    assert stored.shape == (len(names), channels, SIZE, SIZE)
    for row, name in enumerate(names):
        difference = stored[row].astype(int) - expected(files[name], channels)
        assert np.abs(difference).mean() < 2, name  # luma of the JPEG and of its RGB are rounded
    images, wnids = val_files()
    by_class = sorted(zip(wnids, images, strict=True))
    assert val.labels.tolist() == [WNIDS.index(wnid) for wnid, _ in by_class]
    stored = val.batch(torch.arange(len(val))).numpy()
    for row, (_, name) in enumerate(by_class):
        difference = stored[row].astype(int) - expected(images[name], channels)
        assert np.abs(difference).mean() < 2, name


def test_every_layout_gives_the_same_manifest(
    tmp_path: Path, prepare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests = [prepare(tree(tmp_path / "tree"))]
    archives = write_archives(tmp_path / "archives")
    publish(archives, monkeypatch)
    manifests.append(prepare(archives))
    manifests.append(prepare(archives, threads=2))
    files, wnids = val_files()
    flat = tmp_path / "flat"  # devkit beside extracted images
    write_files(flat / "train", train_files())
    write_files(flat / "val", files)
    (flat / "ILSVRC2012_devkit_t12.tar.gz").symlink_to(archives / "ILSVRC2012_devkit_t12.tar.gz")
    manifests.append(prepare(flat))
    caffe = tmp_path / "caffe"
    caffe.mkdir()
    for part in ("train", "val"):
        (caffe / part).symlink_to(flat / part)
    lines = [f"{name} {WNIDS.index(wnid)}\n" for name, wnid in zip(files, wnids, strict=True)]
    (caffe / "val.txt").write_text("".join(reversed(lines)))
    manifests.append(prepare(caffe))
    kaggle = tmp_path / "kaggle"
    (kaggle / "ILSVRC/Data").mkdir(parents=True)
    (kaggle / "ILSVRC/Data/CLS-LOC").symlink_to(flat)
    lines = [f"{n[:-5]},{w} 1 2 3 4\n" for n, w in zip(files, wnids, strict=True)]
    (kaggle / "LOC_val_solution.csv").write_text("ImageId,PredictionString\n" + "".join(lines))
    manifests.append(prepare(kaggle))
    contents = [json.loads(manifest.read_text()) for manifest in manifests]
    assert contents == [contents[0]] * len(contents)
    assert contents[0]["splits"]["train"]["count"] == A_CLASS * len(WNIDS)
    assert contents[0]["splits"]["test"]["count"] == VAL


def test_class_folders_may_have_folders_within(tmp_path: Path, prepare: Any) -> None:
    """As Tiny ImageNet's do; and any class folder may be a link, whatever it leads to is called."""
    manifest = prepare(tree(tmp_path / "plain")).read_text()
    linked, inner = WNIDS[1], dict(zip(WNIDS, ["images", "images", "images/all", "."], strict=True))
    for split in ("train", "val"):
        (tmp_path / "deep" / split).mkdir(parents=True)
        (tmp_path / "deep" / split / linked).symlink_to(tmp_path / "link" / split)
        for wnid in WNIDS:
            folder = (
                tmp_path / "link" / split if wnid == linked else tmp_path / "deep" / split / wnid
            )
            (folder / inner[wnid]).mkdir(parents=True)
            for file in (tmp_path / "plain" / split / wnid).iterdir():
                file.rename(folder / inner[wnid] / file.name)
    assert prepare(tmp_path / "deep").read_text() == manifest


def test_tiny_imagenets_layout(tmp_path: Path, prepare: Any) -> None:
    """Training images in a folder within each class; validation images listed in a file."""
    usual, tiny = tree(tmp_path / "usual"), tmp_path / "tiny"
    lines = []
    for wnid in WNIDS:
        (tiny / "train" / wnid / "images").mkdir(parents=True)
        (tiny / "train" / wnid / f"{wnid}_boxes.txt").write_text("x.JPEG\t0\t0\t9\t9\n")
        for file in (usual / "train" / wnid).iterdir():
            file.rename(tiny / "train" / wnid / "images" / file.name)
    (tiny / "val/images").mkdir(parents=True)
    for file in sorted((usual / "val").rglob("*.JPEG")):
        file.rename(tiny / "val/images" / file.name)
        number = len(lines) % len(WNIDS)
        lines.append(f"{file.name}\t{WNIDS[number]}\t0\t0\t9\t9\n")
    (tiny / "val/val_annotations.txt").write_text("".join(lines))
    manifest = prepare(tiny)
    train, val = (Store(manifest, str(tmp_path / "data"), split) for split in ("train", "test"))
    assert (len(train), len(val)) == (len(train_files()), len(lines))
    assert sorted(val.labels.tolist()) == sorted(i % len(WNIDS) for i in range(len(lines)))
