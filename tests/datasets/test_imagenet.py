import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ilsvrc import (
    A_CLASS,
    VAL,
    WNIDS,
    publish,
    tar_of,
    train_files,
    val_files,
    write_archives,
    write_files,
)
from ilsvrc import write_tree as tree
from PIL import Image
from tiny import ALL, machine
from torchvision.transforms import functional as F

from nat.data.store import Store
from nat.datasets import imagenet
from nat.datasets.filling.archives import index
from nat.datasets.filling.prepare import prepare_images
from nat.runtime.errors import UserError

SIZE = 24


@pytest.fixture
def prepare(tmp_path: Path, make_params: Any) -> Any:
    """Prepares a folder in ImageNet's layout; returns the manifest."""

    def run(folder: Path, threads: int = 1, **changes: object) -> Path:
        group = {"source": "imagenet", "folder": str(folder), **ALL}
        params = make_params(
            images=group | {"size": SIZE} | changes,
            augment={"crop": 8},
            machine={"threads": threads},
        )
        manifest = tmp_path / f"{folder.name}.json"
        prepare_images(params, manifest)
        return manifest

    return run


@pytest.fixture
def refused(prepare: Any) -> Any:
    def run(folder: Path, **changes: object) -> str:
        with pytest.raises(UserError) as caught:
            prepare(folder, **changes)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return run


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


def test_some_of_the_images(
    tmp_path: Path, prepare: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """The same ones from archives, whose checksum is only asked where all bytes are read."""
    archives = write_archives(tmp_path / "archives")
    publish(archives, monkeypatch)
    few = {"train": 20, "test": 8}
    first = json.loads(prepare(archives, **few).read_text())
    assert "ILSVRC2012_img_train.tar: MD5" not in capsys.readouterr().err
    second = json.loads(prepare(tree(tmp_path / "tree"), **few).read_text())
    assert first == second
    assert (first["splits"]["train"]["count"], first["splits"]["test"]["count"]) == (20, 8)
    prepare(archives)
    assert "ILSVRC2012_img_train.tar: MD5 as published" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("classes", "published", "limits", "said"),
    [
        (4, {"train": 1_281_167, "val": VAL}, {}, ["train: 36 images, ImageNet has 1,281,167"]),
        (4, {"train": 36, "val": 50_000}, {}, ["val: 12 images, ImageNet has 50,000"]),
        (4, {"train": 36, "val": 50_000}, {"test": 8}, []),
        (4, {"train": 35, "val": 13}, {"train": 20}, ["val: 12 images, ImageNet has 13"]),
        (4, {"train": 36, "val": VAL}, {}, []),
        (1000, {"train": 1_281_167, "val": 50_000}, {}, []),  # a subset of the classes
    ],
)
def test_other_counts_than_the_published_are_announced(
    classes: int,
    published: dict[str, int],
    limits: dict[str, int],
    said: list[str],
    tmp_path: Path,
    make_params: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(imagenet, "CLASSES", classes)
    monkeypatch.setattr(imagenet, "IMAGES", published)
    group = {"source": "imagenet", "folder": str(tree(tmp_path / "in")), **ALL}
    source = imagenet.read(make_params(images=group | limits).images, machine(scratch=tmp_path))
    counts = {name: len(split) for name, split in source.splits.items()}
    assert counts == {"train": 36, "test": VAL} | limits
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "ImageNet has" in line] == said


def test_an_index_is_made_once(
    tmp_path: Path, prepare: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    archives = write_archives(tmp_path / "archives")
    publish(archives, monkeypatch)
    manifest = prepare(archives).read_text()
    monkeypatch.setattr(
        "nat.datasets.filling.archives._walk", lambda *_: pytest.fail("walked again")
    )
    assert prepare(archives, threads=1).read_text() == manifest


def test_a_damaged_index_is_made_again(tmp_path: Path) -> None:
    archive = write_archives(tmp_path / "in") / "ILSVRC2012_img_val.tar"
    whole = index(archive, str(tmp_path / "scratch"))
    (kept,) = (tmp_path / "scratch").glob("index-*.npz")
    content = kept.read_bytes()
    plain = io.BytesIO()
    np.save(plain, whole.offsets)
    changed = bytearray(content)
    changed[content.index(b"ILSVRC2012_val_00000004")] ^= 1
    halves = content[: len(content) // 2], content[len(content) // 2 :]
    for damaged in (b"", b"PK\x03\x04", b"no index", *halves, bytes(changed), plain.getvalue()):
        kept.write_bytes(damaged)
        again = index(archive, str(tmp_path / "scratch"))
        assert again.names == whole.names
        assert np.array_equal(again.offsets, whole.offsets)
        assert np.array_equal(again.lengths, whole.lengths)
        assert kept.read_bytes() != damaged
        assert index(archive, str(tmp_path / "scratch")).names == whole.names


def test_an_index_that_lies_is_made_again(tmp_path: Path) -> None:
    archive = write_archives(tmp_path / "in") / "ILSVRC2012_img_val.tar"
    whole = index(archive, str(tmp_path / "scratch"))
    (kept,) = (tmp_path / "scratch").glob("index-*.npz")
    right = dict(np.load(kept))
    for name, value in (
        ("offsets", right["offsets"] - right["offsets"].max() - 1),
        ("offsets", right["offsets"] + archive.stat().st_size),
        ("offsets", right["offsets"].astype(np.float64)),
        ("offsets", right["offsets"][:-1]),
        ("lengths", right["lengths"] * 0 + 2**62),
        ("lengths", -right["lengths"]),
        ("names", right["names"].astype("U40")),
        ("names", right["names"][:, None]),
    ):
        np.savez(kept, **right | {name: value})
        again = index(archive, str(tmp_path / "scratch"))
        assert again.names == whole.names
        assert np.array_equal(again.offsets, whole.offsets)
        assert np.array_equal(again.lengths, whole.lengths)
    np.savez_compressed(kept, **right | {"offsets": np.zeros(10**7, np.int64)})
    assert index(archive, str(tmp_path / "scratch")).names == whole.names


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_claims_gigabytes_is_refused(kind: bytes, tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 2**32
    (tmp_path / "a.tar").write_bytes(header.tobuf() + bytes(2**16))
    with pytest.raises(UserError, match=r"a\.tar: .* a header of 4,294,967,296 bytes; download it"):
        index(tmp_path / "a.tar", str(tmp_path / "scratch"))


def test_a_name_of_any_bytes_is_told_in_one_line(tmp_path: Path) -> None:
    header = tarfile.TarInfo("a\udc95\x07b")
    header.size = 2**20
    (tmp_path / "a.tar").write_bytes(header.tobuf() + bytes(2**16))
    with pytest.raises(UserError, match=r"a b goes on behind the end; download it") as caught:
        index(tmp_path / "a.tar", str(tmp_path / "scratch"))
    assert str(caught.value).isprintable()


def test_no_folder_no_images(tmp_path: Path, refused: Any) -> None:
    assert "no such folder" in refused(tmp_path / "none")
    (tmp_path / "in").mkdir()
    said = refused(tmp_path / "in")
    assert "no train images" in said
    assert "ILSVRC2012_img_train.tar" in said
    write_files(tmp_path / "in" / "train", train_files())
    assert "no val images" in refused(tmp_path / "in")
    write_files(tmp_path / "in" / "val", val_files()[0])
    said = refused(tmp_path / "in")
    assert "classes of the val images are unknown" in said
    assert "ILSVRC2012_devkit_t12.tar.gz, val.txt or LOC_val_solution.csv" in said


def test_archives_of_the_wrong_size(
    tmp_path: Path, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_archives(tmp_path / "in")
    publish(folder, monkeypatch)
    archive = folder / "ILSVRC2012_img_train.tar"
    content = archive.read_bytes()
    archive.write_bytes(content[:-1])
    assert "so truncated: download the rest" in refused(folder)
    archive.write_bytes(content + b"\0")
    assert "so another archive" in refused(folder)


@pytest.mark.parametrize("part", [0.3, 0.6, 0.99])
def test_a_truncated_archive_is_seen_by_its_headers(
    part: float, tmp_path: Path, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the size says nothing."""
    folder = write_archives(tmp_path / "in")
    archive = folder / "ILSVRC2012_img_train.tar"
    content = archive.read_bytes()
    archive.write_bytes(content[: int(part * len(content.rstrip(b"\0")))])
    publish(folder, monkeypatch)
    said = refused(folder)
    assert "ILSVRC2012_img_train.tar: truncated, damaged or no tar archive: at byte" in said


def test_wrong_archives_are_named(
    tmp_path: Path, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_archives(tmp_path / "in")
    train, val = (folder / f"ILSVRC2012_img_{part}.tar" for part in ("train", "val"))
    right = train.read_bytes()
    train.write_bytes(val.read_bytes())
    publish(folder, monkeypatch)
    assert "not ImageNet's train archive, as ILSVRC2012_val_00000001.JPEG is in it" in refused(
        folder
    )
    train.write_bytes(b"no tar" * 1000)
    publish(folder, monkeypatch)
    assert "no tar archive" in refused(folder)
    train.write_bytes(right)
    devkit = folder / "ILSVRC2012_devkit_t12.tar.gz"
    devkit.write_bytes(devkit.read_bytes()[:-5])
    said = refused(folder)
    assert "ILSVRC2012_devkit_t12.tar.gz: MD5 is not" in said


def test_a_byte_that_changed_is_reported_at_the_end(
    tmp_path: Path, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_archives(tmp_path / "in")
    publish(folder, monkeypatch)
    archive = folder / "ILSVRC2012_img_train.tar"
    content = bytearray(archive.read_bytes())
    content[-1] ^= 1  # behind all images
    archive.write_bytes(content)
    said = refused(folder)
    assert "published is" in said
    assert "download it again" in said
    assert not list((tmp_path / "data/stores").glob("*/"))


def test_class_folders_must_agree(
    tmp_path: Path, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tree(tmp_path / "in")
    hidden = folder / "val" / WNIDS[1]
    hidden.rename(tmp_path / "kept")
    assert f"val/{WNIDS[1]}: class folder missing (1 of 4 that train has)" in refused(folder)
    (tmp_path / "kept").rename(hidden)
    (folder / "train" / WNIDS[2]).rename(tmp_path / "kept")
    assert f"train/{WNIDS[2]}: class folder missing (1 of 4 that val has)" in refused(folder)
    archives = write_archives(tmp_path / "archives")
    publish(archives, monkeypatch)
    name = "ILSVRC2012_devkit_t12.tar.gz"
    (folder / name).symlink_to(archives / name)
    assert "(1 of 4 that the devkit has)" in refused(folder)
    (folder / "train" / WNIDS[2]).mkdir()
    said = refused(folder)
    assert f"{WNIDS[2]}: no images in it" in said


def test_half_extracted_folders_are_named(tmp_path: Path, refused: Any) -> None:
    (tmp_path / "in/train").mkdir(parents=True)
    assert "no class folders in it" in refused(tmp_path / "in")
    (tmp_path / "in/train/n01440764.tar").touch()
    assert "holds archives such as n01440764.tar; extract each" in refused(tmp_path / "in")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("ILSVRC2012_val_00000001.JPEG 0\n", "no line for ILSVRC2012_val_00000002.JPEG (11 of 12"),
        ("ILSVRC2012_val_00000001.JPEG 4\n", "val.txt:1: 4 after ILSVRC2012_val_00000001.JPEG"),
        ("ILSVRC2012_val_00000001.JPEG\n", "val.txt:1: nothing after"),
        ("ILSVRC2012_val_00000001 n09999999\n", "should be one of the 4 class folders of train"),
    ],
)
def test_a_mapping_must_fit(lines: str, said: str, tmp_path: Path, refused: Any) -> None:
    write_files(tmp_path / "in" / "train", train_files())
    write_files(tmp_path / "in" / "val", val_files()[0])
    (tmp_path / "in" / "val.txt").write_text(lines)
    assert said in refused(tmp_path / "in")


@pytest.fixture
def flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Extracted validation images, not in class folders, beside the devkit."""
    folder = write_archives(tmp_path / "in")
    publish(folder, monkeypatch)
    (folder / "ILSVRC2012_img_val.tar").unlink()
    write_files(folder / "val", val_files()[0])
    return folder


def test_a_missing_validation_image_is_named(flat: Path, refused: Any) -> None:
    (flat / "val/ILSVRC2012_val_00000003.JPEG").unlink()
    said = refused(flat)
    assert "val image ILSVRC2012_val_00000003.JPEG is missing (1 of the 12" in said


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize(
    "stray",
    [
        "00000002.JPEG",
        "ILSVRC2012_val_00000000.JPEG",
        "ILSVRC2012_val_00000013.JPEG",
        "ILSVRC2012_val_0000002.JPEG",
        "ILSVRC2012_val_00000002 (copy).JPEG",
        "ILSVRC2012_val_00000002.jpg",
    ],
)
def test_a_stray_validation_image_is_named(
    stray: str, complete: bool, flat: Path, refused: Any
) -> None:
    """Also where the count is right, as then an image is missing and labels would be shifted."""
    image = flat / "val/ILSVRC2012_val_00000005.JPEG"
    (flat / "val" / stray).write_bytes(image.read_bytes())
    if not complete:
        image.unlink()
    said = refused(flat)
    assert f"{stray} is none of the 12 val images of ILSVRC2012_devkit_t12.tar.gz" in said


def test_the_archive_must_have_the_devkit_s_images(
    tmp_path: Path, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_archives(tmp_path / "in")
    files = val_files()[0]
    files["ILSVRC2012_val_00000020.JPEG"] = files.pop("ILSVRC2012_val_00000001.JPEG")
    (folder / "ILSVRC2012_img_val.tar").write_bytes(tar_of(files))
    publish(folder, monkeypatch)
    assert "ILSVRC2012_val_00000020.JPEG is none of the 12 val images" in refused(folder)


def test_what_is_no_image_of_a_class_is_counted(
    tmp_path: Path, prepare: Any, capsys: pytest.CaptureFixture
) -> None:
    plain = prepare(tree(tmp_path / "plain")).read_text()
    folder = tree(tmp_path / "in")
    for name in ("._n01440764", ".DS_Store", f"{WNIDS[0]}/._a.JPEG", f"{WNIDS[0]}/@eaDir/b.jpg"):
        (folder / "train" / name).parent.mkdir(exist_ok=True)
        (folder / "train" / name).write_bytes(b"no image")
    (folder / "train" / "__MACOSX" / WNIDS[0]).mkdir(parents=True)
    (folder / "train" / "n0144076x").mkdir()
    (folder / "train" / WNIDS[1] / "boxes.txt").touch()
    (folder / "train" / WNIDS[1] / "around").symlink_to("..")
    (folder / "val" / "loose.JPEG").write_bytes(b"no image")
    (folder / "val" / WNIDS[2] / "gone.JPEG").symlink_to("none.JPEG")
    capsys.readouterr()
    assert prepare(folder).read_text() == plain
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"{folder}: not used: dangling links: 1 (val/{WNIDS[2]}/gone.JPEG); "
        "files of other kinds: 1 (.txt 1); folders that are no class: 1 (train/n0144076x); "
        "hidden or left by a system: 5 (train/.DS_Store, train/._n01440764, train/__MACOSX, ...); "
        "images beside the class folders: 1 (val/loose.JPEG); "
        f"links to a folder around them: 1 (train/{WNIDS[1]}/around)"
    )


def test_leftovers_among_unsorted_validation_images(flat: Path, prepare: Any) -> None:
    plain = prepare(flat).read_text()
    for name in ("._ILSVRC2012_val_00000001.JPEG", "Thumbs.db"):
        (flat / "val" / name).write_bytes(b"no image")
    assert prepare(flat).read_text() == plain


def test_a_mapping_with_a_mark_of_its_encoding(tmp_path: Path, prepare: Any) -> None:
    """As a spreadsheet writes it; it would be part of the first name."""
    files, wnids = val_files()
    write_files(tmp_path / "in" / "train", train_files())
    write_files(tmp_path / "in" / "val", files)
    lines = [f"{name},{wnid}\r\n" for name, wnid in zip(files, wnids, strict=True)]
    (tmp_path / "in" / "val.txt").write_text("".join(lines), encoding="utf-8-sig")
    prepare(tmp_path / "in")


def test_folders_around_are_named(tmp_path: Path, refused: Any) -> None:
    tree(tmp_path / "in" / "ILSVRC2012")
    said = refused(tmp_path / "in")
    assert "no train images" in said
    assert said.endswith(f"; name {tmp_path}/in/ILSVRC2012, which has them")
    (tmp_path / "in" / "ILSVRC2012").rename(tmp_path / "moved")
    (tmp_path / "in" / "val").mkdir()
    (tmp_path / "moved").rename(tmp_path / "in" / "train")
    said = refused(tmp_path / "in")
    assert "no class folders in it, such as train/n01440764" in said
    assert said.endswith(f"; move those of {tmp_path}/in/train/train up into it")


def test_the_digits_of_a_class_are_plain(tmp_path: Path, refused: Any) -> None:
    """Others, which are digits too, are no WordNet identifier."""
    folder = tree(tmp_path / "in")
    for split in ("train", "val"):
        for wnid in WNIDS:
            (folder / split / wnid).rename(folder / split / wnid.replace("0", "\u0660"))
    assert "no class folders in it" in refused(folder)


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


def test_another_archive_names_what_a_part_is_read_from(tmp_path: Path, refused: Any) -> None:
    folder = tmp_path / "part"
    folder.mkdir()
    (folder / "ILSVRC2012_img_train.tar").write_bytes(b"x" * 1000)
    assert "of a part of ImageNet, name folders of classes" in refused(folder)
