from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CLASSES, write_image_folder
from PIL import Image
from tiny import ALL, machine, settings

from nat.data.store import UNLABELLED, Store
from nat.datasets.filling.prepare import prepare_images
from nat.datasets.folder import read
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Images, Params


def images_of(folder: Path, **changes: object) -> Images:
    group = {"source": "folder", "folder": str(folder), **ALL, **changes}
    return Params.model_validate(settings(images=group)).images


def test_a_folder_a_class(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "p", a_class=20)
    source = read(images_of(tmp_path / "p", test=12), machine())
    train, val = source.splits["train"], source.splits["test"]
    assert (source.classes, len(train), len(val)) == (CLASSES, 48, 12)
    assert not set(train.names) & set(val.names)
    for name, label in zip(train.names, train.labels, strict=True):
        assert name.startswith(f"{CLASSES[label]}/")
    total = np.bincount(train.labels, minlength=3) + np.bincount(val.labels, minlength=3)
    assert total.tolist() == [20, 20, 20]


def test_train_and_val_folders_are_the_splits(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "p" / "train", a_class=5)
    write_image_folder(tmp_path / "p" / "val", a_class=2)
    splits = read(images_of(tmp_path / "p"), machine()).splits
    assert (len(splits["train"]), len(splits["test"])) == (15, 6)


def test_unlabelled_images(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "p", a_class=20)
    source = read(images_of(tmp_path / "p" / "disc"), machine())
    assert source.classes == []
    assert (source.splits["train"].labels == UNLABELLED).all()


def test_a_limit_takes_from_every_class(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "p", a_class=30)
    train = read(images_of(tmp_path / "p", train=24), machine()).splits["train"]
    assert len(train) == 24
    assert np.bincount(train.labels, minlength=3).min() >= 3


def test_hidden_and_other_files_are_no_images(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "p", a_class=20)
    before = read(images_of(tmp_path / "p"), machine())
    (tmp_path / "p" / "disc" / "._000.jpg").write_bytes(b"a Mac's")
    (tmp_path / "p" / ".thumbnails").mkdir()
    (tmp_path / "p" / "notes.txt").touch()
    after = read(images_of(tmp_path / "p"), machine())
    assert after.classes == before.classes
    assert after.splits["train"].names == before.splits["train"].names


def test_a_folder_is_prepared(tmp_path: Path, make_params: Any) -> None:
    """Through the same filling as ImageNet; but EXIF rotations are applied."""
    (tmp_path / "p").mkdir()
    slope = Image.fromarray(np.tile(np.arange(0, 240, 6, dtype=np.uint8), (40, 1)))
    exif = Image.Exif()
    exif[0x0112] = 6  # the left column is to be the top row
    for number in range(4):
        slope.save(tmp_path / "p" / f"{number}.jpg", exif=exif, quality=95)
    group = {
        "source": "folder",
        "folder": str(tmp_path / "p"),
        "train": None,
        "validation": 0,
        "test": 1,
    }
    prepare_images(make_params(images=group), tmp_path / "m.json")
    store = Store(tmp_path / "m.json", str(tmp_path / "data"), "train")
    assert (len(store), store.source) == (3, "folder")
    assert (store.labels == UNLABELLED).all()
    image = store.images[0, 0].astype(int)
    assert (np.diff(image.mean(1)) > 0).all()
    assert np.abs(np.diff(image.mean(0))).max() < 2


def test_faults_of_the_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        read(images_of(tmp_path / "none"), machine())
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images"):
        read(images_of(tmp_path / "empty"), machine())
    write_image_folder(tmp_path / "p", a_class=3)
    with pytest.raises(UserError, match="do not suffice"):
        read(images_of(tmp_path / "p", test=9), machine())
    with pytest.raises(UserError, match=r"images\.train: 9 is more than the 8"):
        read(images_of(tmp_path / "p", test=1, train=9), machine())
