import os
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nat.runtime.errors import UserError
from nat.voc.data.devkit import Box, annotation, image_set, jpeg
from nat.voc.data.reader import VocSplit, read_classes

CLASSES = ["cat", "dog"]


def test_reads_what_was_written(kit: Path) -> None:
    found = VocSplit(kit, read_classes(kit), "trainval")
    assert found.classes == CLASSES
    assert found.labels.tolist() == [[1, 0], [1, -1], [0, 1]]
    second = found.annotations[1]
    assert (second.name, second.width, second.height) == ("000002", 24, 20)
    assert [thing.box for thing in second.things] == [
        Box(3, 4, 9, 9),
        Box(10, 4, 24, 20),
        Box(2, 2, 5, 5),
    ]
    assert [thing.difficult for thing in second.things] == [True, False, True]
    assert [thing.truncated for thing in second.things] == [False, True, False]


def test_objects_are_tensors_in_the_annotations_order(kit: Path) -> None:
    found = VocSplit(kit, CLASSES, "trainval").objects(1)
    assert found.boxes.tolist() == [[3, 4, 9, 9], [10, 4, 24, 20], [2, 2, 5, 5]]
    assert found.labels.tolist() == [1, 0, 0]
    assert found.difficult.tolist() == [True, False, True]
    assert (found.boxes.dtype, found.labels.dtype, found.difficult.dtype) == (
        torch.float32,
        torch.int64,
        torch.bool,
    )


def test_images_are_luma_of_their_own_size(kit: Path) -> None:
    found = VocSplit(kit, CLASSES, "trainval")
    images = found.images()
    assert [tuple(image.shape) for image in images] == [(20, 24)] * 3
    with Image.open(jpeg(kit, "000001")) as file:
        assert file.mode == "RGB"
        expected = np.asarray(file.convert("L")).astype(int)
    assert np.abs(images[0].numpy() - expected).max() <= 20  # without upsampled colour between
    assert np.abs(images[0].numpy() - expected).mean() < 2


def test_images_are_seen_in_the_channels_of_a_trunk(kit: Path) -> None:
    found = VocSplit(kit, CLASSES, "trainval")
    assert torch.equal(found.seen(1, 1), found.image(1))
    colours = found.images(3)
    assert [tuple(image.shape) for image in colours] == [(3, 20, 24)] * 3
    with Image.open(jpeg(kit, "000002")) as file:
        for colour, expected in zip(colours[1], file.split(), strict=True):
            assert (colour.numpy() == np.asarray(expected)).all()


def test_parts_of_people_are_no_objects(kit: Path) -> None:
    path = annotation(kit, "000001")
    part = "<part><name>head</name><bndbox><xmin>900</xmin></bndbox></part></object>"
    path.write_text(path.read_text().replace("</object>", part))
    (thing,) = VocSplit(kit, CLASSES, "trainval").annotations[0].things
    assert (thing.name, thing.box) == ("cat", Box(1, 1, 20, 16))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<name>cat<", "<name>cow<", "unknown class 'cow', known are cat, dog"),
        ("<xmin>1<", "<xmin>21<", "minimum above its maximum"),
        ("<ymin>1<", "<ymin>17<", "minimum above its maximum"),
        ("<xmax>20<", "<xmax>25<", "leaves the image of 24 x 20"),
        ("<ymin>1<", "<ymin>0<", "leaves the image"),
        ("<xmin>1<", "<xmin>left<", "<bndbox/xmin> should be a number, not 'left'"),
        ("<xmin>1<", "<xmin>nan<", "should be a number"),
        ("<width>24<", "<width><", "<size/width> is missing or empty"),
        ("<width>24<", "<width>1e300<", "a size of 1"),
        ("<width>24<", "<width>1e999<", "<size/width> should be a number, not '1e999'"),
        ("<height>20<", "<height>70000<", "a size of 24 x 70000 pixels"),
        ("<annotation>", "<annotation>" + " " * 2**20, "not valid XML (1,0"),
        ("<difficult>0</difficult>", "", "<difficult> is missing"),
        ("<difficult>0<", "<difficult>2<", "<difficult> should be 0 or 1, not '2'"),
        ("<difficult>0<", "<difficult>0.4<", "<difficult> should be 0 or 1, not '0.4'"),
        ("<truncated>0<", "<truncated>-1<", "<truncated> should be 0 or 1, not '-1'"),
        ("<annotation>", '<?xml version="1.0" encoding="foo"?><annotation>', "not valid XML"),
        ("<annotation>", '<?xml version="1.0" encoding="gbk"?><annotation>', "not valid XML"),
        ("<annotation>", '<?xml version="1.0" encoding="utf-7"?><annotation>', "not valid XML"),
        ("<annotation>", '<?xml version="1.0" encoding="hex"?><annotation>', "not valid XML"),
        ("000001.jpg", "000009.jpg", "names the image 000009.jpg, which is missing"),
        ("</annotation>", "", "not valid XML"),
        ("<annotation>", '<!DOCTYPE a [<!ENTITY e "x">]><annotation>', "not valid XML"),
        ("object>", "thing>", "holds no object"),
    ],
)
def test_faulty_annotations(kit: Path, old: str, new: str, message: str) -> None:
    path = annotation(kit, "000001")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match="000001") as caught:
        VocSplit(kit, CLASSES, "trainval")
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "prepare voc" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_truncated_need_not_be_told(kit: Path) -> None:
    path = annotation(kit, "000001")
    path.write_text(path.read_text().replace("<truncated>0</truncated>", ""))
    (thing,) = VocSplit(kit, CLASSES, "trainval").annotations[0].things
    assert not thing.truncated


def test_missing_files(kit: Path) -> None:
    jpeg(kit, "000002").unlink()
    with pytest.raises(UserError, match=r"000002\.xml: names the image 000002\.jpg.*missing"):
        VocSplit(kit, CLASSES, "trainval")
    annotation(kit, "000001").unlink()
    with pytest.raises(UserError, match=r"a list .* names 000001, whose annotation is missing"):
        VocSplit(kit, CLASSES, "trainval")
    image_set(kit, "trainval").write_text("000003\n000003\n")
    with pytest.raises(UserError, match=r"trainval\.txt: lists 000003 more than once"):
        VocSplit(kit, CLASSES, "trainval")
    image_set(kit, "trainval").write_text("0\x0003\n0\x0003\n")
    with pytest.raises(UserError, match=r"trainval\.txt: lists 0\\x0003 more than once"):
        VocSplit(kit, CLASSES, "trainval")
    image_set(kit, "trainval").write_text("\n")
    with pytest.raises(UserError, match=r"trainval\.txt: lists no images"):
        VocSplit(kit, CLASSES, "trainval")
    image_set(kit, "trainval").unlink()
    with pytest.raises(UserError, match="the list of trainval cannot be read"):
        VocSplit(kit, CLASSES, "trainval")


@pytest.mark.parametrize("content", [b"", b"no image", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_unreadable_images(kit: Path, content: bytes) -> None:
    jpeg(kit, "000001").write_bytes(content)
    with pytest.raises(UserError, match=r"000001\.jpg: no readable image"):
        VocSplit(kit, CLASSES, "trainval").images()


def test_image_of_giant_sides(kit: Path) -> None:
    path = jpeg(kit, "000001")
    content = path.read_bytes()
    sides = content.index(b"\xff\xc0") + 5  # of the frame header: height, width
    assert content[sides : sides + 4] == struct.pack(">HH", 20, 24)
    path.write_bytes(content[:sides] + struct.pack(">HH", 65500, 65500) + content[sides + 4 :])
    with pytest.raises(UserError, match=r"000001\.jpg: no readable image .*limit") as caught:
        VocSplit(kit, CLASSES, "trainval").image(0)
    assert "\n" not in str(caught.value)


def test_truncated_image(kit: Path) -> None:
    path = jpeg(kit, "000001")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"000001\.jpg: no readable image"):
        VocSplit(kit, CLASSES, "trainval").image(0)


def test_image_of_another_size(kit: Path) -> None:
    Image.new("L", (20, 24)).save(jpeg(kit, "000003"))
    with pytest.raises(UserError, match="has 20 x 24 pixels, its annotation says 24 x 20"):
        VocSplit(kit, CLASSES, "trainval").image(2)


def test_what_systems_leave_is_no_class(kit: Path) -> None:
    """As tar and zip of macOS, and its disks elsewhere, have it beside each file."""
    for name in ("._cat_trainval.txt", ".cow_trainval.txt"):
        (image_set(kit, "").parent / name).write_bytes(b"\0\5\26\7")
    assert read_classes(kit) == CLASSES


def test_a_class_whose_name_is_no_text(kit: Path) -> None:
    folder = os.fsencode(image_set(kit, "").parent)
    Path(os.fsdecode(folder + b"/caf\xe9_trainval.txt")).touch()
    with pytest.raises(UserError, match=r"caf\\udce9': not a class's name in UTF-8") as caught:
        read_classes(kit)
    assert str(caught.value).isprintable()


def test_pillows_warnings_are_not_shown(kit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 24 * 20 - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        VocSplit(kit, CLASSES, "trainval").image(0)
