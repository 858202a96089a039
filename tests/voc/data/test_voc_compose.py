from typing import Any

import numpy as np
import pytest

from nat.data.seeds import generator
from nat.voc.data.compose import Draws, Layer, Objects, _annotate, scene
from nat.voc.data.devkit import Box

CLASSES = [f"class{index}" for index in range(10)]


@pytest.fixture
def pool(objects: Any) -> Objects:
    return Objects(*objects, CLASSES)


def test_scenes_are_annotated_consistently(pool: Objects) -> None:
    shapes, flags, counts = set(), set(), set()
    for index in range(60):
        pixels, things = scene(pool, 76, 60, Draws(generator(0, index)))
        assert pixels.dtype == np.uint8
        shapes.add(pixels.shape)
        counts.add(len(things))
        for thing in things:
            assert thing.name in CLASSES
            x0, y0, x1, y1 = thing.box
            assert 1 <= x0 <= x1 <= pixels.shape[1]
            assert 1 <= y0 <= y1 <= pixels.shape[0]
            flags.add((thing.difficult, thing.truncated))
    assert shapes == {(60, 76), (76, 60)}
    assert {1, 2, 3} <= counts <= {1, 2, 3, 4}
    assert {(False, False), (True, False), (False, True)} <= flags


def test_a_scene_repeats_itself(pool: Objects) -> None:
    first, again = (scene(pool, 48, 40, Draws(generator(0, "x"))) for _ in range(2))
    assert (first[0] == again[0]).all()
    assert first[1] == again[1]
    assert (first[0] != scene(pool, 48, 40, Draws(generator(0, "y")))[0]).any()


def test_smallest_canvas(pool: Objects) -> None:
    for index in range(20):
        pixels, things = scene(pool, 32, 32, Draws(generator(1, index)))
        assert pixels.shape == (32, 32)
        assert things


def rectangle(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros((20, 20), bool)
    mask[top:bottom, left:right] = True
    return mask


def test_boxes_and_flags_follow_visibility() -> None:
    back = Layer("back", rectangle(0, 0, 10, 10), 100, False)  # 30 of 100 pixels stay visible
    cut = Layer("cut", rectangle(12, 15, 20, 20), 80, False)  # half of it is outside
    tiny = Layer("tiny", rectangle(15, 2, 18, 5), 9, True)
    gone = Layer("gone", rectangle(2, 4, 6, 8), 16, False)  # behind the front
    front = Layer("front", rectangle(0, 3, 10, 12), 90, False)
    found = {thing.name: thing for thing in _annotate([back, cut, tiny, gone, front])}
    assert set(found) == {"back", "cut", "tiny", "front"}
    assert found["back"].box == Box(1, 1, 3, 10)
    assert found["front"].box == Box(4, 1, 12, 10)
    assert found["cut"].box == Box(16, 13, 20, 20)
    flags = {name: (thing.difficult, thing.truncated) for name, thing in found.items()}
    assert flags == {
        "back": (True, False),
        "cut": (False, True),
        "tiny": (True, False),
        "front": (False, False),
    }


def test_objects_stand_out_where_their_boxes_are(pool: Objects) -> None:
    brighter = []
    for index in range(30):
        pixels, things = scene(pool, 76, 60, Draws(generator(2, index)))
        inside = np.zeros(pixels.shape, bool)
        for thing in things:
            x0, y0, x1, y1 = thing.box
            inside[y0 - 1 : y1, x0 - 1 : x1] = True
        brighter.append(pixels[inside].mean() > pixels[~inside].mean())
    assert np.mean(brighter) > 0.9
