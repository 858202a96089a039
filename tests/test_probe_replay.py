"""The probe against a plain loop that is written out here, step by step, in float64.

On a CPU, whose dropout draws as by hand, and with small steps (see tests/methods/test_replay.py).
"""

import json
from pathlib import Path
from typing import Any

import by_hand
import numpy as np
import pytest
import torch
from by_hand import Descent, Weights
from conftest import CLASSES, image_set
from safetensors.torch import load_file
from torch import nn

import nat.probe
from nat.data.store import Source, Split, write_store
from nat.methods import train
from nat.network.model import initialise
from nat.runtime.naming import Name

SEED, CROP, BATCH, HIDDEN, N, STEPS = 3, 28, 16, 16, 84, 5
NAME = Name(seed=SEED)


@pytest.fixture
def splits(tmp_path: Path) -> dict[str, Split]:
    """84 images to train on, 150 that are hard to tell, of labels by chance, to test on."""
    draws = np.random.default_rng(0)
    (images, labels), (val, _) = image_set(N, 32), image_set(150, 32, seed=1)
    val = (val // 4 + draws.integers(0, 192, val.shape)).astype(np.uint8)
    found = {
        "train": Split(N, images, labels),
        "test": Split(150, val, draws.integers(0, len(CLASSES), len(val))),
    }
    source = Source("test", CLASSES, found)
    write_store(source, 32, 1, str(tmp_path / "data"), tmp_path / "images.json")
    return found


@pytest.fixture
def network(splits: dict[str, Split], make_params: Any, tmp_path: Path) -> Path:
    out = tmp_path / "random", tmp_path / "random.json"
    train(make_params(), Name("random", seed=SEED), tmp_path / "images.json", *out)
    return out[0] / "network.safetensors"


class Seen:
    """What the probe trains: its classifiers, and their weights and slopes' rates by step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.modules: list[nn.Module] = []
        self.steps: list[Weights] = []
        step = torch.optim.SGD.step

        def made(module: nn.Module, draws: torch.Generator) -> None:
            initialise(module, draws)
            self.modules.append(module)

        def stepped(optimizer: torch.optim.SGD, closure: Any = None) -> None:
            step(optimizer, closure)
            self.steps.append(self.weights)

        monkeypatch.setattr(nat.probe, "initialise", made)
        monkeypatch.setattr(torch.optim.SGD, "step", stepped)

    @property
    def weights(self) -> Weights:
        (module,) = self.modules
        return {name: value.double().clone() for name, value in module.state_dict().items()}


def losses(outputs: list[torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    """Softmax cross entropy of the MLP and of the linear classifier, each a mean."""
    total = torch.zeros(()).double()
    for logits in outputs:
        logs = logits - logits.exp().sum(1, keepdim=True).log()
        total = total - logs[torch.arange(len(labels)), labels].mean()
    return total


def classified(
    weights: Weights, x: torch.Tensor, share: float | None, dropout: float = 0.0
) -> list[torch.Tensor]:
    by_mlp = by_hand.mlp(weights, "mlp", x, share, dropout)
    even = by_hand.normalised(x.flatten(1), weights, "linear.1", share)
    return [by_mlp, even @ weights["linear.2.weight"].T + weights["linear.2.bias"]]


def test_each_step(
    make_params: Any,
    splits: dict[str, Split],
    network: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = {"epochs": 4, "batch_size": BATCH, "lr": 2e-3, "lr_linear": 5e-3, "lr_hold": 1}
    settings |= {"lr_decay": 0.7, "momentum": 0.8, "weight_decay": 0.05, "dropout": 0.25}
    params, seen = make_params(probe=settings, machine={"device": "cpu"}), Seen(monkeypatch)
    nat.probe.probe(params, NAME, tmp_path / "images.json", network, None, tmp_path / "p.json")
    trunk = {name: value.double() for name, value in load_file(network).items()}
    weights = by_hand.fresh_classifiers(HIDDEN, len(CLASSES), SEED)
    start, descent = dict(weights), Descent(0.8, 0.05, share=0.2)
    images, labels = np.asarray(splits["train"].images), torch.from_numpy(splits["train"].labels)
    steps, history = iter(seen.steps), json.loads((tmp_path / "p.json").read_text())["history"]
    tested = by_hand.conv5(trunk, by_hand.centre(np.asarray(splits["test"].images), CROP), None)
    for epoch in range(4):
        by_hand.seed_dropout(SEED, epoch)
        right, row = 0, history[epoch]
        factor = 1 / (1 + 0.7 * max(0, epoch - 1))
        for rows, cuts in by_hand.batches(images, BATCH, CROP, SEED, epoch):
            x = by_hand.conv5(trunk, cuts, None)  # in evaluation mode
            leaves = by_hand.leaves_of(weights)
            outputs = classified(weights, x, 0.1, 0.25)
            right += int((outputs[0].argmax(1) == labels[rows]).sum())
            slopes = by_hand.slopes_of(losses(outputs, labels[rows]), leaves)
            rates = {name: factor * (2e-3 if name.startswith("mlp") else 5e-3) for name in slopes}
            descent.step(weights, slopes, rates)
            weights = {name: value.detach() for name, value in weights.items()}
            by_hand.assert_moved_alike(next(steps), weights, start)
        by_mlp, _ = classified(weights, tested, None)
        assert row["epoch"] == epoch + 1
        assert [row["lr"], row["lr_linear"]] == pytest.approx([2e-3 * factor, 5e-3 * factor])
        assert row["train"] == pytest.approx(100 * right / (STEPS * BATCH))
        assert row["test"] == pytest.approx(by_hand.accuracy([by_mlp], splits["test"].labels))
    assert not list(steps)


@pytest.mark.parametrize("crops", [1, 2, 10])
def test_accuracies(
    crops: int,
    make_params: Any,
    splits: dict[str, Split],
    network: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of classifiers that have learnt something, on the crops asked for."""
    params, seen = make_params(probe={"epochs": 4, "crops": crops}), Seen(monkeypatch)
    nat.probe.probe(params, NAME, tmp_path / "images.json", network, None, tmp_path / "p.json")
    trunk = {name: value.double() for name, value in load_file(network).items()}
    (images, labels), (val, val_labels) = (
        (np.asarray(split.images), split.labels) for split in splits.values()
    )
    expected = {}
    for n in (1, 2, 10):
        outputs = [
            classified(seen.weights, by_hand.conv5(trunk, cut, None), None)
            for cut in by_hand.crops_of(val, CROP, n)
        ]
        expected[n] = [by_hand.accuracy(votes, val_labels) for votes in zip(*outputs, strict=True)]
    found = json.loads((tmp_path / "p.json").read_text())["measured"]
    assert [found["mlp"], found["linear"]] == pytest.approx(expected[crops], abs=0.01)
    assert len({tuple(pair) for pair in expected.values()}) == 3  # or their number would not show
    bank, queries = (by_hand.conv5(trunk, by_hand.centre(x, CROP), None) for x in (images, val))
    k = params.probe.neighbours
    nearest = by_hand.knn(bank, labels, queries, val_labels, k)
    assert found["knn"] == pytest.approx(nearest, abs=0.01)
    assert nearest != by_hand.knn(bank, labels, queries, val_labels, k - 1)
