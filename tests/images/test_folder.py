from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES, write_picture_folder
from PIL import Image
from tiny import settings

from nat.errors import UserError
from nat.images.folder import read_folder
from nat.images.squares import read_square
from nat.images.store import UNLABELLED, Split
from nat.params import Params, Pictures


def pictures_of(folder: Path, **changes: object) -> Pictures:
    group = {"source": "folder", "folder": str(folder), "train": None, "val": None, **changes}
    return Params.model_validate(settings(pictures=group)).pictures


def arrays(split: Split) -> np.ndarray:
    return np.stack(list(split.pictures))


def test_a_folder_a_class(tmp_path: Path) -> None:
    write_picture_folder(tmp_path / "p", a_class=20)
    source = read_folder(pictures_of(tmp_path / "p", val=12))
    train, val = source.splits["train"], source.splits["val"]
    assert (source.classes, train.count, val.count) == (CLASSES, 48, 12)
    assert arrays(train).shape == (48, 1, 32, 32)
    total = np.bincount(train.labels, minlength=3) + np.bincount(val.labels, minlength=3)
    assert total.tolist() == [20, 20, 20]


def test_train_and_val_folders_are_the_splits(tmp_path: Path) -> None:
    write_picture_folder(tmp_path / "p" / "train", a_class=5)
    write_picture_folder(tmp_path / "p" / "val", a_class=2)
    splits = read_folder(pictures_of(tmp_path / "p")).splits
    assert (splits["train"].count, splits["val"].count) == (15, 6)


def test_unlabelled_pictures(tmp_path: Path) -> None:
    write_picture_folder(tmp_path / "p", a_class=20)
    source = read_folder(pictures_of(tmp_path / "p" / "disc"))
    assert source.classes == []
    assert (source.splits["train"].labels == UNLABELLED).all()


def test_a_limit_takes_from_every_class(tmp_path: Path) -> None:
    write_picture_folder(tmp_path / "p", a_class=30)
    train = read_folder(pictures_of(tmp_path / "p", train=24)).splits["train"]
    assert train.count == 24
    assert np.bincount(train.labels, minlength=3).min() >= 3


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_and_mode(mode: str, channels: int, tmp_path: Path) -> None:
    path = tmp_path / ("x.jpg" if mode == "CMYK" else "x.png")
    if mode == "I;16":
        Image.fromarray(np.full((20, 50), 300, np.uint16)).save(path)
    else:
        Image.new("RGB", (50, 20), (200, 100, 50)).convert(mode).save(path)
    square = read_square(path, 16, channels)
    assert square.shape == (channels, 16, 16)
    assert square.dtype == np.uint8


def test_the_centre_is_kept(tmp_path: Path) -> None:
    picture = np.zeros((20, 60), np.uint8)
    picture[:, 20:40] = 255
    Image.fromarray(picture).save(tmp_path / "x.png")
    assert read_square(tmp_path / "x.png", 20, 1).min() == 255


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 no picture", None])
def test_an_unreadable_picture_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    if content is None:  # truncated
        Image.effect_noise((64, 64), 50).save(path)
        content = path.read_bytes()[:600]
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"x\.jpg: no readable picture") as caught:
        read_square(path, 16, 1)
    assert "\n" not in str(caught.value)


def test_faults_of_the_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        read_folder(pictures_of(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no pictures"):
        read_folder(pictures_of(tmp_path / "empty"))
    write_picture_folder(tmp_path / "p", a_class=3)
    with pytest.raises(UserError, match="do not suffice"):
        read_folder(pictures_of(tmp_path / "p", val=9))
    with pytest.raises(UserError, match=r"pictures\.train: 9 is more than the 8"):
        read_folder(pictures_of(tmp_path / "p", val=1, train=9))
