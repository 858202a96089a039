"""The figure of detections: every kind of frame, labels apart, a caption that tells the rules."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.transforms import Bbox
from shown import detected

from nat.illustrate.arrays import Provenance
from nat.illustrate.detected import Detected, load_detected, save_detected
from nat.report import page
from nat.report.figures.detections import DIFFICULT, MISSED, RIGHT, WRONG, Kind, draw, places
from nat.report.results import DETECTIONS, Result
from nat.runtime.errors import UserError

COLUMNS = ("boxes", "boxes_in", "scores", "right", "neither")


def result(shown: Detected) -> Result:
    named = {"schema": 1, "stage": DETECTIONS, "method": "nat", "override": "", "seed": 0}
    return Result(**named, measured={}, provenance=Provenance(**shown.provenance), content=shown)


def caption(picked: Result) -> str:
    return page.caption("detections", shown=picked)


@pytest.fixture
def picked(shown: Detected) -> Result:
    return result(shown)


@pytest.fixture
def shown() -> Detected:
    return detected()


@pytest.fixture
def but(shown: Detected) -> Callable[..., Result]:
    """The file with other contents."""
    return lambda **changes: result(dataclasses.replace(shown, **changes))


def frames(figure: Figure, kind: Kind) -> list[Rectangle]:
    """Those in images, without the one in the legend; told by their lines, not by colour."""
    return [
        patch
        for patch in figure.axes[0].patches
        if isinstance(patch, Rectangle)
        and not patch.get_fill()
        and patch.get_linewidth() == kind.line
        and patch.get_linestyle() == ((0, kind.dashes) if kind.dashes else "-")
        and patch.get_y() > 0.4
    ]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_each_kind_is_framed_in_its_own_way(picked: Result) -> None:
    figure = draw(picked)
    # a difficult object, and a detection of it
    expected = {RIGHT: 2, WRONG: 2, MISSED: 1, DIFFICULT: 2}
    assert {kind: len(frames(figure, kind)) for kind in expected} == expected
    drawn = [patch for patch in figure.axes[0].patches if not patch.get_fill()]
    assert len(drawn) == 7 + len(expected)
    said = texts(figure)
    assert [text for text in said if text.startswith("0.")] == [
        "0.97",
        "0.90",
        "0.80",
        "0.70",
        "0.60",
    ]
    assert {"Best class: a_disc|50%", "Worst class: across"} <= set(said)
    assert "average precision 12.2 %; scores from 0.12 on" in said
    assert said[-4:] == [RIGHT.name, WRONG.name, MISSED.name, DIFFICULT.name]


def test_frames_lie_where_the_boxes_are(picked: Result, shown: Detected) -> None:
    figure = draw(picked)
    first = figure.axes[0].images[0]
    left, right, bottom, top = first.get_extent()
    scale = (top - bottom) / 30
    assert right - left == pytest.approx(40 * scale)
    (frame,) = [patch for patch in frames(figure, RIGHT) if patch.get_x() < right]
    assert frame.get_x() == pytest.approx(left + 2 * scale)
    assert frame.get_y() == pytest.approx(top - 20 * scale)
    assert frame.get_width() == pytest.approx(10.5 * scale)
    assert frame.get_height() == pytest.approx(17 * scale)
    np.testing.assert_array_equal(first.get_array(), shown.images[0, :30, :40])


def test_images_stay_on_the_sheet_and_apart(but: Callable[..., Result]) -> None:
    for sizes in ([[40, 40]] * 3, [[5, 40]] * 3, [[40, 10], [40, 40], [20, 40]]):
        figure = draw(but(sizes=np.array(sizes)))
        width, height = figure.get_size_inches()
        extents = [image.get_extent() for image in figure.axes[0].images]
        assert len(extents) == 3
        for left, right, bottom, top in extents:
            assert left >= 0
            assert right <= width
            assert bottom >= 0
            assert top <= height
        assert extents[0][1] < extents[1][0]
        assert extents[2][3] < extents[0][2]


def test_legend_tells_of_what_is_there(shown: Detected, but: Callable[..., Result]) -> None:
    kept = {name: getattr(shown, name)[shown.right] for name in COLUMNS}
    none = np.zeros(len(shown.objects), bool)
    figure = draw(but(**kept, missed=none, difficult=none))
    assert texts(figure)[-1] == RIGHT.name
    assert not {WRONG.name, MISSED.name, DIFFICULT.name} & set(texts(figure))


def test_caption_names_classes_and_rules(picked: Result) -> None:
    text = caption(picked)
    assert "highest average precision, a_disc|50% (71.5 %), and" in text
    assert "the lowest, across (12.2 %)" in text
    assert "the first 2 images, in a random order drawn from seed 0" in text
    assert "on all 200 test images: 0.50 for a_disc|50% (precision 80.0 %, recall 62.5 %)" in text


def test_one_class_and_nothing_found(shown: Detected, but: Callable[..., Result]) -> None:
    only = dict(shown.facts["classes"][0], score=None, precision=None, recall=None)
    first = {name: getattr(shown, name)[:1] for name in ("images", "sizes", "labels")}
    nothing = {name: getattr(shown, name)[:0] for name in COLUMNS}
    changed = but(facts=shown.facts | {"classes": [only]}, **first, **nothing)
    figure, text = draw(changed), caption(changed)
    assert len(figure.axes[0].images) == 1
    assert "Best class: a_disc|50%" in texts(figure)
    assert not [said for said in texts(figure) if said.startswith("Worst")]
    assert "the lowest" not in text
    assert "none for a_disc|50%, of which no detection counts" in text


def test_file_is_read_as_written(shown: Detected, tmp_path: Path) -> None:
    save_detected(shown, tmp_path / "0.npz")
    again = load_detected(tmp_path / "0.npz")
    for field in dataclasses.fields(Detected):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(shown, field.name))
    np.savez(tmp_path / "1.npz", facts="{}")
    with pytest.raises(UserError, match="`python -m nat illustrate`"):
        load_detected(tmp_path / "1.npz")


COORDINATES = st.floats(0, 3, width=32)
AREA = Bbox.from_extents(0, 0, 3, 3)
FRAMES = st.lists(
    st.tuples(COORDINATES, COORDINATES, COORDINATES, COORDINATES).map(
        lambda v: (min(v[0], v[2]), min(v[1], v[3]), max(v[0], v[2]), max(v[1], v[3]))
    ),
    max_size=12,
)


@given(FRAMES)
def test_labels_neither_meet_nor_leave(boxes: list[tuple[float, ...]]) -> None:
    found = places([Bbox.from_extents(*box) for box in boxes], (0.4, 0.2), AREA)
    assert len(found) == len(boxes)
    labels = [place.extents for place in found if place is not None]
    assert len(labels) == len(boxes)  # 12 labels always have room here
    for i, (left, bottom, right, top) in enumerate(labels):
        assert (right - left, top - bottom) == pytest.approx((0.4, 0.2))
        assert min(left, bottom) >= -1e-6
        assert max(right, top) <= 3 + 1e-6
        for other in labels[:i]:
            apart = right <= other[0] or other[2] <= left or top <= other[1] or other[3] <= bottom
            assert apart


def test_labels_stand_at_their_frames() -> None:
    size = (0.4, 0.2)
    middle, high = Bbox.from_extents(1, 1, 2, 2), Bbox.from_extents(1, 1, 2, 2.9)

    def extents(*frames: Bbox) -> list[list[float]]:
        return [place.extents.tolist() for place in places(frames, size, AREA) if place]

    assert extents(middle) == [pytest.approx([1.0, 2.0, 1.4, 2.2])]
    assert extents(high) == [pytest.approx([1.0, 0.8, 1.4, 1.0])]
    assert extents(middle, middle)[1] == pytest.approx([1.6, 2.0, 2.0, 2.2])
    assert places([middle], (4.0, 0.2), AREA) == [None]
