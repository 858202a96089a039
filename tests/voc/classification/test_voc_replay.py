"""Fine-tuning against a plain loop that is written out here, step by step, in float64.

It starts from the rescaled network, which other tests look at. On a CPU, whose dropout draws as by
hand.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import by_hand
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import Descent, Weights

from nat.data.seeds import generator
from nat.runtime.naming import Name
from nat.runtime.settings.params import Params
from nat.voc.classification import finetune as module
from nat.voc.classification.finetune import Classifier, finetune
from nat.voc.data.devkit import DIFFICULT, PRESENT
from nat.voc.data.manifest import open_voc
from nat.voc.data.reader import VocSplit

SEED, BATCH, DROPOUT, SIDE = 2, 4, 0.3, 40
HALVE = 3
LR, MOMENTUM, DECAY = 1e-4, 0.7, 0.5


def squares(
    images: Sequence[torch.Tensor],
    uniform: torch.Tensor,
    scale: Sequence[float],
    by_area: bool,
    flip: bool,
) -> torch.Tensor:
    """A random square of each image, one by one: drawn by its side or by its area."""
    cuts = []
    for image, (u, v, w, turned) in zip(images, uniform.tolist(), strict=True):
        height, width = image.shape
        share = scale[0] + u * (scale[1] - scale[0])
        side = round((share * height * width) ** 0.5 if by_area else share * min(height, width))
        side = min(side, height, width)
        top, left = int(v * (height - side + 1)), int(w * (width - side + 1))
        cut = image[top : top + side, left : left + side].float()
        cut = F.interpolate(cut[None, None], (SIDE, SIDE), mode="bilinear", antialias=True)
        cuts.append(cut.flip(3) if flip and turned < 0.5 else cut)
    return torch.cat(cuts)


def logits(weights: Weights, cuts: torch.Tensor, dropout: float) -> torch.Tensor:
    """conv1 to conv5, without batch norm or with it in evaluation mode, fc6, fc7, fc8."""
    x = by_hand.conv5(weights, cuts, None).flatten(1)
    for name in ("6", "7"):
        x = x @ weights[f"hidden.fc{name}.weight"].T + weights[f"hidden.fc{name}.bias"]
        x = by_hand.dropped(x.clamp(min=0), dropout)
    return x @ weights["fc8.weight"].T + weights["fc8.bias"]


def loss_of(found: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sigmoid cross entropy, summed over classes but for difficult ones, a mean over images."""
    chance = found.sigmoid()
    each = -torch.where(labels == 1, chance, 1 - chance).log()
    return (each * (labels >= 0)).sum() / len(found)


class Seen:
    """The network that is fine-tuned as it starts and after each step, and its test scores."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[Weights] = []
        self.scores: list[np.ndarray] = []
        made, step, scored = (
            module.make_network,
            torch.optim.SGD.step,
            module.mean_average_precision,
        )

        def make(*arguments: Any) -> Classifier:
            self.network = made(*arguments)
            self.start = self.weights
            return self.network

        def stepped(optimizer: torch.optim.SGD, closure: Any = None) -> None:
            step(optimizer, closure)
            self.steps.append(self.weights)

        def score(scores: np.ndarray, labels: np.ndarray) -> Any:
            self.scores.append(scores)
            return scored(scores, labels)

        monkeypatch.setattr(module, "make_network", make)
        monkeypatch.setattr(torch.optim.SGD, "step", stepped)
        monkeypatch.setattr(module, "mean_average_precision", score)

    @property
    def weights(self) -> Weights:
        return {name: v.double().clone() for name, v in self.network.state_dict().items()}


def rows_of(split: VocSplit, epoch: int) -> Iterator[torch.Tensor]:
    order = torch.randperm(len(split), generator=generator(SEED, "order", epoch))
    return iter(order[: len(split) // BATCH * BATCH].split(BATCH))


def precision(scores: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean average precision in percent: of each image of a class, how right those up to it are."""
    each = []
    for column, shown in zip(scores.detach().T, labels.T, strict=True):
        kept = shown != DIFFICULT
        hits = (shown[kept] == PRESENT)[column[kept].argsort(descending=True)]
        if hits.any():
            ranks = torch.arange(1, len(hits) + 1)
            each.append((hits.cumsum(0) / ranks)[hits].mean())
    return 100 * float(torch.stack(each).mean())


@pytest.mark.parametrize(
    ("variant", "layers", "clip"),  # some gradients are longer
    [
        ("philkr", "fc6-8", 4.5),
        ("philkr", "all", 5.0),
        ("deepcluster", "fc6-8", 4.5),
        ("deepcluster", "all", 9.5),
    ],
)
def test_each_step_and_the_test(
    variant: str,
    layers: Any,
    clip: float,
    composed: tuple[Params, Path],
    make_params: Any,
    network_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_area = variant == "deepcluster"
    scale = [0.2, 0.4] if by_area else [0.6, 0.9]
    params = make_params(
        machine={"device": "cpu"},
        finetune={
            "variant": variant, "scale": scale, "input": SIDE, "dropout": DROPOUT, "crops": 3,
            "iterations": 8, "batch_size": BATCH, "lr": LR, "lr_halve_every": HALVE,
            "momentum": MOMENTUM, "weight_decay": DECAY, "clip": clip,
        },
    )  # fmt: skip
    _, trainval, test = open_voc(params, composed[1])
    images, seen = trainval.images(), Seen(monkeypatch)
    finetune(params, Name(seed=SEED), composed[1], network_file, layers, tmp_path / "r.json")

    weights = dict(seen.start)
    descent = Descent(MOMENTUM, DECAY)
    prefixes = ("hidden", "fc8") if layers == "fc6-8" else ()
    clipped, done = [], 0
    history = json.loads((tmp_path / "r.json").read_text())["history"]
    for epoch in range(2):  # 6 batches, then 2
        given, shown = [], []
        by_hand.seed_dropout(SEED, epoch)
        draws = generator(SEED, "crops", epoch)
        for rows in rows_of(trainval, epoch):
            if done == 8:
                break
            uniform = torch.rand(BATCH, 4, generator=draws)
            cuts = squares([images[row] for row in rows], uniform, scale, by_area, True)
            leaves = by_hand.leaves_of(weights, *prefixes)
            given.append(logits(weights, cuts, DROPOUT))
            shown.append(trainval.labels[rows])
            loss = loss_of(given[-1], shown[-1])
            slopes = by_hand.slopes_of(loss, leaves)
            norm = float(sum(slope.square().sum() for slope in slopes.values())) ** 0.5
            clipped.append(norm > clip)
            shrunk = {name: slope * min(1, clip / norm) for name, slope in slopes.items()}
            descent.step(weights, shrunk, LR * 0.5 ** (done // HALVE))
            weights = {name: value.detach() for name, value in weights.items()}
            by_hand.assert_moved_alike(seen.steps[done], weights, seen.start)
            done += 1
        row = history[epoch]
        assert (row["epoch"], row["iteration"]) == (epoch + 1, done)
        assert row["lr"] == LR * 0.5 ** ((done - 1) // HALVE)
        assert row["train"] == pytest.approx(precision(torch.cat(given), torch.cat(shown)))
    assert done == len(seen.steps) == 8
    assert any(clipped)
    assert not all(clipped)

    draws, expected = generator(SEED, "test"), []
    for rows in torch.arange(len(test)).split(16):
        images = [test.image(int(row)) for row in rows]
        uniform = torch.rand(3 * len(rows), 4, generator=draws)
        cuts = squares(images * 3, uniform, scale, by_area, False)
        expected.append(logits(weights, cuts, 0.0).view(3, len(rows), -1).sum(0))
    (scores,) = seen.scores
    np.testing.assert_allclose(scores, torch.cat(expected), rtol=1e-3, atol=1e-3)
    spread = torch.cat(expected).std(0)
    assert spread.min() > 0.01  # other squares would show
