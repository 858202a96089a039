"""ImageNet extracted: folders, names and mappings that do not fit are told."""

from pathlib import Path
from typing import Any

import pytest
from ilsvrc import (
    WNIDS,
    publish,
    train_files,
    val_files,
    write_archives,
    write_files,
)
from ilsvrc import write_tree as tree


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
