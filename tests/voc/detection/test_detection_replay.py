"""Training a detector against a plain loop that is written out here, and what its test looks at.

The loop starts from the rescaled network, and takes the features of pooled regions, which other
tests look at, from a copy of it; all else is done by hand, in float64. On a CPU, whose dropout
draws as by hand.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import by_hand
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import Descent, Weights
from torch import nn

from nat.data.seeds import generator
from nat.runtime.naming import Name
from nat.runtime.settings.params import Params
from nat.voc.data.manifest import open_voc
from nat.voc.data.reader import VocSplit
from nat.voc.detection import detect as stage
from nat.voc.detection import train as training
from nat.voc.detection.detect import detect
from nat.voc.detection.model import Detector
from nat.voc.detection.results import read_results
from nat.voc.detection.train import Batch

SEED, IMAGES, ITERATIONS, SAVE_EVERY = 5, 2, 7, 3
LR, MOMENTUM, DECAY, DROPOUT, DROPS = 2e-4, 0.7, 0.5, 0.3, (2, 5)
SHORT, LONG, NMS = (50, 60), 70, 0.5
CHANGES = {
    "images": IMAGES,
    "regions": 16,
    "foreground": 0.5,
    "iterations": ITERATIONS,
    "save_every": SAVE_EVERY,
    "lr": LR,
    "lr_drop_at": list(DROPS),
    "momentum": MOMENTUM,
    "weight_decay": DECAY,
    "dropout": DROPOUT,
    "short_sides": list(SHORT),
    "long_side": LONG,
    "nms": NMS,
}
Chosen = Sequence[tuple[int, bool]]


class Seen:
    """The network as training starts and after each step, its batches, and its test images."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[Weights] = []
        self.batches: list[tuple[Chosen, Batch]] = []
        self.tested: list[torch.Tensor] = []
        made, step, drawn = stage.make_detector, torch.optim.SGD.step, training.draw_batch
        conv5 = Detector.conv5

        def make(*arguments: Any) -> Detector:
            self.network = made(*arguments)
            self.start = copy.deepcopy(self.network)
            self.batches.clear()
            return self.network

        def draw(training_set: Any, chosen: Chosen, *rest: Any) -> Batch:
            batch = drawn(training_set, chosen, *rest)
            self.batches.append((chosen, batch))
            return batch

        def stepped(optimizer: torch.optim.SGD, closure: Any = None) -> None:
            step(optimizer, closure)
            self.steps.append(weights_of(self.network))

        def looked(network: Detector, images: Sequence[torch.Tensor]) -> torch.Tensor:
            if len(self.steps) == ITERATIONS:
                assert not network.training
                self.tested += images
            return conv5(network, images)

        monkeypatch.setattr(stage, "make_detector", make)
        monkeypatch.setattr(training, "draw_batch", draw)
        monkeypatch.setattr(torch.optim.SGD, "step", stepped)
        monkeypatch.setattr(Detector, "conv5", looked)


def weights_of(network: nn.Module) -> Weights:
    return {name: value.double().clone() for name, value in network.state_dict().items()}


@pytest.fixture(params=[48, 60])
def ran(
    request: Any,
    composed: tuple[Params, Path],
    make_params: Any,
    proposals: Path,
    network_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> tuple[Seen, VocSplit, VocSplit, int]:
    """A detector trained and tested at a short side of 48 and of 60, which the long side limits."""
    params = make_params(
        machine={"device": "cpu"}, detect=CHANGES | {"test_short_side": request.param}
    )
    seen = Seen(monkeypatch)
    files = composed[1], proposals, network_file
    detect(params, Name(seed=SEED), *files, tmp_path / "r.json", tmp_path / "found")
    return seen, *open_voc(params, composed[1])[1:], request.param


def resized(image: torch.Tensor, short: int) -> torch.Tensor:
    """An image (h, w) so that its short side is ``short``, its long one at most LONG."""
    factor = min(short / min(image.shape), LONG / max(image.shape))
    size = tuple(round(side * factor) for side in image.shape)
    return F.interpolate(image[None, None].float(), size, mode="bilinear", antialias=True)


def loss_of(weights: Weights, pooled: torch.Tensor, batch: Batch) -> torch.Tensor:
    """fc6, fc7, the two outputs; cross entropy and smooth L1 of foreground's moves."""
    x = pooled.double()
    for name in ("6", "7"):
        x = x @ weights[f"hidden.fc{name}.weight"].T + weights[f"hidden.fc{name}.bias"]
        x = by_hand.dropped(x.clamp(min=0), DROPOUT)
    logits = x @ weights["scores.weight"].T + weights["scores.bias"]
    moves = x @ weights["moves.weight"].T + weights["moves.bias"]
    logs = logits - logits.exp().sum(1, keepdim=True).log()
    total = torch.zeros(()).double()
    for row, label in enumerate(batch.labels.tolist()):
        total = total - logs[row, label]
        if label:
            k = label - 1
            goal = (batch.moves[row].double() - weights["mean"][k]) / weights["std"][k]
            far = (moves[row, 4 * k : 4 * k + 4] - goal).abs()
            total = total + torch.where(far < 1, far**2 / 2, far - 0.5).sum()
    return total / len(batch.labels)


def test_each_step(ran: tuple[Seen, VocSplit, VocSplit, int]) -> None:
    seen, trainval, _, _ = ran
    images, by_copy = trainval.images(), copy.deepcopy(seen.start)
    by_copy.hidden = nn.Identity()  # so that its fc7 is what fc6 sees
    start = weights_of(seen.start)
    weights, descents = dict(start), (Descent(MOMENTUM, DECAY), Descent(MOMENTUM))
    assert len(seen.batches) == len(seen.steps) == ITERATIONS
    for iteration, (chosen, batch) in enumerate(seen.batches):
        if iteration % SAVE_EVERY == 0:
            by_hand.seed_dropout(SEED, iteration // SAVE_EVERY)
        a_pass = 2 * len(trainval) // IMAGES  # each image as it is and flipped
        order = torch.randperm(
            2 * len(trainval), generator=generator(SEED, "order", iteration // a_pass)
        )
        at = iteration % a_pass * IMAGES
        entries = order[at : at + IMAGES].tolist()
        assert chosen == [(e % len(trainval), e >= len(trainval)) for e in entries]
        for (row, flip), shown in zip(chosen, batch.regions.images, strict=True):
            image = images[row].flip(1) if flip else images[row]
            assert any(
                shown.shape == by.shape and torch.allclose(shown, by, atol=1e-3)
                for by in (resized(image, short) for short in SHORT)
            )

        own = {n: w for n, w in by_copy.named_parameters() if n.startswith("trunk")}
        with torch.no_grad():
            for name, weight in own.items():
                weight.copy_(weights[name])
        moved = {n: w for n, w in own.items() if "conv1" not in n}
        leaves = moved | by_hand.leaves_of(weights, "hidden", "scores", "moves")
        slopes = by_hand.slopes_of(loss_of(weights, by_copy.fc7(batch.regions), batch), leaves)
        weights = {name: value.detach() for name, value in weights.items()}
        lr = LR * 0.1 ** sum(iteration >= at for at in DROPS)
        biases = {name for name in slopes if name.endswith("bias")}
        descents[0].step(weights, {n: s.double() for n, s in slopes.items() if n not in biases}, lr)
        descents[1].step(weights, {n: slopes[n].double() for n in biases}, 2 * lr)
        by_hand.assert_moved_alike(seen.steps[iteration], weights, start)
    flips = {flip for chosen, _ in seen.batches for _, flip in chosen}
    sides = {min(x.shape[2:]) for _, batch in seen.batches for x in batch.regions.images}
    assert flips == {False, True}
    assert sides == {50, round(60 * LONG / 76)}


def test_test_images_have_their_size(ran: tuple[Seen, VocSplit, VocSplit, int]) -> None:
    seen, _, test, short = ran
    expected = [resized(test.image(row), short) for row in range(len(test))]
    assert {tuple(x.shape[2:]) for x in expected} == (
        {(48, 61), (61, 48)} if short == 48 else {(55, 70), (70, 55)}
    )
    assert len(seen.tested) == len(expected)
    for by in expected:
        assert any(x.shape == by.shape and torch.allclose(x, by, atol=1e-3) for x in seen.tested)


def test_reported_boxes_overlap_as_much_as_allowed(
    ran: tuple[Seen, VocSplit, VocSplit, int], tmp_path: Path
) -> None:
    _, _, test, _ = ran
    names = [one.name for one in test.annotations]
    found = []
    for one in read_results(tmp_path / "found", names, test.classes):
        for row in np.unique(one.images):
            boxes = one.boxes[one.images == row]
            low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
            high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
            both = (high - low + 1).clip(0).prod(2)
            area = (boxes[:, 2:] - boxes[:, :2] + 1).prod(1)
            overlap = both / (area[:, None] + area - both)
            found.append(overlap[np.triu_indices(len(boxes), 1)])
    overlaps = np.concatenate(found)
    assert overlaps.max() <= NMS + 0.01  # files have a hundredth of a pixel
    assert (overlaps > NMS - 0.05).sum() > 10
