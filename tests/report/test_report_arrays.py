"""Figures' arrays are checked when they are read: nothing of another version or half written."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shown import detected, illustration

from nat.illustrate.detected import load_detected, save_detected
from nat.illustrate.illustration import load_illustration, save_illustration
from nat.runtime.errors import UserError


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"images": np.zeros((8, 1, 12, 13), np.uint8)},
            "images: uint8 (8, 1, 12, 13) ",
        ),
        (
            {"images": np.zeros((8, 1, 12, 12))},
            "images: float64 (8, 1, 12, 12) instead",
        ),
        ({"cosines": np.zeros(7, np.float32)}, "cosines: float32 (7) instead of float32 (8)"),
        (
            {"distances": np.full((3, 3), np.nan, np.float32)},
            "distances holds a number that is",
        ),
        ({"query_labels": np.array([0, 1, 3])}, "query_labels leaves 0 to 2"),
        ({"neighbour_labels": np.full((3, 3), -1)}, "neighbour_labels leaves 0 to 2"),
        ({"facts": {}}, "source: Field required"),
        ({"facts": []}, "should be"),
        ({"provenance": {}}, "data: Field required"),
    ],
)
def test_another_illustration_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "0.npz"
    save_illustration(dataclasses.replace(illustration(), **change), path)
    with pytest.raises(UserError, match=r"0\.npz: no illustration of this project") as caught:
        load_illustration(path)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layers", [[8, 5]]),
        ("layers", [[8]] * 5),
        ("test", "500"),
        ("cosine", None),
        ("classes", [1]),
    ],
)
def test_other_facts_are_refused(name: str, value: Any, tmp_path: Path) -> None:
    right = illustration()
    path = tmp_path / "0.npz"
    save_illustration(dataclasses.replace(right, facts=right.facts | {name: value}), path)
    with pytest.raises(UserError, match=rf"no illustration of this project \({name}"):
        load_illustration(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": np.array([0, 0, 2])}, "labels leaves 0 to 1"),
        ({"boxes_in": np.array([0, 1, 1, 1, 3])}, "boxes_in leaves 0 to 2"),
        ({"objects_in": np.array([0, 1, 1, -1])}, "objects_in leaves 0 to 2"),
        ({"sizes": np.array([[30, 40], [40, 41], [30, 40]])}, "sizes leave the images"),
        ({"right": np.zeros(5)}, "right: float64 (5) instead of bool (5)"),
        (
            {"facts": {"source": "a", "test": 1, "classes": []}},
            "classes: List should have at",
        ),
    ],
)
def test_other_detections_are_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    path = tmp_path / "0.npz"
    save_detected(dataclasses.replace(detected(), **change), path)
    with pytest.raises(UserError, match=r"0\.npz: no illustration of this project") as caught:
        load_detected(path)
    assert said in str(caught.value)


def test_images_without_detections_come_back(tmp_path: Path) -> None:
    right = detected()
    none = {n: getattr(right, n)[:0] for n in ("boxes", "boxes_in", "scores", "right", "neither")}
    save_detected(dataclasses.replace(right, **none), tmp_path / "0.npz")
    assert load_detected(tmp_path / "0.npz").boxes.shape == (0, 4)


def test_half_a_file_and_no_file(tmp_path: Path) -> None:
    path = tmp_path / "0.npz"
    save_illustration(illustration(), path)
    whole = path.read_bytes()
    for damaged in (b"", b"PK", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=r"0\.npz: no illustration of this project"):
            load_illustration(path)
    path.unlink()
    with pytest.raises(UserError, match=r"0\.npz: not found; make it with `python -m nat illustra"):
        load_illustration(path)
