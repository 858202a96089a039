"""Folders that are no classes, and classes that are not as they should be."""

import os
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES, write_image_folder
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from PIL import Image
from tiny import ALL, machine, settings

from nat.api.embed import find_images
from nat.data.discovery import Unused
from nat.data.seeds import generator
from nat.data.store import Store
from nat.datasets import folder as folder_source
from nat.datasets.filling.encoded import Encoded, EncodedSource
from nat.datasets.filling.prepare import prepare_images
from nat.datasets.folder import _hold_out
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Images, Params

NFC, NFD = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))


def put(root: Path, *names: str, count: int = 1) -> Path:
    """Empty files: reading a folder opens none."""
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            (root / name / f"{index:02d}.jpg").touch()
    return root


def images_of(folder: Path, **changes: object) -> Images:
    group = {"source": "folder", "folder": str(folder), **ALL, **changes}
    return Params.model_validate(settings(images=group)).images


def read(folder: Path, **changes: object) -> EncodedSource:
    return folder_source.read(images_of(folder, **changes), machine())


def refused(folder: Path, **changes: object) -> str:
    with pytest.raises(UserError) as caught:
        read(folder, **changes)
    said = str(caught.value)
    assert "\n" not in said
    assert said.isprintable()
    return said


@pytest.mark.parametrize(
    "names",
    [
        ["train", "valid"],
        ["train", "Val"],
        ["train", "Test"],
        ["train", "validation"],
        ["Train", "VAL", "test"],
        ["TRAINING", "testing"],
        ["train2017", "val2017"],
        ["train_images", "test_images"],
        ["TrainSet", "TestSet"],
        ["seg_pred", "seg_test", "seg_train"],
        ["train", "test1"],
        ["train"],
        ["val", "test"],
        ["Train", "test", "extra"],
        ["training", "unlabeled", "test"],
    ],
)
def test_splits_are_no_classes(names: list[str], tmp_path: Path) -> None:
    for name in names:
        put(tmp_path, f"{name}/cat", f"{name}/dog", count=10)
    said = refused(tmp_path)
    assert str(tmp_path) in said
    assert "names of splits, not of classes" in said
    assert "call them train and test" in said


@pytest.mark.parametrize(
    "names",
    [
        ["train", "bus", "car"],
        ["valid", "invalid"],
        ["bullet_train", "steam_train"],
        ["train_station", "test_tube"],
        ["0", "1"],
        ["東京", "大阪"],
    ],
)
def test_classes_that_sound_like_splits(names: list[str], tmp_path: Path) -> None:
    assert read(put(tmp_path, *names, count=10)).classes == sorted(names)


def test_links_make_train_and_val_of_other_names(tmp_path: Path) -> None:
    """As the refusal says."""
    put(tmp_path, "Train/cat", "Train/dog", "valid/cat", "valid/dog", count=3)
    (tmp_path / "train").symlink_to("Train")
    (tmp_path / "val").symlink_to("valid")
    source = read(tmp_path)
    assert source.classes == ["cat", "dog"]
    assert [len(split) for split in source.splits.values()] == [6, 6]
    assert str(source.unused) == "folders beside train, test and val: 2 (Train, valid)"


def test_a_folder_around_all_classes_is_named(tmp_path: Path) -> None:
    put(tmp_path, "mydata/cat", "mydata/dog", "__MACOSX/mydata", "empty", count=10)
    shutil.rmtree(tmp_path / "empty")
    (tmp_path / "empty").mkdir()
    said = refused(tmp_path)
    assert "mydata would be the only class, with 20 images" in said
    assert f"{tmp_path}/mydata has cat, dog: name {tmp_path}/mydata" in said
    assert read(tmp_path / "mydata").classes == ["cat", "dog"]


def test_a_folder_around_a_folder_around_train_and_val(tmp_path: Path) -> None:
    for split in ("train", "val"):
        put(tmp_path, f"a/b/{split}/cat", f"a/b/{split}/dog")
    assert f"{tmp_path}/a/b has train, val: name {tmp_path}/a/b" in refused(tmp_path)
    assert read(tmp_path / "a" / "b").classes == ["cat", "dog"]


def test_one_class_of_images_is_none(tmp_path: Path) -> None:
    put(tmp_path, "images", count=20)
    said = refused(tmp_path)
    assert f"images has no folders: name {tmp_path}/images, which makes them unlabelled" in said
    assert read(tmp_path / "images").classes == []
    put(tmp_path, ".", count=3)
    assert "with 20 images, all but the 3 beside it;" in refused(tmp_path)


def test_one_class_in_train(tmp_path: Path) -> None:
    put(tmp_path, "train/images", "val/images")
    assert f"move its images into {tmp_path}/train itself" in refused(tmp_path)
    put(tmp_path, "train/images/cat", "train/images/dog")
    (tmp_path / "train/images/00.jpg").unlink()
    said = refused(tmp_path)
    assert f"images has cat, dog: move these into {tmp_path}/train itself" in said


def test_a_class_that_train_lacks_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "train/cat", "train/dog", "val/cat", count=2)
    put(tmp_path, "val/Dog", "val/hen", count=3)
    said = refused(tmp_path)
    assert f"{tmp_path}/val/Dog: train has no such class (2 of the 3 in val, 6 images)" in said


def test_a_class_of_train_that_has_no_images_is_none(tmp_path: Path) -> None:
    put(tmp_path, "train/cat", "train/dog", "val/cat", "val/dog", "val/hen")
    (tmp_path / "train/hen").mkdir()
    assert f"{tmp_path}/val/hen: train has no such class" in refused(tmp_path)
    (tmp_path / "val/hen/00.jpg").unlink()
    source = read(tmp_path)
    assert source.classes == ["cat", "dog"]
    assert str(source.unused) == "folders without images: 2 (train/hen, val/hen)"


def test_a_class_that_val_lacks_is_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    put(tmp_path, "train/cat", "train/dog", "train/hen", "val/cat")
    source = read(tmp_path)
    assert source.classes == ["cat", "dog", "hen"]
    assert "2 of 3 classes (dog, hen) have no images to test on: " in capsys.readouterr().err


def test_train_without_classes_and_val_with(tmp_path: Path) -> None:
    put(tmp_path, "train", "val/cat", "val/dog")
    assert f"{tmp_path}/val/cat: train has no such class" in refused(tmp_path)
    shutil.rmtree(tmp_path / "train")
    put(tmp_path, "train/cat", "train/dog")
    shutil.rmtree(tmp_path / "val")
    put(tmp_path, "val", count=4)
    assert f"{tmp_path}/val: its 4 images are in no class folders" in refused(tmp_path)
    shutil.rmtree(tmp_path / "train")
    put(tmp_path, "train", count=5)
    source = read(tmp_path)
    assert (source.classes, len(source.splits["train"]), len(source.splits["test"])) == ([], 5, 4)


def test_test_images_may_have_a_folder_of_that_name(tmp_path: Path) -> None:
    put(tmp_path, "train/cat", "train/dog", count=9)
    put(tmp_path, "test/cat", "test/dog", count=2)
    splits = read(tmp_path).splits
    assert {name: len(split) for name, split in splits.items()} == {"train": 18, "test": 4}
    assert splits["test"].root == tmp_path / "test"
    splits = read(tmp_path, validation=5).splits  # of those of train
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [13, 5, 4]
    put(tmp_path, "val/cat", "val/dog", count=3)
    splits = read(tmp_path, validation=5, train=9).splits  # which have a folder of their own
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [9, 5, 4]
    assert splits["validation"].root == tmp_path / "val"
    assert "validation" not in read(tmp_path).splits
    said = refused(tmp_path, validation=7)
    assert said == f"images.validation: 7 is more than the 6 images of {tmp_path}/val"


def test_an_empty_split_is_named(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    put(tmp_path, "val/cat", "val/dog")
    assert f"{tmp_path}/train: no images (" in refused(tmp_path)
    put(tmp_path, "train/cat", "train/dog")
    shutil.rmtree(tmp_path / "val")
    (tmp_path / "val/cat").mkdir(parents=True)
    (tmp_path / "val/cat/a.psd").touch()
    said = refused(tmp_path)
    assert f"{tmp_path}/val: no images (.avif, " in said
    assert said.endswith("found files of other kinds: 1 (.psd 1); folders without images: 1 (cat)")


def test_names_that_differ_in_unicode_form_are_one_class(tmp_path: Path) -> None:
    put(tmp_path, f"train/{NFD}", "train/zoo", f"val/{NFC}", "val/zoo")
    source = read(tmp_path)
    assert source.classes == [NFD, "zoo"]
    assert source.splits["test"].labels.tolist() == [0, 1]
    assert source.splits["test"].names == [f"{NFC}/00.jpg", "zoo/00.jpg"]


def test_both_unicode_forms_in_one_folder(tmp_path: Path) -> None:
    put(tmp_path, NFC, NFD, "zoo", count=4)
    if len(list(tmp_path.iterdir())) < 3:
        pytest.skip("to this file system both are one name")
    source = read(tmp_path, test=2)
    assert source.classes == [NFD, "zoo"]
    labels = np.concatenate([split.labels for split in source.splits.values()])
    assert np.bincount(labels).tolist() == [8, 4]
    shutil.rmtree(tmp_path / "zoo")
    assert len(read(tmp_path, test=2).classes) == 1  # two folders, so no folder around all


def test_images_beside_the_class_folders_are_counted(tmp_path: Path) -> None:
    put(tmp_path / "one", "cat", "dog", count=10)
    before = read(tmp_path / "one")
    put(tmp_path / "one", ".", count=2)
    after = read(tmp_path / "one")
    assert str(after.unused) == "images beside the class folders: 2 (00.jpg, 01.jpg)"
    for name in ("train", "test"):
        assert after.splits[name].names == before.splits[name].names
        assert (after.splits[name].labels >= 0).all()
    put(tmp_path / "two", ".", "train", "train/cat", "train/dog", "val", "val/cat", "val/dog")
    source = read(tmp_path / "two")
    assert [len(split) for split in source.splits.values()] == [2, 2]
    assert str(source.unused) == (
        "images beside the class folders: 3 (00.jpg, train/00.jpg, val/00.jpg)"
    )


def test_a_class_whose_name_is_no_text(tmp_path: Path, make_params: Any) -> None:
    """Before anything is decoded, as the manifest is written after that."""
    put(tmp_path / "in", "cat", "dog", count=5)
    bad = os.fsencode(tmp_path / "in") + b"/caf\xe9"
    Path(os.fsdecode(bad)).mkdir()
    assert read(tmp_path / "in").classes == ["cat", "dog"]  # without images it is no class
    Path(os.fsdecode(bad + b"/a.jpg")).touch()
    said = refused(tmp_path / "in")
    assert said == (
        rf"images.folder: {tmp_path}/in/caf\udce9: its name is not valid UTF-8; rename it"
    )
    group = {"source": "folder", "folder": str(tmp_path / "in"), **ALL}
    with pytest.raises(UserError, match="not valid UTF-8"):
        prepare_images(make_params(images=group), tmp_path / "m.json")
    assert not (tmp_path / "data").exists()


def held_out_before(files: Encoded, count: int) -> list[int]:
    """The rows that were held out when classes were not looked at."""
    order = torch.randperm(len(files), generator=generator(0, "hold out")).numpy()
    return sorted(order[:count].tolist())


def encoded_of(labels: list[int]) -> Encoded:
    numbers = np.arange(len(labels))
    return Encoded(Path("x"), [str(n) for n in numbers], np.array(labels), numbers, numbers)


@examples(deadline=None)
@given(st.data())
def test_what_is_held_out_leaves_every_class_a_image(data: st.DataObject) -> None:
    """And is what it always was, where that does so."""
    labels = data.draw(st.lists(st.integers(-1, 3), min_size=2, max_size=40))
    count = data.draw(st.integers(1, len(labels) - 1))
    files = encoded_of(labels)
    if count > len(labels) - len(set(labels)):
        with pytest.raises(UserError, match="can be held out if each class keeps one to train on"):
            _hold_out(files, Path("x"), count)
        return
    train, val = _hold_out(files, Path("x"), count)
    assert len(val) == count
    assert sorted(train.names + val.names) == sorted(files.names)
    assert set(train.labels) == set(labels)
    before = held_out_before(files, count)
    if set(np.delete(files.labels, before)) == set(labels):
        assert val.names == [str(row) for row in before]
        assert train.names == [str(row) for row in np.delete(np.arange(len(labels)), before)]


def test_one_image_a_class(tmp_path: Path) -> None:
    put(tmp_path, *(f"class{number:02d}" for number in range(20)))
    said = refused(tmp_path)
    assert "of 20 images in 20 classes, 0 can be held out" in said
    assert "add images, or set images.test to fewer" in said


def test_a_rare_class_stays_in_training(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    put(tmp_path, "cat", "dog", count=20)
    put(tmp_path, *(f"rare{number}" for number in range(8)))
    source = read(tmp_path, test=20)
    assert set(source.splits["train"].labels) == set(range(10))
    assert len(source.splits["test"]) == 20
    assert "8 of 10 classes (rare0, rare1, rare2, ...) have no images to test on" in (
        capsys.readouterr().err
    )


def test_a_limit_that_leaves_a_class_no_image_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    put(tmp_path, *(f"class{number}" for number in range(6)), count=10)
    source = read(tmp_path, train=4, test=30)
    lost = 6 - len(set(source.splits["train"].labels.tolist()))
    assert lost >= 2
    said = capsys.readouterr().err
    assert f"{lost} of 6 classes (" in said
    assert "have images to test on but none to train on" in said


def test_prepare_uses_all_and_says_what_it_does_not(
    tmp_path: Path, make_params: Any, capsys: pytest.CaptureFixture
) -> None:
    """Everything at once: the last line counts what is not used, and embed finds the same."""
    folder = tmp_path / "in"
    write_image_folder(folder, a_class=4)
    for number, end in enumerate(["webp", "bmp", "TIF", "gif", "avif", "JPEG"]):
        image = Image.fromarray(np.full((40, 40), 40 * number, np.uint8))
        image.save(folder / CLASSES[0] / f"more.{end}")
    write_image_folder(tmp_path / "elsewhere", a_class=2)
    (folder / CLASSES[1] / "more").symlink_to(tmp_path / "elsewhere" / CLASSES[1])
    (folder / CLASSES[2] / "linked.jpg").symlink_to(tmp_path / "elsewhere/disc/000.jpg")
    (folder / CLASSES[2] / "gone.jpg").symlink_to("none.jpg")
    (folder / CLASSES[2] / "around").symlink_to(folder)
    (folder / CLASSES[2] / "._000.jpg").write_bytes(b"a Mac's")
    (folder / "__MACOSX").mkdir()
    (folder / "notes.txt").touch()
    (folder / "empty").mkdir()
    group = {"source": "folder", "folder": str(folder), **ALL}
    prepare_images(make_params(images=group), tmp_path / "m.json")
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"{folder}: not used: dangling links: 1 (disc/gone.jpg); files of other kinds: 1 (.txt 1); "
        "folders without images: 1 (empty); hidden or left by a system: 2 "
        "(__MACOSX, disc/._000.jpg); links to a folder around them: 1 (disc/around)"
    )
    stored = sum(
        len(Store(tmp_path / "m.json", str(tmp_path / "data"), name)) for name in ("train", "test")
    )
    assert stored == 3 * 4 + 6 + 2 + 1
    splits = read(folder).splits
    assert find_images(folder, Unused()) == sorted(splits["train"].names + splits["test"].names)


def test_a_image_that_vanishes_before_it_is_read(
    tmp_path: Path, make_params: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is none of the unreadable ones, which are noted for good: put back, it is used."""
    write_image_folder(tmp_path / "in", a_class=8)
    group = {"source": "folder", "folder": str(tmp_path / "in"), **ALL}
    params = make_params(images=group)
    read_bytes = Path.read_bytes

    def gone(path: Path) -> bytes:
        if path.name == "003.png" and path.parent.name == "disc":
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return read_bytes(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", gone)
        with pytest.raises(UserError, match=r"disc/003\.png: cannot be read \(No such file"):
            prepare_images(params, tmp_path / "m.json")
    prepare_images(params, tmp_path / "m.json")
    assert len(Store(tmp_path / "m.json", str(tmp_path / "data"), "train")) == 22
