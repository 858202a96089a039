"""Real frames with the poses of their camera, in KITTI's layout: motion as classes.

A line for each frame of twelve numbers, the upper three rows of the 4 x 4 matrix that maps the
camera's coordinates (x to the right, y down, z forward, metres) to those of the first frame.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from torch import nn

from nat.methods import TrunkSession
from nat.pretext.motion.frames import Recording, Sequence
from nat.runtime.errors import UserError
from nat.runtime.io.foreign import reading
from nat.runtime.io.paths import place

AXES = ("sideways", "forward", "yaw")
TOLERANCE = 1e-2  # of a rotation's products with itself, for odometry of few digits


class RecordedMotion(nn.Module):
    """The classes of recorded pairs, of the axes along which anything moves."""

    classes: torch.Tensor

    def __init__(self, motions: np.ndarray, bins: int, setting: str) -> None:
        """Motions to bins of one width, from the least to the largest of each axis.

        Args:
            motions: float (m, 3), of each pair along ``AXES``.
            bins: how many.
            setting: what names the odometry, for the error.

        Raises:
            UserError: nothing moves.
        """
        super().__init__()
        least, most = motions.min(0), motions.max(0)
        moved = most > least
        if not moved.any():
            raise UserError(f"{setting}: the camera does not move in it; use frames where it does")
        self.axes = tuple(axis for axis, each in zip(AXES, moved, strict=True) if each)
        self.bins = bins
        shares = (motions - least)[:, moved] / (most - least)[moved]
        classes = np.minimum(shares * bins, bins - 1).astype(np.int64)
        self.register_buffer("classes", torch.from_numpy(classes), persistent=False)

    def forward(
        self, images: torch.Tensor, rows: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Pairs, uint8 (b, 2, c, h, w), as they are, and their classes, int64 (b, axes)."""
        return images, self.classes[rows.to(self.classes.device, non_blocking=True)]


@dataclass(frozen=True)
class FramePairs:
    """Pairs of frames of the same sequence, cut at the same place; see ``PairLoader``.

    Attributes:
        sequences: uint8 (n, c, h, w) each.
        places: int64 (m, 3): sequence, first and second frame of each pair.
        crop: side of the squares, pixels.
    """

    sequences: list[np.ndarray]
    places: np.ndarray
    crop: int

    def __len__(self) -> int:
        return len(self.places)

    def cut(self, rows: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
        """Pairs; ``corners`` (b, 2), from 0 to 1, is where: uint8 (b, 2, c, crop, crop)."""
        cut = []
        chosen = self.places[rows.numpy()].tolist()
        for (number, *both), (down, across) in zip(chosen, corners.tolist(), strict=True):
            frames = self.sequences[number]
            height, width = frames.shape[2:]
            top = int(down * (height - self.crop + 1))
            left = int(across * (width - self.crop + 1))
            square = frames[both, :, top : top + self.crop, left : left + self.crop]
            cut.append(torch.from_numpy(square))
        return torch.stack(cut)


def with_odometry(
    session: TrunkSession, frames: str, odometry: str, apart: int, bins: int
) -> tuple[FramePairs, RecordedMotion]:
    """All pairs of frames that are not far apart, in both orders, and their motion.

    Args:
        session: of the training; told what was read.
        frames: the folder.
        odometry: a file, or a folder with one for each sequence: NAME.txt beside which NAME is the
            sequence's folder, or one around it, as poses/00.txt is that of sequences/00/image_0.
        apart: frames at most between the two of a pair.
        bins: of each axis.

    Raises:
        UserError: frames or odometry are missing, damaged or do not fit together.
    """
    machine, setting = session.params.machine, f"{session.group}.odometry"
    recording = Recording(
        f"{session.group}.frames", frames, session.images.channels, machine.workers
    )
    digest = hashlib.sha256()
    poses = []
    for sequence in recording.sequences:
        file = _file_of(place(odometry), sequence, len(recording.sequences), setting)
        poses.append(read_poses(file, setting, digest))
        if len(poses[-1]) != len(sequence.files):
            raise UserError(
                f"{setting}: {file}: {len(poses[-1])} lines for the {len(sequence.files)} frames "
                f"of {recording.root / sequence.name}; each frame has one"
            )
    places, motions = [], []
    for number, each in enumerate(poses):
        one, other = _neighbours(len(each), apart)
        places.append(np.stack([np.full_like(one, number), one, other], 1))
        motions.append(relative(each[one], each[other]))
    motion = RecordedMotion(np.concatenate(motions), bins, setting)
    sequences = list(recording.read(session.crop, session.images.size))
    session.has_read("frames", recording.facts)
    session.has_read("odometry", {"sha256": digest.hexdigest()})
    return FramePairs(sequences, np.concatenate(places), session.crop), motion


def _neighbours(count: int, apart: int) -> tuple[np.ndarray, np.ndarray]:
    """The first and second of all pairs of ``count`` frames up to ``apart`` of each other."""
    first, step = np.arange(count)[:, None], np.arange(-apart, apart + 1)
    second = first + step
    kept = (second >= 0) & (second < count) & (step != 0)
    return np.broadcast_to(first, kept.shape)[kept], second[kept]


def _file_of(odometry: Path, sequence: Sequence, count: int, setting: str) -> Path:
    """The odometry file of a sequence."""
    if not odometry.is_dir():
        if count > 1:
            raise UserError(
                f"{setting}: {odometry}: one file for {count} sequences; name a folder with a file "
                f"for each, such as {PurePosixPath(sequence.name).name}.txt"
            )
        return odometry
    name = PurePosixPath(sequence.name or sequence.files[0].parent.name)
    found = [odometry / f"{each}.txt" for each in (name, *name.parents) if each.name]
    for file in found:
        if file.exists():
            return file
    raise UserError(f"{setting}: {found[-1]}: not found, the odometry of {name}; add it")


def read_poses(file: Path, setting: str, digest: "hashlib._Hash") -> np.ndarray:
    """The poses of a file: float64 (n, 3, 4).

    Args:
        file: of text.
        setting: what names it.
        digest: is given the file's bytes.

    Raises:
        UserError: missing, no text, or a line that is no pose.
    """
    remedy = f"name a file in KITTI's layout by {setting}, 12 numbers a line"
    with reading(file, "odometry", remedy):
        content = file.read_bytes()
        lines = content.decode("ascii").rstrip().splitlines()
    digest.update(content)
    poses = np.empty((len(lines), 12))
    for number, (pose, line) in enumerate(zip(poses, lines, strict=True), start=1):
        words = line.split()
        where = f"{setting}: {file}, line {number}"
        if len(words) != 12:
            raise UserError(f"{where}: {len(words)} numbers; a pose has 12")
        try:
            pose[:] = [float(word) for word in words]
        except ValueError as error:
            raise UserError(f"{where}: not 12 numbers ({error})") from error
        if not np.isfinite(pose).all():
            raise UserError(f"{where}: a number that is not finite; a pose has none")
        turn = pose.reshape(3, 4)[:, :3]
        if abs(turn @ turn.T - np.eye(3)).max() > TOLERANCE or np.linalg.det(turn) < 0:
            raise UserError(
                f"{where}: its numbers 1-3, 5-7 and 9-11 are no rotation; a pose's are, by rows"
            )
    return poses.reshape(-1, 3, 4)


def relative(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The motion from one pose to another, in the first one's coordinates.

    Args:
        first: float (m, 3, 4).
        second: likewise.

    Returns:
        float (m, 3): along x and along z, in the poses' unit; the turn about y, radians.
    """
    back = first[:, :, :3].transpose(0, 2, 1)
    turn = back @ second[:, :, :3]
    shift = (back @ (second[:, :, 3] - first[:, :, 3])[..., None])[..., 0]
    return np.stack([shift[:, 0], shift[:, 2], np.arctan2(turn[:, 0, 2], turn[:, 2, 2])], 1)
