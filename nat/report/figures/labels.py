"""Where small labels of frames go, so that they cover neither each other nor leave the image."""

from collections.abc import Iterator, Sequence

import numpy as np

Frame = Sequence[float]  # left, bottom, right, top


def places(frames: Sequence[Frame], size: tuple[float, float], area: Frame) -> list[Frame | None]:
    """A place for the label of each frame, the first frames choosing first.

    Above the frame's upper left corner if it can be, else below, to the right, or within; else the
    nearest free place in ``area``. None where all of it is taken. ``size`` is width and height of a
    label; coordinates go upwards. No two places overlap.
    """
    found: list[Frame | None] = []
    for frame in frames:
        taken = [place for place in found if place]
        free = (
            place
            for place in _candidates(frame, size, area)
            if _inside(place, area) and not any(_overlap(place, other) for other in taken)
        )
        found.append(next(free, None))
    return found


def _candidates(frame: Frame, size: tuple[float, float], area: Frame) -> Iterator[Frame]:
    (left, bottom, right, top), (width, height) = frame, size
    near = [(x, y) for y in (top, bottom - height, top - height, bottom)
            for x in (left, right - width)]  # fmt: skip
    xs = np.arange(area[0], area[2] - width, width / 4).tolist()
    ys = np.arange(area[1], area[3] - height, height / 4).tolist()
    grid = [(x, y) for x in xs for y in ys]
    grid.sort(key=lambda p: (p[0] - left) ** 2 + (p[1] - top) ** 2)
    for x, y in near + grid:
        yield x, y, x + width, y + height


def _inside(place: Frame, area: Frame) -> bool:
    left, bottom, right, top = np.subtract(place, area)
    return bool(min(left, bottom) >= -1e-9 and max(right, top) <= 1e-9)


def _overlap(one: Frame, other: Frame) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
