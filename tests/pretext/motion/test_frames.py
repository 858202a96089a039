"""Reading real frames: their order, their size, and what is refused."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from recorded import panned, texture, write_frames

from nat.pretext.motion.frames import Recording
from nat.runtime.errors import UserError

SETTING = "baselines.tracking.frames"


def opened(folder: Path, channels: int = 1) -> Recording:
    return Recording(SETTING, str(folder), channels, 2)


def read(folder: Path, channels: int = 1, least: int = 8, side: int = 1000) -> list[np.ndarray]:
    return list(opened(folder, channels).read(least, side))


def test_frames_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    frames = panned(12)
    for number in range(12):  # by their letters, 10 and 11 would come before 2
        Image.fromarray(frames[number].astype(np.uint8)).save(tmp_path / f"v2_frame{number}x.png")
    (found,) = read(tmp_path)
    assert np.array_equal(found[:, 0], frames.astype(np.uint8))


def test_every_folder_is_a_sequence(tmp_path: Path) -> None:
    write_frames(tmp_path / "01/image_0", panned(3, seed=1), first=7)
    write_frames(tmp_path / "00/image_0", panned(4, seed=0))
    write_frames(tmp_path / "00/image_1", panned(2, height=50, seed=2))
    recording = opened(tmp_path)
    names = [sequence.name for sequence in recording.sequences]
    assert names == ["00/image_0", "00/image_1", "01/image_0"]
    shapes = [each.shape for each in recording.read(8, 1000)]
    assert shapes == [(4, 1, 40, 60), (2, 1, 50, 60), (3, 1, 40, 60)]
    assert recording.facts["frames"] == 9


def test_frames_are_reduced_but_not_enlarged(tmp_path: Path) -> None:
    wide = np.stack([texture(40, 100, seed, 4) for seed in range(2)])
    write_frames(tmp_path, wide)
    (found,) = read(tmp_path, side=20)
    assert found.shape == (2, 1, 20, 50)
    halved = wide.reshape(2, 20, 2, 50, 2).mean((2, 4))
    assert abs(found[:, 0] - halved).mean() < 3
    assert read(tmp_path, side=64)[0].shape == (2, 1, 40, 100)


def test_colours_are_read_or_made_grey(tmp_path: Path) -> None:
    colours = np.zeros((2, 16, 16, 3))
    colours[..., 0], colours[..., 1] = 200, 100
    write_frames(tmp_path, colours)
    (found,) = read(tmp_path, channels=3)
    assert found[0, :, 0, 0].tolist() == [200, 100, 0]
    (grey,) = read(tmp_path)
    assert grey[0, 0, 0, 0] == round(0.299 * 200 + 0.587 * 100)


def test_the_checksum_is_of_names_and_bytes(tmp_path: Path) -> None:
    def checksum() -> str:
        recording = opened(tmp_path / "a")
        assert recording.facts["sha256"] == hashlib.sha256().hexdigest()  # nothing read so far
        list(recording.read(8, 20))
        return recording.facts["sha256"]

    write_frames(tmp_path / "a", panned(4))
    before = checksum()
    assert checksum() == before
    shutil.move(tmp_path / "a/000003.png", tmp_path / "a/000003x.png")
    renamed = checksum()
    Image.fromarray(np.zeros((40, 60), np.uint8)).save(tmp_path / "a/000003x.png")
    assert len({before, renamed, checksum()}) == 3


def gap(folder: Path) -> None:
    (folder / "000002.png").unlink()


def alone(folder: Path) -> None:
    for number in (1, 2, 3, 4):
        (folder / f"{number:06d}.png").unlink()


def unnumbered(folder: Path) -> None:
    shutil.copy(folder / "000000.png", folder / "cover.png")


def twice(folder: Path) -> None:
    shutil.copy(folder / "000003.png", folder / "3.png")


def mixed(folder: Path) -> None:
    Image.fromarray(np.zeros((40, 61), np.uint8)).save(folder / "000003.png")


def damaged(folder: Path) -> None:
    (folder / "000003.png").write_bytes((folder / "000003.png").read_bytes()[:200])


def empty(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    (folder / "clip.mp4").touch()


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (gap, r"000003\.png: comes after 000001\.png, so frame 2 is missing; put it back"),
        (alone, r"000000\.png: is alone in its folder; a sequence has two frames or more"),
        (unnumbered, r"cover\.png: has no number in its name; number frames"),
        (twice, r"3\.png: has the number of (000003|3)\.png; keep one of them"),
        (mixed, r"000003\.png: 61 x 40 pixels, but 000000\.png has 60 x 40; the frames of"),
        (damaged, r"000003\.png: no image that can be read \(.*\); replace it"),
        (empty, r"no images \(.*\) in it; found files of other kinds: 1 \(\.mp4 1\)"),
        (gone, r"no such folder; name one with frames"),
    ],
)
def test_what_is_no_sequence_is_refused(
    spoil: Callable[[Path], None], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "drive"
    write_frames(folder, panned(5))
    assert read(folder)[0].shape == (5, 1, 40, 60)
    spoil(folder)
    with pytest.raises(UserError, match=rf"^{SETTING}: {folder}.*{said}") as error:
        read(folder)
    assert "\n" not in str(error.value)


def test_frames_smaller_than_the_crop_are_refused(tmp_path: Path) -> None:
    write_frames(tmp_path, panned(3))
    assert read(tmp_path, least=40)
    with pytest.raises(UserError, match=r"000000\.png: 60 x 40 pixels, but 41 are the least here"):
        read(tmp_path, least=41)
