"""Odometry: motion from poses, and what is refused."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from recorded import pose, write_poses
from scipy.spatial.transform import Rotation

from nat.pretext.motion.frames import Sequence
from nat.pretext.motion.odometry import (
    FramePairs,
    RecordedMotion,
    _file_of,
    _neighbours,
    read_poses,
    relative,
)
from nat.runtime.errors import UserError

SETTING = "baselines.egomotion.odometry"
ANGLE = st.floats(-3, 3)
STEP = st.floats(-50, 50)


def parsed(file: Path) -> np.ndarray:
    return read_poses(file, SETTING, hashlib.sha256())


@given(yaw=ANGLE, x=STEP, z=STEP, turn=st.floats(-1.5, 1.5), right=STEP, ahead=STEP)
def test_motion_is_what_the_driver_did(
    yaw: float, x: float, z: float, turn: float, right: float, ahead: float
) -> None:
    """Wherever it is and looks: some metres to the right and ahead of itself, and a turn."""
    matrix = Rotation.from_euler("y", yaw).as_matrix()
    moved = matrix @ [right, 0, ahead] + [x, 0, z]
    first, second = pose(yaw, x, z), pose(yaw + turn, moved[0], moved[2])
    found = relative(first[None], second[None])[0]
    assert found == pytest.approx([right, ahead, turn], abs=1e-6)


def test_yaw_is_told_from_pitch() -> None:
    found = relative(pose(0, 0, 0)[None], pose(0.3, 0, 0, pitch=0.2)[None])[0]
    assert found[2] == pytest.approx(0.3)


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    poses = [pose(0.1 * n, n, 2.0 * n) for n in range(4)]
    write_poses(tmp_path / "00.txt", poses)
    assert np.allclose(parsed(tmp_path / "00.txt"), poses, atol=1e-5)


NO_TURN = "1 0 0 0 0 1 0 0 0 0 1 0"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1 0 0 0 0 1 0 0 0 0 1", "line 2: 11 numbers; a pose has 12"),
        ("", "line 2: 0 numbers; a pose has 12"),
        ("1 0 0 0 0 1 0 0 0 0 1 x", r"line 2: not 12 numbers \(.*'x'\)"),
        ("1 0 0 nan 0 1 0 0 0 0 1 0", "line 2: a number that is not finite"),
        ("1 0 0 0 0 1 0 inf 0 0 1 0", "line 2: a number that is not finite"),
        ("2 0 0 0 0 1 0 0 0 0 1 0", "line 2: its numbers 1-3, 5-7 and 9-11 are no rotation"),
        ("-1 0 0 0 0 1 0 0 0 0 1 0", "line 2: its numbers 1-3, 5-7 and 9-11 are no rotation"),
        ("é", "no odometry"),
    ],
)
def test_a_line_that_is_no_pose_is_refused(line: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "00.txt"
    file.write_text(f"{NO_TURN}\n{line}\n{NO_TURN}\n", encoding="utf-8")
    with pytest.raises(UserError, match=rf"{file}.*{said}") as error:
        parsed(file)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"00\.txt: not found; name a file in KITTI's layout by"):
        parsed(tmp_path / "00.txt")


def test_each_sequence_has_its_file(tmp_path: Path) -> None:
    (tmp_path / "poses").mkdir()
    for name in ("00", "02"):
        (tmp_path / f"poses/{name}.txt").touch()

    def found(name: str, odometry: str, count: int = 3) -> str:
        sequence = Sequence(name, [tmp_path / "drive" / name / "000000.png"])
        return _file_of(tmp_path / odometry, sequence, count, SETTING).name

    assert found("00/image_0", "poses") == "00.txt"
    assert found("02", "poses") == "02.txt"
    assert found("", "poses/00.txt", 1) == "00.txt"
    (tmp_path / "poses/drive.txt").touch()
    assert found("", "poses") == "drive.txt"
    with pytest.raises(UserError, match=r"01\.txt: not found, the odometry of 01/image_0; add it"):
        found("01/image_0", "poses")
    with pytest.raises(UserError, match=r"00\.txt: one file for 3 sequences; name a folder"):
        found("00", "poses/00.txt")


@given(count=st.integers(2, 12), apart=st.integers(1, 15))
def test_pairs_are_those_that_are_not_far_apart(count: int, apart: int) -> None:
    one, other = _neighbours(count, apart)
    expected = {(a, b) for a in range(count) for b in range(count) if 0 < abs(a - b) <= apart}
    assert set(zip(one.tolist(), other.tolist(), strict=True)) == expected
    assert len(one) == len(expected)


def test_bins_are_of_one_width_over_what_is_there() -> None:
    draws = np.random.default_rng(0)
    motions = np.stack([draws.normal(0, 2, 300), draws.uniform(1, 5, 300), np.zeros(300)], 1)
    motion = RecordedMotion(motions, 20, SETTING)
    assert motion.axes == ("sideways", "forward")  # nothing turns
    for axis in range(2):
        edges = np.linspace(motions[:, axis].min(), motions[:, axis].max(), 21)[1:-1]
        assert np.array_equal(np.digitize(motions[:, axis], edges), motion.classes[:, axis])
    images = torch.zeros(2, 2, 1, 4, 4)
    pairs, classes = motion(images, torch.tensor([7, 3]))
    assert pairs is images
    assert classes.equal(motion.classes[[7, 3]])
    with pytest.raises(UserError, match="the camera does not move in it"):
        RecordedMotion(np.ones((5, 3)), 20, SETTING)


def test_both_frames_are_cut_at_the_same_place() -> None:
    numbers = np.arange(2 * 3 * 10 * 12).reshape(2, 3, 1, 10, 12)
    sequences = [(number % 251).astype(np.uint8) for number in numbers]
    pairs = FramePairs(sequences, np.array([[0, 0, 2], [1, 1, 0], [1, 2, 1]]), 4)
    corners = torch.tensor([[0.0, 0.0], [0.999, 0.999], [0.5, 0.3]])
    cut = pairs.cut(torch.tensor([2, 1, 0]), corners)
    assert cut.shape == (3, 2, 1, 4, 4)
    assert np.array_equal(cut[0], sequences[1][[2, 1], :, :4, :4])
    assert np.array_equal(cut[1], sequences[1][[1, 0], :, 6:, 8:])
    assert np.array_equal(cut[2], sequences[0][[0, 2], :, 3:7, 2:6])
    assert len(pairs) == 3
