"""Tracked patches: the moving thing is found and followed."""

import numpy as np
import pytest
from recorded import moving_square, panned, texture
from scipy.ndimage import shift

from nat.pretext.motion.tracks import cut, densest, follow, moving, tracks


def frames_of(images: np.ndarray) -> np.ndarray:
    return images.astype(np.uint8)[:, None]


def pictures(images: np.ndarray) -> list[np.ndarray]:
    return [image.astype(np.uint8)[..., None].repeat(3, 2) for image in images]


@pytest.mark.parametrize("colours", [1, 3])
def test_what_moves_is_tracked(colours: int) -> None:
    images, places = moving_square(31, 48, speed=1.5)
    frames = np.repeat(frames_of(images), colours, 1)
    ((start, begin, end),) = tracks(frames, 32, 30)
    assert start == 0
    for box, (left, top) in ((begin, places[0]), (end, places[30])):
        assert abs(box[0] - left - 8) <= 12  # most of the patch is its
        assert abs(box[1] - top - 8) <= 12  # most of the patch is its
    moved = end[0] - begin[0], end[1] - begin[1]
    assert moved == pytest.approx((places[30][0] - places[0][0], 0), abs=3)
    first, last = cut(frames[0], begin), cut(frames[30], end)
    assert first.shape == last.shape == (colours, 32, 32)
    assert np.corrcoef(first.ravel(), last.ravel())[0, 1] > 0.5
    elsewhere = cut(frames[30], begin)
    assert np.corrcoef(first.ravel(), elsewhere.ravel())[0, 1] < 0.3


def test_tracks_follow_one_another() -> None:
    images, _ = moving_square(25, 48, speed=1.5)
    assert [start for start, *_ in tracks(frames_of(images), 32, 8)] == [0, 8, 16]
    assert [start for start, *_ in tracks(frames_of(images[:24]), 32, 8)] == [0, 8]
    assert not list(tracks(frames_of(images[:8]), 32, 8))


def test_a_moving_camera_is_no_moving_thing() -> None:
    first, second = pictures(panned(2, 80, 120))
    assert moving(first, second, 32) is None  # all moves alike
    still = pictures(np.stack([texture(80, 120, 0)] * 2))
    assert moving(*still, 32) is None
    blank = pictures(np.zeros((2, 80, 120)))
    assert moving(*blank, 32) is None


def test_a_thing_is_found_while_the_camera_moves() -> None:
    images, _ = moving_square(2, 48, speed=3)
    images[1] = shift(images[1], (2, 2), order=1, mode="nearest")
    box = moving(*pictures(images), 32)
    assert box is not None
    assert abs(box[0] - 28) <= 12  # most of the patch is its
    assert abs(box[1] - 16) <= 12  # most of the patch is its


def test_the_densest_square_is_that_of_a_search_by_hand() -> None:
    points = np.random.default_rng(0).uniform((0, 0), (30, 20), (12, 2)).astype(np.float32)
    inside = {
        (left, top): sum(left <= x < left + 8 and top <= y < top + 8 for x, y in points)
        for left in range(23)
        for top in range(13)
    }
    left, top, side = densest(points, 20, 30, 8)
    assert side == 8
    assert inside[left, top] == max(inside.values())
    assert densest(np.array([[15.0, 10.0]]), 20, 30, 9) == (11, 6, 9)  # in its middle
    assert densest(np.array([[29.9, 19.9]]), 20, 30, 20) == (10, 0, 20)


def test_a_thing_that_leaves_the_frame_is_lost() -> None:
    images, places = moving_square(31, 48, speed=4)
    left, top = places[0]
    assert follow(pictures(images[:8]), (left, top, 32)) is not None
    assert follow(pictures(images), (left, top, 32)) is None
