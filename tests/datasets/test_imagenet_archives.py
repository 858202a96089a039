"""ImageNet's published archives: whole, cut short, damaged, and some of them."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ilsvrc import (
    VAL,
    publish,
    tar_of,
    val_files,
    write_archives,
)
from ilsvrc import write_tree as tree
from tiny import ALL, machine

from nat.datasets import imagenet
from nat.datasets.filling.archives import index
from nat.runtime.errors import UserError


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


def test_the_archive_must_have_the_devkit_s_images(
    tmp_path: Path, refused: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_archives(tmp_path / "in")
    files = val_files()[0]
    files["ILSVRC2012_val_00000020.JPEG"] = files.pop("ILSVRC2012_val_00000001.JPEG")
    (folder / "ILSVRC2012_img_val.tar").write_bytes(tar_of(files))
    publish(folder, monkeypatch)
    assert "ILSVRC2012_val_00000020.JPEG is none of the 12 val images" in refused(folder)


def test_another_archive_names_what_a_part_is_read_from(tmp_path: Path, refused: Any) -> None:
    folder = tmp_path / "part"
    folder.mkdir()
    (folder / "ILSVRC2012_img_train.tar").write_bytes(b"x" * 1000)
    assert "of a part of ImageNet, name folders of classes" in refused(folder)
