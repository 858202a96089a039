import heapq
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import settings as tiny

from nat.data.seeds import generator
from nat.network.model import Trunk, initialise
from nat.runtime.distributed import Distributed
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Detect, Params
from nat.voc.data.boxes import overlaps
from nat.voc.data.manifest import open_voc
from nat.voc.data.proposals import load_proposals
from nat.voc.data.reader import VocSplit
from nat.voc.detection import evaluate
from nat.voc.detection.average_precision import Detections
from nat.voc.detection.evaluate import detected, judged, kept, look, truth_of
from nat.voc.detection.model import Detector, Regions, initialise_outputs

CPU = torch.device("cpu")
SPREAD = torch.tensor([[10.0 * k + 1, 1, 10 * k + 9, 9] for k in range(6)])


def settings(**changes: Any) -> Detect:
    return Detect.model_validate(tiny()["detect"] | changes)


def test_kept_are_the_best_first() -> None:
    scores = torch.tensor([0.2, 0.9, 0.005, 0.5, 0.9, 0.3])
    assert kept(scores, SPREAD, settings(min_score=0.01)).tolist() == [1, 4, 3, 5, 0]
    assert kept(scores, SPREAD, settings(min_score=0.4)).tolist() == [1, 4, 3]
    assert kept(scores, SPREAD, settings(detections=2)).tolist() == [1, 4]
    assert kept(scores, SPREAD, settings(min_score=None)).tolist() == [1, 4, 3, 5, 0, 2]
    assert kept(scores[:0], SPREAD[:0], settings()).tolist() == []


def test_overlapping_a_better_one_is_dropped() -> None:
    boxes = torch.tensor([[1.0, 1, 10, 10], [1, 1, 10, 7], [1, 1, 10, 3], [1, 1, 10, 4]])
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6])
    assert kept(scores, boxes, settings(nms=0.35)).tolist() == [0, 2]
    # the limit counts before suppression, as in the protocol
    assert kept(scores, boxes, settings(nms=0.35, detections=2)).tolist() == [0]


@pytest.fixture
def test_split(composed: tuple[Params, Path]) -> VocSplit:
    return open_voc(*composed)[2]


def perfect(split: VocSplit) -> list[Detections]:
    """Every object, those hard to recognise too, sure or less sure."""
    draws = np.random.default_rng(0)
    found = []
    for truth in truth_of(split):
        rows = np.repeat(np.arange(len(split)), [len(one.boxes) for one in truth])
        boxes = np.concatenate([one.boxes for one in truth])
        found.append(Detections(rows, draws.uniform(0.1, 1, len(rows)), boxes))
    return found


def test_truth_is_the_annotations(test_split: VocSplit) -> None:
    truth = truth_of(test_split)
    for row, one in enumerate(test_split.annotations):
        for label, name in enumerate(test_split.classes):
            own = [thing for thing in one.things if thing.name == name]
            assert truth[label][row].boxes.tolist() == [list(thing.box) for thing in own]
            assert truth[label][row].difficult.tolist() == [thing.difficult for thing in own]


def test_judged(test_split: VocSplit) -> None:
    found = perfect(test_split)
    measured = judged(found, test_split)
    present = [any((~one.difficult).any() for one in truth) for truth in truth_of(test_split)]
    for name in ("ap", "ap_area"):
        assert list(measured[name]) == test_split.classes
        for value, there in zip(measured[name].values(), present, strict=True):
            assert value == (pytest.approx(100) if there else None)
    assert measured["map"] == measured["map_area"] == 100
    # a wrong class is nothing found
    turned = judged(found[1:] + found[:1], test_split)
    assert turned["map"] < 30
    # boxes too far off: a shift by half a side leaves an overlap of a third
    away = []
    for one in found:
        side = one.boxes[:, 2:3] - one.boxes[:, :1] + 1
        away.append(Detections(one.images, one.scores, one.boxes + side * [0.5, 0, 0.5, 0]))
    assert judged(away, test_split)["map"] < 10


def test_nothing_to_find(test_split: VocSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = [[one for one in each if not len(one.boxes)] for each in truth_of(test_split)]
    monkeypatch.setattr(evaluate, "truth_of", lambda _: truth)
    none = Detections(np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 4)))
    with pytest.raises(UserError, match="no test image has an object"):
        judged([none] * len(test_split.classes), test_split)


@pytest.fixture
def network() -> Detector:
    trunk = Trunk("small")
    initialise(trunk, generator(0, "trunk"))
    found = Detector(trunk.eval(), 3, 16, 10, 0.5)
    initialise_outputs(found, generator(0))
    with torch.no_grad():
        found.scores.weight.mul_(100)
    return found


def test_detections_do_not_depend_on_the_batch(
    test_split: VocSplit, proposals: Path, network: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = load_proposals(proposals / "test.safetensors")
    regions = [stored[one.name] for one in test_split.annotations]
    regions[3] = regions[3][:0]  # an image without proposals has no detections
    chosen = settings(min_score=0.05, detections=5)
    results = []
    for at_once in (1, 8):
        monkeypatch.setattr(evaluate, "AT_ONCE", at_once)
        results.append(detected(network, test_split, regions, chosen, Distributed(CPU)))
    assert len(results[0]) == 10
    assert sum(len(one.scores) for one in results[0]) > 100
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one.images, other.images)
        np.testing.assert_allclose(one.scores, other.scores, rtol=1e-4)
        np.testing.assert_allclose(one.boxes, other.boxes, rtol=1e-4)
        assert (np.diff(one.images) >= 0).all()
        assert not (one.images == 3).any()
        for row in np.unique(one.images):
            own = one.images == row
            assert own.sum() <= 5
            assert (np.diff(one.scores[own]) <= 0).all()
            size = test_split.annotations[row]
            assert (one.boxes[own] >= 1).all()
            assert (one.boxes[own][:, 2:] <= [size.width, size.height]).all()


def by_fast_rcnn(
    looks: list[tuple[torch.Tensor, torch.Tensor]], most: int, total: int, overlap: float
) -> list[set[tuple]]:
    """Its rule, image by image: thresholds that grow once a class's heap is full."""
    classes = looks[0][0].shape[1]
    heaps: list[list[float]] = [[] for _ in range(classes)]
    thresholds = [-math.inf] * classes
    boxes_of: list[list[tuple]] = [[] for _ in range(classes)]
    for row, (scores, boxes) in enumerate(looks):
        for label in range(classes):
            own = [k for k, score in enumerate(scores[:, label]) if score > thresholds[label]]
            own = sorted(own, key=lambda k, of=scores[:, label]: -float(of[k]))[:most]
            for k in own:
                heapq.heappush(heaps[label], float(scores[k, label]))
                boxes_of[label].append((row, float(scores[k, label]), boxes[k, label]))
            while len(heaps[label]) > total:
                heapq.heappop(heaps[label])
                thresholds[label] = heaps[label][0]
    found: list[set[tuple]] = []
    for label in range(classes):
        left: list[tuple] = []
        for row, score, box in boxes_of[label]:  # best first in each image
            better = torch.stack([box, *(b for r, _, b in left if r == row)])
            alone = len(better) == 1 or overlaps(better[:1], better[1:]).max() <= overlap
            if score > thresholds[label] and alone:
                left.append((row, score, box))
        found.append({(row, round(score, 6), *box.tolist()) for row, score, box in left})
    return found


@pytest.mark.parametrize(("most", "mean"), [(100, 2), (3, 2), (5, 7), (100, 100)])
def test_as_many_are_reported_as_by_fast_rcnns_rule(
    most: int, mean: int, test_split: VocSplit, network: Detector, monkeypatch: Any
) -> None:
    draws = generator(0, "looks")
    looks = []
    for _ in range(len(test_split)):
        count = int(torch.randint(1, 12, (1,), generator=draws))
        scores = torch.rand(count, 10, generator=draws) ** 8  # most of them far below 0.01
        low = torch.randint(1, 20, (count, 10, 2), generator=draws)
        sides = torch.randint(5, 25, (count, 10, 2), generator=draws)
        looks.append((scores, torch.cat([low, low + sides], 2).float()))
    sizes: dict[tuple[int, int], list[int]] = {}
    for row, one in enumerate(test_split.annotations):
        sizes.setdefault((one.height, one.width), []).append(row)
    order = iter([row for rows in sizes.values() for row in rows])
    monkeypatch.setattr(
        evaluate, "look", lambda _, images, *__: [looks[next(order)] for _ in images]
    )
    chosen = settings(min_score=None, detections=most, mean_detections=mean, nms=0.301)
    regions = [torch.zeros(0, 4)] * len(test_split)
    found = detected(network, test_split, regions, chosen, Distributed(CPU))
    expected = by_fast_rcnn(looks, most, mean * len(test_split), 0.301)
    assert sum(len(each) for each in expected) > 10
    for one, own in zip(found, expected, strict=True):
        table = zip(one.images.tolist(), one.scores.tolist(), one.boxes.tolist(), strict=True)
        assert {(row, round(score, 6), *box) for row, score, box in table} == own
        assert len(one.scores) == len(own)


@torch.no_grad()
def test_regions_of_the_same_cells_are_computed_once(network: Detector) -> None:
    """With the numbers of a network that looks at each region, each moved from its own place."""
    network.eval().moves.weight.mul_(1000)
    draws = generator(0, "regions")
    images = [torch.randint(0, 256, (60, 76), dtype=torch.uint8, generator=draws) for _ in "ab"]
    regions = [SPREAD[:, [1, 0, 3, 2]].repeat(20, 1), SPREAD.repeat(30, 1)]
    for boxes in regions:
        boxes[:, :2] += torch.randint(0, 3, (len(boxes), 2), generator=draws)
        boxes[:, 2:] = (boxes[:, 2:] + 8).clamp(max=59)
    rows: list[int] = []
    network.hidden.fc6.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    whole = settings(test_short_side=60, long_side=100)
    found = look(network, images, regions, whole, Distributed(CPU))
    for image, boxes, (scores, moved) in zip(images, regions, found, strict=True):
        slots = torch.zeros(len(boxes), 1)
        pixels = image[None, None].float()
        logits, moves = network(Regions([pixels], torch.cat([slots, boxes - 1], 1)))
        torch.testing.assert_close(scores, logits.softmax(1)[:, 1:], rtol=1e-4, atol=1e-6)
        limits = torch.tensor([76, 60, 76, 60])
        expected = network.moved(boxes, moves).clamp(min=1).minimum(limits)
        torch.testing.assert_close(moved, expected, rtol=1e-4, atol=1e-3)
    assert rows[0] < (rows[1] + rows[2]) / 2
