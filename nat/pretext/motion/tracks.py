"""Real frames with what moves in them: patches, tracked from a frame to a later one, by OpenCV.

Wang & Gupta (2015), section 4. Where the paper takes SURF's points, which are patented and in few
builds of OpenCV, and the motion of improved dense trajectories, these are corners and their flow
(Lucas-Kanade) less the camera's motion, a similarity that most of them follow. The rest is theirs:
points that move by more than half a pixel; frames where too few or too many do are passed over; the
patch is where most of them are; KCF follows it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from nat.methods import TrunkSession
from nat.pretext.motion.frames import Recording
from nat.runtime.errors import UserError

MOVED = 0.5  # pixels, of a point between two frames
SHARE = (0.25, 0.75)  # of a frame's points that move
POINTS = 1000  # corners of a frame, at most
FEWEST = 8  # corners that a camera's motion can be told from
APART = 3  # pixels between corners

Box = tuple[int, int, int]  # left, top, side


@dataclass(frozen=True)
class Patches:
    """Pairs of patches: the first and the last of each track; see ``PairLoader``.

    Attributes:
        patches: uint8 (m, 2, c, side, side).
    """

    patches: np.ndarray

    def __len__(self) -> int:
        return len(self.patches)

    def cut(self, rows: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
        """The patches of some rows, as they are."""
        return torch.from_numpy(self.patches[rows.numpy()])


def tracked(session: TrunkSession, frames: str, span: int, share: float) -> Patches:
    """The first and the last patch of each track in a folder of sequences.

    Args:
        session: of the training; told what was read.
        frames: the folder.
        span: frames from the first to the last patch.
        share: the patches' side, of the frames' short side, which is reduced to fit.

    Raises:
        UserError: see ``Recording``, or this OpenCV has no KCF.
    """
    setting, crop = f"{session.group}.frames", session.crop
    if not hasattr(cv2, "TrackerKCF"):
        raise UserError(
            f"{setting}: tracking needs OpenCV's further modules, which this OpenCV "
            f"{cv2.__version__} lacks; install opencv-contrib-python-headless in its place"
        )
    cv2.setNumThreads(1)
    recording = Recording(setting, frames, session.images.channels, session.params.machine.workers)
    found = [
        np.stack([cut(frames_[start], begin), cut(frames_[start + span], end)])
        for frames_ in recording.read(crop, round(crop / share))
        for start, begin, end in tracks(frames_, crop, span)
    ]
    session.has_read("frames", recording.facts | {"tracks": len(found)})
    return Patches(np.stack(found) if found else np.empty((0, 2), np.uint8))


def cut(frame: np.ndarray, box: Box) -> np.ndarray:
    """A patch of a frame: (c, side, side) of (c, h, w)."""
    left, top, side = box
    return frame[:, top : top + side, left : left + side]


def tracks(frames: np.ndarray, side: int, span: int) -> Iterator[tuple[int, Box, Box]]:
    """What moves in a sequence, followed; a track begins where the one before it may end.

    Args:
        frames: uint8 (n, c, h, w).
        side: of the patches, pixels.
        span: frames from a track's first to its last.

    Yields:
        the first frame, and the patch in it and in the last one.
    """
    images = [_bgr(frame) for frame in frames]
    for start in range(0, len(images) - span, span):
        begin = moving(images[start], images[start + 1], side)
        end = follow(images[start : start + span + 1], begin) if begin else None
        if begin and end:
            yield start, begin, end


def moving(image: np.ndarray, following: np.ndarray, side: int) -> Box | None:
    """The patch with most of what moves from a frame to the next, if some but not all does.

    Args:
        image: uint8 (h, w, 3), BGR.
        following: the next frame.
        side: of the patch, pixels.
    """
    grey, after = (_grey(each) for each in (image, following))
    points = cv2.goodFeaturesToTrack(grey, POINTS, 0.01, APART)
    if points is None or len(points) < FEWEST:
        return None
    ends, followed, _ = cv2.calcOpticalFlowPyrLK(grey, after, points, np.empty_like(points))
    kept = followed[:, 0] == 1
    points, ends = points[kept, 0], ends[kept, 0]
    if len(points) < FEWEST:
        return None
    cv2.setRNGSeed(0)  # of the draws that find what most points agree on
    camera, _ = cv2.estimateAffinePartial2D(points, ends, ransacReprojThreshold=MOVED)
    if camera is None:
        return None
    own = ends - (points @ camera[:, :2].T + camera[:, 2])
    moves = np.linalg.norm(own, axis=1) > MOVED
    if not SHARE[0] <= moves.mean() <= SHARE[1]:
        return None
    return densest(points[moves], grey.shape[0], grey.shape[1], side)


def densest(points: np.ndarray, height: int, width: int, side: int) -> Box:
    """The square with most points; of several, the one in the middle of them.

    Args:
        points: float (n, 2), across and down, pixels.
        height: of the frame.
        width: of the frame.
        side: of the square, at most the frame's.
    """
    counts = np.zeros((height, width), np.int64)
    across, down = np.minimum(points.astype(np.int64), (width - 1, height - 1)).T
    np.add.at(counts, (down, across), 1)
    sums = np.pad(counts.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    within = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    best = np.argwhere(within == within.max())
    top, left = best[((best - best.mean(0)) ** 2).sum(1).argmin()].tolist()
    return left, top, side


def follow(images: list[np.ndarray], box: Box) -> Box | None:
    """Where a patch of the first image is in the last one; None if it is lost, or leaves it."""
    left, top, side = box
    tracker = cv2.TrackerKCF.create()
    tracker.init(images[0], (left, top, side, side))
    for image in images[1:]:
        there, (left, top, *_) = tracker.update(image)
        if not there:
            return None
    height, width = images[0].shape[:2]
    inside = 0 <= left <= width - side and 0 <= top <= height - side
    return (left, top, side) if inside else None


def _bgr(frame: np.ndarray) -> np.ndarray:
    """A frame, uint8 (c, h, w), in OpenCV's layout, in colours, which KCF compares."""
    return np.ascontiguousarray(
        np.moveaxis(np.broadcast_to(frame[::-1], (3, *frame.shape[1:])), 0, 2)
    )


def _grey(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
