"""What the figure of detections shows: two classes and images by rule, judged as measured."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nat.illustrate.detected import Detected, load_detected, save_detected
from nat.illustrate.detections import (
    SIDE,
    best_and_worst,
    choose,
    gather_detections,
    moved,
    reduced,
)
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Params
from nat.voc.data.manifest import open_voc
from nat.voc.data.reader import VocSplit
from nat.voc.detection.average_precision import Detections, ranked_hits
from nat.voc.detection.evaluate import judged, truth_of
from nat.voc.detection.results import read_results, write_results

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("precisions", "expected"),
    [
        ({"cat": 3.0, "dog": 9.0, "cow": 5.0}, ["dog", "cat"]),
        ({"dog": 5.0, "cow": 5.0, "cat": 5.0}, ["cat", "cow"]),
        ({"dog": 9.0, "cow": 9.0, "cat": 1.0, "ant": 1.0}, ["cow", "ant"]),
        ({"cat": 3.0}, ["cat"]),
    ],
)
def test_best_and_worst_by_precision_then_name(precisions: Any, expected: list[str]) -> None:
    assert best_and_worst(precisions) == expected
    assert best_and_worst(dict(reversed(precisions.items()))) == expected


def test_images_show_the_class_in_a_random_order() -> None:
    present = torch.rand(300, 2, generator=torch.Generator().manual_seed(0)) < 0.3
    rows = choose(present, 0)
    assert [len(own) for own in rows] == [4, 4]
    for label, own in enumerate(rows):
        assert present[own, label].all()
        assert len(set(own)) == 4
    assert choose(present, 0) == rows
    assert choose(present, 1) != rows
    # all rows in order are one order: that of the first class with every image in it
    order = choose(torch.ones(4, 1, dtype=torch.bool), 5)[0]
    some = torch.tensor([True, False, True, True])
    assert choose(torch.stack([some, some], 1), 5)[1] == [row for row in order if some[row]]
    # as many of each class
    present[:, 1] = False
    present[[7, 200], 1] = True
    assert [len(own) for own in choose(present, 0)] == [2, 2]


def test_large_images_and_their_boxes_are_reduced() -> None:
    image = torch.zeros(500, 375, dtype=torch.uint8)
    image[100:300, 75:225] = 200
    small = reduced(image, CPU)
    assert small.shape == (SIDE, 240)
    (box,) = moved(np.array([[76.0, 101, 225, 300]]), image.shape, small.shape)
    assert box.tolist() == pytest.approx([48, 64, 144, 192])
    assert (small[65:191, 49:143] == 200).all()
    assert small[:63].max() == 0
    assert reduced(image[:60, :76], CPU).shape == (60, 76)


class Run:
    """What a detector that knows one class well, one badly and others not at all would write."""

    def __init__(self, params: Params, manifest: Path, folder: Path) -> None:
        self.params, self.manifest = params, manifest
        self.result, self.detections = folder / "nat-0.json", folder / "nat-0"
        _, _, self.test = open_voc(params, manifest)
        self.names = [one.name for one in self.test.annotations]
        write_results(self.detections, self.names, self.test.classes, self.found())
        read = read_results(self.detections, self.names, self.test.classes)
        self.write(judged(read, self.test))

    def found(self) -> list[Detections]:
        draws = np.random.default_rng(0)
        every = []
        for label, truth in enumerate(truth_of(self.test)):
            rows: list[tuple[float, ...]] = []
            for image, one in enumerate(truth):
                size = self.test.annotations[image]
                for box in one.boxes:
                    good = draws.random() < (1.0, 0.3, 0.6)[min(label, 2)]
                    rows.append((image, draws.uniform(0.5, 1) if good else 0.2, *box))
                if label:
                    rows.append((image, draws.uniform(0.1, 0.9), 1, 1, size.width / 2, 20))
            table = np.array(rows).reshape(-1, 6).round(2)
            every.append(Detections(table[:, 0].astype(int), table[:, 1], table[:, 2:]))
        return every

    def write(self, measured: Any) -> None:
        self.measured = measured
        self.result.write_text(json.dumps({"measured": measured}))

    def illustrate(self, seed: int, out: Path) -> Detected:
        files = (self.manifest, self.result, self.detections)
        save_detected(gather_detections(self.params, seed, *files), out)
        return load_detected(out)


@pytest.fixture
def run(composed: tuple[Params, Path], tmp_path: Path) -> Run:
    return Run(*composed, tmp_path)


def rows_of(test: VocSplit, shown: Detected) -> list[int]:
    """The test images that are shown."""
    images = [test.image(row).numpy() for row in range(len(test))]
    found = []
    for image, (height, width) in zip(shown.images, shown.sizes, strict=True):
        same = [np.array_equal(image[:height, :width], each) for each in images]
        assert sum(same) == 1
        found.append(same.index(True))
    return found


def test_shows_two_classes_as_they_were_measured(run: Run, tmp_path: Path) -> None:
    shown = run.illustrate(0, tmp_path / "0.npz")
    assert (tmp_path / "0.npz").stat().st_size < 100_000
    assert (shown.facts["source"], shown.facts["test"]) == ("fashion-mnist-voc", 24)
    known = {k: ap for k, ap in run.measured["ap"].items() if ap is not None}
    best, worst = shown.facts["classes"]
    assert best["ap"] == known[best["name"]] == max(known.values())
    assert worst["ap"] == known[worst["name"]] == min(known.values())
    count = len(shown.labels) // 2
    assert shown.labels.tolist() == [0] * count + [1] * count
    assert 1 <= count <= 4

    for image, row in enumerate(rows_of(run.test, shown)):
        facts = shown.facts["classes"][shown.labels[image]]
        label = run.test.classes.index(facts["name"])
        assert run.test.labels[row, label] == 1
        truth = truth_of(run.test)[label][row]
        np.testing.assert_allclose(
            shown.objects[shown.objects_in == image] + [1, 1, 0, 0], truth.boxes
        )
        np.testing.assert_array_equal(shown.difficult[shown.objects_in == image], truth.difficult)
        # all detections of this class and image from the score on, and nothing else
        (found,) = read_results(run.detections, run.names, [facts["name"]])
        own = np.flatnonzero((found.images == row) & (found.scores >= facts["score"]))
        own = own[np.argsort(-found.scores[own], kind="stable")]
        here = shown.boxes_in == image
        np.testing.assert_allclose(shown.scores[here], found.scores[own])
        np.testing.assert_allclose(shown.boxes[here] + [1, 1, 0, 0], found.boxes[own], rtol=1e-5)
        alone = Detections(np.zeros(len(own), int), found.scores[own], found.boxes[own])
        counted = ~shown.neither[here]
        np.testing.assert_array_equal(shown.right[here][counted], ranked_hits(alone, [truth]))
        objects = shown.objects_in == image
        assert shown.missed[objects].sum() + shown.right[here].sum() == (~truth.difficult).sum()


def test_the_same_seed_shows_the_same(run: Run, tmp_path: Path) -> None:
    one, again, other = (
        run.illustrate(seed, tmp_path / f"{name}.npz")
        for name, seed in (("one", 0), ("again", 0), ("other", 1))
    )
    np.testing.assert_array_equal(one.images, again.images)
    np.testing.assert_array_equal(one.boxes, again.boxes)
    assert one.facts == again.facts == other.facts
    assert rows_of(run.test, one) != rows_of(run.test, other)


def test_classes_without_precision_are_left_out(run: Run, tmp_path: Path) -> None:
    best, worst = best_and_worst({k: v for k, v in run.measured["ap"].items() if v is not None})
    run.measured["ap"][best] = None
    run.write(run.measured)
    shown = run.illustrate(0, tmp_path / "0.npz")
    assert best not in {each["name"] for each in shown.facts["classes"]}
    assert shown.facts["classes"][1]["name"] == worst


def test_a_class_without_detections(run: Run, tmp_path: Path) -> None:
    worst = run.test.classes[0]
    (run.detections / f"comp4_det_test_{worst}.txt").write_text("")
    run.write({"ap": run.measured["ap"] | {worst: 0.0}})
    found = run.illustrate(0, tmp_path / "0.npz")
    facts = next(each for each in found.facts["classes"] if each["name"] == worst)
    assert (facts["score"], facts["precision"], facts["recall"]) == (None, None, None)
    own = np.flatnonzero(found.labels == 1)
    assert not np.isin(found.boxes_in, own).any()
    objects = np.isin(found.objects_in, own)
    np.testing.assert_array_equal(found.missed[objects], ~found.difficult[objects])


def test_refuses_what_does_not_fit(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "0.npz"
    best, _ = best_and_worst({k: v for k, v in run.measured["ap"].items() if v is not None})
    for precisions, words in (
        (run.measured["ap"] | {best: 99.99}, f"comp4_det_test_{best}.txt: its average precision"),
        ({"unicorn": 50.0}, "has other classes than"),
        ({best: None}, "no average precision of any class"),
        ([], "no average precision of any class"),
    ):
        run.write({"ap": precisions})
        with pytest.raises(UserError, match=words.replace(".", r"\.")):
            run.illustrate(0, out)
    run.result.unlink()
    with pytest.raises(UserError, match="`python -m nat detect`"):
        run.illustrate(0, out)
    assert not out.exists()
