"""Small recorded sequences: a camera that drives and turns, an object that moves."""

from pathlib import Path

import numpy as np
import scipy.ndimage
import scipy.spatial
from PIL import Image


def texture(height: int, width: int, seed: int, blur: float = 1.5) -> np.ndarray:
    """A smooth random image: float (height, width), from 0 to 255."""
    rough = np.random.default_rng(seed).uniform(size=(height, width))
    smooth = scipy.ndimage.gaussian_filter(rough, blur)
    return 255 * (smooth - smooth.min()) / np.ptp(smooth)


def write_frames(folder: Path, frames: np.ndarray, first: int = 0) -> None:
    """Frames, (n, h, w) or (n, h, w, 3), as numbered PNG files."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, start=first):
        Image.fromarray(frame.astype(np.uint8)).save(folder / f"{number:06d}.png")


def panned(count: int, height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    """A camera that looks along a wall and moves to the right by a pixel a frame."""
    wall = texture(height, width + count, seed)
    return np.stack([wall[:, at : at + width] for at in range(count)])


def moving_square(count: int, side: int, speed: float, seed: int = 0) -> tuple[np.ndarray, list]:
    """A textured square over a still background; and where its corner is, left and top."""
    ground = texture(64, 120, seed, 1.5)
    object_ = texture(side, side, seed + 1, 1.5)
    frames, places = [], []
    for number in range(count):
        left, top = 20 + round(speed * number), 8
        frame = ground.copy()
        frame[top : top + side, left : left + side] = object_[:, : max(0, 120 - left)]
        frames.append(frame)
        places.append((left, top))
    return np.stack(frames), places


def pose(yaw: float, x: float, z: float, pitch: float = 0.0) -> np.ndarray:
    """A pose in KITTI's layout: the turn about y, then about x, radians; a place on the ground."""
    turn = scipy.spatial.transform.Rotation.from_euler("YX", [yaw, pitch]).as_matrix()
    return np.concatenate([turn, [[x], [0.0], [z]]], 1)


def write_poses(file: Path, poses: list[np.ndarray]) -> None:
    """A line for each pose."""
    file.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(file, np.reshape(poses, (-1, 12)), fmt="%.6e")
