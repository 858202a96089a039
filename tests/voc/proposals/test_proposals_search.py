import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from nat.data.seeds import generator
from nat.runtime.errors import UserError
from nat.runtime.settings.params import ProposalSettings
from nat.voc.data.boxes import overlaps
from nat.voc.data.devkit import jpeg
from nat.voc.data.proposals import Proposals, save_proposals
from nat.voc.data.reader import VocSplit
from nat.voc.proposals import selective_search
from nat.voc.proposals.selective_search import CHUNK, search, search_split


def settings(**changes: Any) -> ProposalSettings:
    usual: dict[str, Any] = {
        "source": "selective-search",
        "trainval": None,
        "test": None,
        "count": None,
        "smallest": 6,
        "short_side": 90,
        "segments": [50, 100],
        "sigma": 0.8,
    }
    return ProposalSettings.model_validate(usual | changes)


def scene(colour: bool = False) -> tuple[np.ndarray, list[list[int]]]:
    """A bright and a dark rectangle on a noisy ground, uint8 (60, 76, 3), and their boxes."""
    draws = np.random.default_rng(0)
    pixels = draws.normal(120, 6, (60, 76, 1)).repeat(3, axis=2)
    pixels[10:40, 8:30] += 90
    pixels[20:51, 42:70] -= 90
    if colour:
        pixels[10:40, 8:30, 1:] -= 90  # red, as bright as the ground
        pixels[20:51, 42:70, :2] += 90
    return pixels.clip(0, 255).astype(np.uint8), [[9, 11, 30, 40], [43, 21, 70, 51]]


def found_in(image: np.ndarray, **changes: Any) -> np.ndarray:
    return search(image, settings(**changes), generator(0, "test"))


def best(boxes: np.ndarray, truth: list[list[int]]) -> float:
    """The smallest of the true boxes' largest overlaps."""
    both = [Proposals(["a"], [np.array(each)])["a"] for each in (truth, boxes)]
    return float(overlaps(*both).amax(dim=1).min())


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("short_side", [None, 45, 90, 120])
def test_finds_the_objects(colour: bool, short_side: int | None) -> None:
    image, truth = scene(colour)
    boxes = found_in(image, short_side=short_side)
    assert boxes.dtype == np.int64
    assert best(boxes, truth) > 0.8


def test_boxes_are_exact_without_resizing_or_blur() -> None:
    pixels = np.full((60, 76, 3), 100, np.uint8)
    pixels[10:40, 8:30] = 200
    boxes = found_in(pixels, short_side=None, sigma=0.01)
    assert [9, 11, 30, 40] in boxes.tolist()
    assert [1, 1, 76, 60] in boxes.tolist()


@pytest.mark.parametrize("scales", [[50], [30, 120], [2000], [150, 50, 100]])
def test_the_segments_of_every_scale_are_proposals(scales: list[int]) -> None:
    """A segmentation of scale k, which has segments of k pixels, is what the search starts from."""
    draws = np.random.default_rng(0)
    pixels = draws.integers(0, 255, (12, 15, 1)).repeat(5, 0).repeat(5, 1).repeat(3, 2)
    image = (pixels + draws.integers(0, 8, pixels.shape[:2])[..., None]).clip(0, 255)
    image = image.astype(np.uint8)
    boxes = found_in(image, short_side=None, smallest=1, segments=scales).tolist()
    few, most = [], 0
    for scale in scales:
        create = cv2.ximgproc.segmentation.createGraphSegmentation
        segments = create(0.8, scale, scale).processImage(np.ascontiguousarray(image[..., 0]))
        few.append(min(np.bincount(segments.ravel())))
        most += 3 * (segments.max() + 1) - 2  # themselves, and n - 1 unions by either measure
        for segment in range(segments.max() + 1):
            y, x = np.nonzero(segments == segment)
            assert [x.min() + 1, y.min() + 1, x.max() + 1, y.max() + 1] in boxes
    assert len(boxes) <= most
    assert min(few) < 100 or scales == [2000]  # smaller than OpenCV's own


def test_boxes_respect_the_limits() -> None:
    image, _ = scene()
    every = found_in(image, smallest=1)
    assert len(np.unique(every, axis=0)) == len(every)
    assert (every[:, :2] >= 1).all()
    assert (every[:, 2:] <= [76, 60]).all()
    large = found_in(image, smallest=15)
    assert (large[:, 2:] - large[:, :2] + 1 >= 15).all()
    assert 0 < len(large) < len(every)
    few = found_in(image, smallest=1, count=5)
    assert few.tolist() == every[:5].tolist()


def test_a_image_without_structure_has_one_box() -> None:
    flat = np.full((20, 30, 3), 7, np.uint8)
    assert found_in(flat).tolist() == [[1, 1, 30, 20]]
    assert found_in(flat, smallest=25).tolist() == [[1, 1, 30, 20]]


def test_order_is_drawn_and_nothing_else_is_random() -> None:
    image, _ = scene()
    one, again = found_in(image), found_in(image)
    other = search(image, settings(), generator(1, "test"))
    assert one.tolist() == again.tolist() != other.tolist()
    assert sorted(one.tolist()) == sorted(other.tolist())


def test_colour_is_read_and_seen(kit: Path) -> None:
    image, truth = scene(colour=True)
    split = VocSplit(kit, ["cat", "dog"], "trainval")
    Image.fromarray(image[:20, 28:52]).save(jpeg(kit, "000001"), quality=100, subsampling=0)
    read = split.image(0, "RGB").numpy()
    assert read.shape == (20, 24, 3)
    assert np.abs(read.astype(int) - image[:20, 28:52]).mean() < 3
    luma = np.asarray(Image.fromarray(image).convert("L"))[..., None].repeat(3, axis=2)
    assert best(found_in(image), truth) > best(found_in(luma), truth)


def test_more_threads_than_a_chunk_has_images(
    voc: VocSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All work at once, and no more of them than there are threads."""
    enough, count, lock = threading.Event(), [0, 0], threading.Lock()
    original = selective_search.search

    def counted(*words: Any) -> np.ndarray:
        with lock:
            count[0] += 1
            count[1] = max(count)
            if count[0] > CHUNK:
                enough.set()
        assert enough.wait(10)
        found = original(*words)
        with lock:
            count[0] -= 1
        return found

    monkeypatch.setattr(selective_search, "search", counted)
    found, _ = search_split(voc, settings(), CHUNK + 1, tmp_path / "s", "")
    assert count == [0, CHUNK + 1]
    monkeypatch.setattr(selective_search, "search", original)
    plain, _ = search_split(voc, settings(), 1, tmp_path / "plain", "")
    assert [each.tolist() for each in found.values()] == [each.tolist() for each in plain.values()]


def test_an_error_leaves_the_rest(
    voc: VocSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images of the later chunks that were given out are not waited for."""
    asked = []

    def faulty(self: VocSplit, index: int, *mode: Any) -> Any:
        asked.append(index)
        if index:
            time.sleep(0.1)
        raise UserError("unreadable")

    monkeypatch.setattr(VocSplit, "image", faulty)
    monkeypatch.setattr(selective_search, "AHEAD", len(voc))
    with pytest.raises(UserError, match="unreadable"):
        search_split(voc, settings(), 1, tmp_path / "s", "")
    assert len(asked) < len(voc) / 2


def test_threads_and_interruptions_change_nothing(
    voc: VocSplit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(voc) > CHUNK
    whole, _ = search_split(voc, settings(), 1, tmp_path / "one", "")
    assert list(whole) == [one.name for one in voc.annotations]
    two, _ = search_split(voc, settings(), 2, tmp_path / "two", "")

    original = VocSplit.image

    def until_the_second_chunk(self: VocSplit, index: int, *mode: Any) -> Any:
        if index == CHUNK + 2:
            raise KeyboardInterrupt
        return original(self, index, *mode)

    third = tmp_path / "three"
    with monkeypatch.context() as patch:
        patch.setattr(VocSplit, "image", until_the_second_chunk)
        with pytest.raises(KeyboardInterrupt):
            search_split(voc, settings(), 2, third, "")
    assert sorted(path.name for path in third.iterdir()) == ["000000.safetensors", "seconds.json"]

    read = []

    def noted(self: VocSplit, index: int, *mode: Any) -> Any:
        read.append(index)
        return original(self, index, *mode)

    monkeypatch.setattr(VocSplit, "image", noted)
    three, seconds = search_split(voc, settings(), 2, third, "")
    assert sorted(read) == list(range(CHUNK, len(voc)))
    assert seconds > 0
    for other in (two, three):
        assert list(other) == list(whole)
        assert all((other[name] == whole[name]).all() for name in whole)


def whole_parts(folder: Path, voc: VocSplit) -> dict[str, np.ndarray]:
    """Search once, and leave the files of the finished chunks."""
    found, _ = search_split(voc, settings(), 1, folder, "")
    return found


@pytest.mark.parametrize(
    "damage",
    ["empty", "cut", "foreign", "another chunk's", "other boxes", "not whole", "folder of none"],
)
def test_a_damaged_part_is_searched_again(
    damage: str, voc: VocSplit, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    found = whole_parts(tmp_path / "s", voc)
    first, second = sorted((tmp_path / "s").glob("*.safetensors"))
    right = second.read_bytes()
    names = [one.name for one in voc.annotations[CHUNK:]]
    if damage == "other boxes":
        save_proposals(second, {name: np.array([[1, 1, 5000, 5]]) for name in names})
    elif damage == "not whole":
        save_proposals(second, {name: np.zeros((0, 4)) for name in names})
    elif damage == "folder of none":
        save_proposals(second, {})
    else:
        bad = {"empty": b"", "cut": right[:-5], "foreign": b"x" * 50}
        second.write_bytes(bad.get(damage, first.read_bytes()))
    again, _ = search_split(voc, settings(), 2, tmp_path / "s", "")
    assert list(again) == list(found)
    assert all((again[name] == found[name]).all() for name in found)
    assert again[names[0]].dtype == np.int64
    assert second.read_bytes() == right
    said = capsys.readouterr().err
    assert said == f"{second}: damaged; its images are searched again\n"


@pytest.mark.parametrize("content", ["", "{", "null", '"1"', "-1", "NaN", "1e999", "[" * 9999])
def test_a_damaged_clock_starts_anew(
    content: str, voc: VocSplit, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    whole_parts(tmp_path / "s", voc)
    (tmp_path / "s" / "seconds.json").write_text(content)
    _, seconds = search_split(voc, settings(), 1, tmp_path / "s", "")
    assert seconds == 0
    assert "seconds.json: damaged; the time until now is not counted" in capsys.readouterr().err
    (tmp_path / "s" / "seconds.json").write_text("12.5\n")
    assert search_split(voc, settings(), 1, tmp_path / "s", "")[1] == 12.5
