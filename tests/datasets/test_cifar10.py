import gzip
import hashlib
import io
import pickle
import tarfile
from http.client import IncompleteRead
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import ALL, machine, settings
from torchvision.datasets import CIFAR10

from nat.data.store import Store
from nat.datasets import cifar10
from nat.datasets.cifar10 import read
from nat.datasets.filling.prepare import prepare_images
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Images, Params

A_BATCH = 6
KINDS = [f"kind {label}" for label in range(10)]


def batch(seed: int) -> dict[str, object]:
    draws = np.random.default_rng(seed)
    images = draws.integers(0, 256, (A_BATCH, 3 * 32 * 32), dtype=np.uint8)
    labels = draws.integers(0, 10, A_BATCH).tolist()
    return {"batch_label": "a batch", "labels": labels, "data": images}


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The batches, of 6 images each, in the form of Python 2; their checksums in force."""
    names = [name for name, _ in CIFAR10.train_list + CIFAR10.test_list]
    content: dict[str, bytes] = {
        name: pickle.dumps(batch(seed), protocol=2) for seed, name in enumerate(names)
    }
    content["batches.meta"] = pickle.dumps({"label_names": KINDS}, protocol=2)
    sums = {name: hashlib.md5(data).hexdigest() for name, data in content.items()}
    train = [[name, sums[name]] for name in names[:5]]
    monkeypatch.setattr(CIFAR10, "train_list", train)
    monkeypatch.setattr(CIFAR10, "test_list", [[names[5], sums[names[5]]]])
    monkeypatch.setitem(CIFAR10.meta, "md5", sums["batches.meta"])
    return content


def extract(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def pack(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def images_of(folder: Path | None, **changes: object) -> Images:
    group = {"source": "cifar10", "folder": folder and str(folder), **ALL}
    changes = {"size": 32, "channels": 3} | changes
    return Params.model_validate(settings(images=group | changes)).images


def stored(settings: Images, data: Path, split: str = "train") -> np.ndarray:
    return np.stack(list(read(settings, machine(data)).splits[split].images))


def refusal(settings: Images, data: Path) -> str:
    with pytest.raises(UserError) as caught:
        read(settings, machine(data))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_images_are_torchvisions(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = extract(tmp_path / "c" / "cifar-10-batches-py", files).parent
    source = read(images_of(folder), machine(tmp_path))
    assert (source.name, source.classes) == ("cifar10", KINDS)
    for split, train in (("train", True), ("test", False)):
        theirs = CIFAR10(str(folder), train=train)
        ours = source.splits[split]
        assert ours.count == len(theirs)
        assert np.array_equal(np.moveaxis(np.stack(list(ours.images)), 1, 3), theirs.data)
        assert ours.labels.tolist() == theirs.targets


def test_packed_and_extracted_and_downloaded(files: dict[str, bytes], tmp_path: Path) -> None:
    a = stored(images_of(extract(tmp_path / "c" / "cifar-10-batches-py", files).parent), tmp_path)
    b = stored(images_of(tmp_path / "c" / "cifar-10-batches-py"), tmp_path)
    pack(tmp_path / "raw" / "CIFAR10" / "cifar-10-python.tar.gz", files)
    c = stored(images_of(tmp_path / "raw" / "CIFAR10"), tmp_path)
    d = stored(images_of(None), tmp_path)  # as a download left it
    for other in (b, c, d):
        assert np.array_equal(a, other)


def test_luma_and_margin(files: dict[str, bytes], tmp_path: Path) -> None:
    folder = extract(tmp_path / "c", files)
    colour = stored(images_of(folder), tmp_path)
    luma = stored(images_of(folder, channels=1, size=37), tmp_path)
    assert luma.shape == (30, 1, 37, 37)
    for grey, image in zip(luma, colour, strict=True):
        expected = Image.fromarray(np.moveaxis(image, 0, 2)).convert("L")
        assert np.array_equal(grey[0, 2:34, 2:34], np.asarray(expected))
        assert np.array_equal(grey[0, 1], grey[0, 3])  # mirrored at the border
        assert np.array_equal(grey[0, 34], grey[0, 32])


def test_it_goes_into_a_store(files: dict[str, bytes], tmp_path: Path) -> None:
    machine = {"data": str(tmp_path / "data"), "scratch": str(tmp_path)}
    group = {"source": "cifar10", "folder": str(extract(tmp_path / "c", files))}
    group |= {"train": 20, "validation": 0, "test": 5, "channels": 1}
    params = Params.model_validate(settings(images=group, machine=machine))
    prepare_images(params, tmp_path / "m.json")
    store = Store(tmp_path / "m.json", str(tmp_path / "data"), "train")
    assert (len(store), store.classes, store.source) == (20, KINDS, "cifar10")


def test_no_network_says_where_to_put_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("Name or service\nnot known")

    monkeypatch.setattr(cifar10, "download_url", refuse)
    said = refusal(images_of(None), tmp_path)
    assert "CIFAR-10: no download (Name or service not known)" in said
    assert f"put it into {tmp_path / 'raw' / 'CIFAR10'}, or" in said


def test_an_odd_answer_of_a_server_is_a_cause_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object) -> None:
        raise IncompleteRead(b"half")

    monkeypatch.setattr(cifar10, "download_url", cut_off)
    assert "CIFAR-10: no download (IncompleteRead(4 bytes" in refusal(images_of(None), tmp_path)


def test_a_download_is_whole_or_none(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(url: str, root: str, name: str, md5: str) -> None:
        pack(Path(root, name), files)
        if fails:
            raise RuntimeError("File not found or corrupted.")

    monkeypatch.setattr(cifar10, "download_url", cut_off)
    fails = True
    refusal(images_of(None), tmp_path)
    assert not list((tmp_path / "raw" / "CIFAR10").iterdir())
    fails = False
    assert stored(images_of(None), tmp_path).shape == (30, 3, 32, 32)
    assert (tmp_path / "raw" / "CIFAR10" / "cifar-10-python.tar.gz").is_file()


def test_faults_are_named(files: dict[str, bytes], tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert "should hold cifar-10-python.tar.gz or the folder" in refusal(
        images_of(tmp_path / "none"), tmp_path
    )
    folder = extract(tmp_path / "c", files)
    assert "images.train: 31 is more than the 30" in refusal(images_of(folder, train=31), tmp_path)
    for size in (31, 64):
        assert f"images.size: {size}" in refusal(images_of(folder, size=size), tmp_path)
    (folder / "data_batch_3").unlink()
    assert "data_batch_3: missing" in refusal(images_of(folder), tmp_path)
    (folder / "data_batch_3").write_bytes(files["data_batch_2"])
    assert "data_batch_3 has another MD5" in refusal(images_of(folder), tmp_path)
    archive = pack(tmp_path / "p" / "cifar-10-python.tar.gz", files)
    archive.write_bytes(archive.read_bytes()[:-3000])
    assert "truncated, damaged or not CIFAR-10's" in refusal(images_of(tmp_path / "p"), tmp_path)
    pack(archive, {"data_batch_1": files["data_batch_1"]})
    assert "truncated, damaged or not CIFAR-10's" in refusal(images_of(tmp_path / "p"), tmp_path)


def test_a_pickle_runs_nothing(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the checksum says."""

    class Evil:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "ran",)

    for protocol in (2, 5):
        content = pickle.dumps({"label_names": Evil()}, protocol=protocol)
        folder = extract(tmp_path / str(protocol), files | {"batches.meta": content})
        monkeypatch.setitem(CIFAR10.meta, "md5", hashlib.md5(content).hexdigest())
        assert "which is refused" in refusal(images_of(folder), tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_claims_gigabytes_is_refused(
    kind: bytes, files: dict[str, bytes], tmp_path: Path
) -> None:
    archive = tmp_path / "p" / "cifar-10-python.tar.gz"
    archive.parent.mkdir()
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 2**32
    with gzip.open(archive, "wb") as file:
        file.write(header.tobuf() + bytes(2**20))
    assert "a header of 4,294,967,296 bytes" in refusal(images_of(tmp_path / "p"), tmp_path)


def test_a_batch_that_unpacks_to_more_is_not_read_to_its_end(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def noted(self: tarfile.ExFileObject, count: int = -1) -> bytes:
        asked.append(count)
        return io.BufferedReader.read(self, count)

    monkeypatch.setattr(tarfile.ExFileObject, "read", noted, raising=False)
    pack(tmp_path / "p" / "cifar-10-python.tar.gz", files | {"data_batch_1": bytes(2**24)})
    assert "data_batch_1 has another MD5" in refusal(images_of(tmp_path / "p"), tmp_path)
    assert asked == [cifar10.LARGEST]


def write_copy(folder: Path, names: list[str]) -> Path:
    draws = np.random.default_rng(3)
    for split, count in (("train", 3), ("test", 1)):
        for name in names:
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                image = Image.fromarray(draws.integers(0, 256, (32, 32, 3), dtype=np.uint8))
                image.save(folder / split / name / f"{number}.jpg")
    return folder


def test_a_copy_as_files_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar10, "COUNTS", {"train": 30, "test": 10})
    folder = write_copy(tmp_path / "copy", cifar10.CLASSES)
    source = read(images_of(folder, train=12, validation=5, test=4), machine())
    assert (source.name, source.classes) == ("cifar10-files", cifar10.CLASSES)
    assert {name: len(split.labels) for name, split in source.splits.items()} == {
        "train": 12,
        "validation": 5,
        "test": 4,
    }
    with pytest.raises(UserError, match=r"images.size: 36: a copy of CIFAR-10 as files"):
        read(images_of(folder, size=36), machine())


def test_a_folder_of_other_images_is_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = write_copy(tmp_path / "other", [*cifar10.CLASSES[:-1], "lorry"])
    with pytest.raises(UserError, match=r"a copy of CIFAR-10 has .* truck"):
        read(images_of(other), machine())
    few = write_copy(tmp_path / "few", cifar10.CLASSES)
    with pytest.raises(UserError, match="'train': 30, 'test': 10"):
        read(images_of(few), machine())
