import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import CLASSES, image_set

from nat.data.store import Source, Split, Store, check_batch, epoch_batches, write_store
from nat.runtime.errors import UserError


def test_what_goes_in_comes_out(manifest: Path, tmp_path: Path) -> None:
    images, labels = image_set(96)
    store = Store(manifest, str(tmp_path / "data"), "train")
    rows = torch.tensor([5, 0, 95])
    assert torch.equal(store.batch(rows), torch.from_numpy(images[rows.numpy()]))
    assert store.labels.tolist() == labels.tolist()
    assert (store.source, store.classes, len(store)) == ("test", CLASSES, 96)


@pytest.mark.parametrize(("count", "step"), [(96, 1), (95, 1), (40, 2), (32, 3), (1, 96)])
def test_a_thinned_split_has_evenly_spaced_images(
    count: int, step: int, manifest: Path, tmp_path: Path
) -> None:
    images, labels = image_set(96)
    few = Store(manifest, str(tmp_path / "data"), "train").thinned(count)
    rows = torch.arange(count)
    assert len(few) == count
    assert torch.equal(few.batch(rows), torch.from_numpy(images[rows.numpy() * step]))
    assert np.array_equal(few.images, images[rows.numpy() * step])
    assert few.labels.tolist() == labels[rows.numpy() * step].tolist()
    last = -(-count // 4)
    again = few.thinned(last)
    assert np.array_equal(again.batch(torch.tensor([last - 1])), again.images[-1:])


def test_a_file_that_is_cut_off_while_it_is_read_is_told(manifest: Path, tmp_path: Path) -> None:
    store = Store(manifest, str(tmp_path / "data"), "train")
    (file,) = (tmp_path / "data").rglob("train.npy")
    os.truncate(file, file.stat().st_size - 1)
    assert len(store.batch(torch.arange(95))) == 95
    with pytest.raises(UserError, match=r"train\.npy: ends before image 95"):
        store.batch(torch.tensor([95]))


def test_manifest_is_the_same_each_time_and_follows_the_pixels(
    manifest: Path, tmp_path: Path
) -> None:
    images, labels = image_set(96)
    val = Split(48, *image_set(48, seed=1))

    def write(name: str) -> str:
        splits = {"train": Split(96, images, labels), "test": val}
        write_store(Source("test", CLASSES, splits), 32, 1, str(tmp_path / "data"), tmp_path / name)
        return (tmp_path / name).read_text()

    assert write("again.json") == manifest.read_text()
    images[0, 0, 0, 0] ^= 1
    assert write("other.json") != manifest.read_text()
    content = json.loads(manifest.read_text())
    assert content["splits"]["train"]["count"] == 96


def test_a_reader_that_fails_leaves_nothing(tmp_path: Path) -> None:
    class Images:
        def __iter__(self) -> Iterator[np.ndarray]:
            yield np.zeros((1, 8, 8), np.uint8)
            raise UserError("broken.png: no readable image")

    source = Source("test", [], {"train": Split(2, Images(), np.zeros(2))})
    with pytest.raises(UserError, match=r"broken\.png"):
        write_store(source, 8, 1, str(tmp_path / "data"), tmp_path / "m.json")
    assert not (tmp_path / "m.json").exists()
    assert not list(tmp_path.iterdir())


def test_a_store_that_is_there_stays_and_a_damaged_one_is_made_again(
    manifest: Path, tmp_path: Path
) -> None:
    train, labels = image_set(96)
    val, val_labels = image_set(48, seed=1)
    splits = {"train": Split(96, train, labels), "test": Split(48, val, val_labels)}
    source = Source("test", CLASSES, splits)
    (store,) = (tmp_path / "data" / "stores").iterdir()
    before = (store / "train.npy").stat().st_ino, (store / "train.npy").read_bytes()

    def again() -> None:
        assert write_store(source, 32, 1, str(tmp_path / "data"), manifest) == store

    again()
    assert (store / "train.npy").stat().st_ino == before[0]
    (store / "train.npy").write_bytes(before[1][:-5])
    again()
    assert (store / "train.npy").read_bytes() == before[1]
    assert [path.name for path in store.parent.iterdir()] == [store.name]


def test_the_file_is_what_numpy_writes(manifest: Path, tmp_path: Path) -> None:
    (file,) = (tmp_path / "data" / "stores").glob("*/train.npy")
    array = np.load(file)
    expected = io.BytesIO()
    np.lib.format.write_array(expected, array, version=(1, 0))
    assert file.read_bytes() == expected.getvalue()
    assert np.array_equal(array, image_set(96)[0])


def test_a_missing_store_names_the_remedy(manifest: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nat prepare images"):
        Store(manifest, str(tmp_path / "elsewhere"), "train")


def test_a_missing_manifest_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nat prepare images"):
        Store(tmp_path / "none.json", str(tmp_path), "train")


def test_epochs_see_each_image_once_and_drop_the_rest() -> None:
    batches = list(epoch_batches(23, 5, torch.Generator().manual_seed(0)))
    assert [len(batch) for batch in batches] == [5] * 4
    assert len(set(torch.cat(batches).tolist())) == 20


def test_a_batch_larger_than_the_data_is_refused() -> None:
    check_batch(5, 5, "x")
    with pytest.raises(UserError, match=r"pretrain\.batch_size: 6 is larger than the 5 images"):
        check_batch(6, 5, "pretrain.batch_size")


def files_of(tmp_path: Path) -> Path:
    (folder,) = (tmp_path / "data" / "stores").iterdir()
    return folder


def refusal(manifest: Path, tmp_path: Path, split: str = "train") -> str:
    with pytest.raises(UserError) as caught:
        Store(manifest, str(tmp_path / "data"), split)
    assert "\n" not in str(caught.value)
    assert "`python -m nat prepare images`" in str(caught.value)
    return str(caught.value)


PIXELS = np.zeros((96, 1, 32, 32), np.uint8)


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("train.npy", PIXELS.astype(np.float32), "float32 (96, 1, 32, 32) instead of uint8 (96, 1"),
        ("train.npy", PIXELS.astype(np.int64), "int64 (96, 1, 32, 32) instead of"),
        ("train.npy", PIXELS[:95], "uint8 (95, 1, 32, 32) instead of uint8 (96, 1, 32, 32)"),
        ("train.npy", PIXELS.repeat(3, 1), "uint8 (96, 3, 32, 32) instead of"),
        ("train.npy", PIXELS[..., :31], "uint8 (96, 1, 32, 31) instead of"),
        ("train.npy", PIXELS.reshape(96, -1), "uint8 (96, 1024) instead of"),
        ("train.npy", PIXELS.transpose(3, 2, 1, 0).copy().T, "its order is Fortran's"),
        ("train_labels.npy", np.zeros(95, np.int64), "int64 (95) instead of int64 (96)"),
        ("train_labels.npy", np.zeros(96, np.int32), "int32 (96) instead of"),
        ("train_labels.npy", np.zeros(96), "float64 (96) instead of"),
        ("train_labels.npy", np.full(96, 3), "labels from 3 to 3 for 3 classes"),
        ("train_labels.npy", np.full(96, -2), "labels from -2 to -2 for 3 classes"),
        ("train_labels.npy", np.full(96, -1), "not 96 of the labels are known"),
    ],
)
def test_another_content_is_refused(
    name: str, array: np.ndarray, said: str, manifest: Path, tmp_path: Path
) -> None:
    np.save(files_of(tmp_path) / name, array)
    found = refusal(manifest, tmp_path)
    assert said in found
    assert name in found


@pytest.mark.parametrize("name", ["train.npy", "train_labels.npy"])
def test_damaged_content_is_refused(name: str, manifest: Path, tmp_path: Path) -> None:
    file = files_of(tmp_path) / name
    right = file.read_bytes()
    for content in (b"", b"no array", right[:-1], right + b"\0", right[:100]):
        file.write_bytes(content)
        assert name in refusal(manifest, tmp_path)
    file.unlink()
    assert f"{name}: not found" in refusal(manifest, tmp_path)


@pytest.mark.parametrize(
    ("keys", "value", "said"),
    [
        (["size"], "32", "size: should be a valid integer"),
        (["size"], 10**9, "size: "),
        (["channels"], 2, "channels: "),
        (["classes"], None, "classes: "),
        (["classes"], [1], "classes.0: "),
        (["source"], "../../elsewhere", "source: "),
        (["splits"], [], "splits: "),
        (["splits", "train"], 7, "splits.train: "),
        (["splits", "train", "count"], -1, "splits.train.count: "),
        (["splits", "train", "count"], 10**30, "splits.train.count: "),
        (["splits", "train", "count"], True, "splits.train.count: "),
        (["splits", "train", "labelled"], None, "splits.train.labelled: "),
        (["splits", "train", "sha256"], "x", "splits.train.sha256: "),
    ],
)
def test_a_manifest_that_lies_is_refused(
    keys: list[str], value: object, said: str, manifest: Path, tmp_path: Path
) -> None:
    content = json.loads(manifest.read_text())
    group = content
    for key in keys[:-1]:
        group = group[key]
    group[keys[-1]] = value
    manifest.write_text(json.dumps(content))
    assert said in refusal(manifest, tmp_path)


def test_another_split_is_refused(manifest: Path, tmp_path: Path) -> None:
    assert "has no split 'val'" in refusal(manifest, tmp_path, "val")
    assert "evaluate_on: validation, but" in refusal(manifest, tmp_path, "validation")


def test_provenance_tells_the_images_that_were_used(tmp_path: Path) -> None:
    """A split that is not used may come or change, and results stay comparable."""
    images, labels = image_set(8)
    others, other_labels = image_set(8, seed=1)

    def described(**more: Split) -> dict[str, object]:
        split = Split(8, images, labels)
        source = Source("test", CLASSES, {"train": split, "test": split} | more)
        file, data = tmp_path / "m.json", str(tmp_path / "data")
        write_store(source, 32, 1, data, file)
        return Store(file, data, "train").described(Store(file, data, "test"))

    alone = described()
    assert alone["images"] == {"train": 8, "test": 8}
    assert described(validation=Split(8, others, other_labels)) == alone
    assert described(test=Split(8, others, other_labels))["store"] != alone["store"]
    assert described(test=Split(8, images, other_labels))["store"] != alone["store"]
