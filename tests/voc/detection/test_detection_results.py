from pathlib import Path

import numpy as np
import pytest

from nat.runtime.errors import UserError
from nat.voc.detection.average_precision import Detections
from nat.voc.detection.results import read_results, write_results

NAMES, CLASSES = ["000007", "000012"], ["cat", "dog"]
CAT = Detections(
    np.array([0, 1, 0]),
    np.array([0.875, 0.5, 0.125]),
    np.array([[1, 2, 3, 4], [1.25, 2, 30.5, 40], [5, 6, 7, 8.75]]),
)
NONE = Detections(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 4)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_results(tmp_path / "results", NAMES, CLASSES, [CAT, NONE])
    return tmp_path / "results"


def test_the_kits_format(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == [
        "comp4_det_test_cat.txt",
        "comp4_det_test_dog.txt",
    ]
    lines = (folder / "comp4_det_test_cat.txt").read_text().splitlines()
    assert lines[1] == "000012 0.500000 1.25 2.00 30.50 40.00"
    assert (folder / "comp4_det_test_dog.txt").read_text() == ""


def test_read_what_was_written(folder: Path) -> None:
    cat, none = read_results(folder, NAMES, CLASSES)
    np.testing.assert_array_equal(cat.images, CAT.images)
    np.testing.assert_array_equal(cat.scores, CAT.scores)
    np.testing.assert_array_equal(cat.boxes, CAT.boxes)
    assert none.boxes.shape == (0, 4)
    assert none.images.dtype == np.int64


@pytest.mark.parametrize(
    "line",
    ["000007 0.5 1 2 3", "000007 0.5 1 2 3 x", "000099 0.5 1 2 3 4", "000007 0.5 1 2 3 4 5", "\n"],
)
def test_faulty_line(folder: Path, line: str) -> None:
    path = folder / "comp4_det_test_cat.txt"
    path.write_text(f"000012 1 1 1 2 2\n{line}\n")
    with pytest.raises(UserError, match=r"comp4_det_test_cat\.txt: line 2 should be a test"):
        read_results(folder, NAMES, CLASSES)


def test_missing_and_not_finite(folder: Path) -> None:
    (folder / "comp4_det_test_dog.txt").write_text("000012 nan 1 1 2 2\n")
    with pytest.raises(UserError, match=r"comp4_det_test_dog\.txt: holds a number"):
        read_results(folder, NAMES, CLASSES)
    (folder / "comp4_det_test_dog.txt").unlink()
    with pytest.raises(UserError, match=r"the detections of dog cannot be read"):
        read_results(folder, NAMES, CLASSES)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"0" * 10**6, b"\0" * 50, b"000007 " * 10**5])
def test_what_is_no_text_of_detections(content: bytes, folder: Path) -> None:
    (folder / "comp4_det_test_cat.txt").write_bytes(content)
    with pytest.raises(UserError, match=r"comp4_det_test_cat\.txt: ") as caught:
        read_results(folder, NAMES, CLASSES)
    assert len(str(caught.value)) < 800
    assert str(caught.value).isprintable()
