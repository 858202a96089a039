"""Trainings against plain loops that are written out here, in float64, by the paper's formulas.

The steps are small, so that what float32 rounds away does not grow from step to step. On a CPU,
whose dropout draws as by hand.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import by_hand
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from by_hand import Descent, Weights
from conftest import CLASSES, image_set
from safetensors.torch import load_file
from scipy.optimize import linear_sum_assignment

from nat.data.seeds import generator
from nat.data.store import Source, Split, write_store
from nat.methods import train
from nat.methods.nat import pretrain
from nat.runtime.naming import Name
from nat.targets import load_targets, sample_targets, save_targets

SEED, CROP, BATCH, HIDDEN = 4, 28, 16, 16
CPU = {"device": "cpu"}
N, STEPS = 84, 5  # images, batches of an epoch: four images are left over


@dataclass
class Images:
    """A store, and what is in it.

    Attributes:
        train: uint8 (n, 1, 32, 32), val likewise, but hard to tell.
        labels: int64 (n,); val's are drawn by chance.
    """

    manifest: Path
    train: np.ndarray
    labels: np.ndarray
    val: np.ndarray
    val_labels: np.ndarray


@pytest.fixture
def images(tmp_path: Path) -> Images:
    draws = np.random.default_rng(0)
    (train, labels), (val, _) = image_set(N, 32), image_set(150, 32, seed=1)
    val = (val // 4 + draws.integers(0, 192, val.shape)).astype(np.uint8)
    val_labels = draws.integers(0, len(CLASSES), len(val))
    held_out = Split(150, val, val_labels)
    splits = {"train": Split(N, train, labels), "validation": held_out, "test": held_out}
    write_store(
        Source("test", CLASSES, splits), 32, 1, str(tmp_path / "data"), tmp_path / "images.json"
    )
    return Images(tmp_path / "images.json", train, labels, val, val_labels)


def rate(settings: Any, t: int) -> float:
    return settings.lr / (1 + settings.lr_decay * max(0, t - settings.lr_hold))


def monitored(weights: Weights, images: Images) -> float:
    bank, queries = (
        by_hand.conv5(weights, by_hand.centre(x, CROP), None) for x in (images.train, images.val)
    )
    return by_hand.knn(bank, images.labels, queries, images.val_labels, 20)


def result(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


def same_rows(found: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    assert [list(row) for row in found] == [list(row) for row in expected]
    for row, by in zip(found, expected, strict=True):
        for name, value in by.items():
            assert row[name] == (None if value is None else pytest.approx(value, rel=1e-5)), name


@pytest.mark.parametrize(
    "more", [{}, {"momentum": 0.5, "weight_decay": 0.05}], ids=["plain", "momentum"]
)
def test_pretraining_is_algorithm_1(
    more: dict[str, float], make_params: Any, images: Images, tmp_path: Path
) -> None:
    params = make_params(
        permute_every=2,
        pretrain={"batch_size": BATCH, "lr": 4e-5, "lr_hold": 3, "lr_decay": 0.5, **more},
        model={"dropout": 0.25},
        machine=CPU,
    )
    settings, targets = params.pretrain, tmp_path / "targets.npy"
    save_targets(sample_targets("sphere", N, params.targets, SEED), targets)
    vectors = torch.from_numpy(np.load(targets)).double()
    weights = by_hand.fresh_network(HIDDEN, 8, SEED)
    start, descent = dict(weights), Descent(settings.momentum, settings.weight_decay)
    p = torch.randperm(N, generator=generator(SEED, "assignment")).numpy()
    rows_of_history, checkpoints = [], []
    for epoch in range(3):
        by_hand.seed_dropout(SEED, epoch)
        total, before = 0.0, p.copy()
        for step, (rows, cuts) in enumerate(
            by_hand.batches(images.train, BATCH, CROP, SEED, epoch)
        ):
            leaves = by_hand.leaves_of(weights)
            features = by_hand.unit(by_hand.outputs(weights, cuts, dropout=0.25))
            if epoch % 2 == 0:
                inner = (features.detach() @ vectors[p[rows]].T).numpy()
                _, taken = linear_sum_assignment(-inner)
                p[rows] = p[rows][taken]
            loss = ((features - vectors[p[rows]]) ** 2).sum()
            lr = rate(settings, STEPS * epoch + step)
            descent.step(weights, by_hand.slopes_of(loss, leaves), lr)
            total += float(loss.detach())
        weights = {name: value.detach() for name, value in weights.items()}
        checkpoints.append(dict(weights))
        rows_of_history.append(
            {
                "epoch": epoch + 1,
                "lr": lr,
                "loss": total / (STEPS * BATCH),
                "reassigned": 100 * (p != before).sum() / (STEPS * BATCH),
                "knn": monitored(weights, images),
            }
        )
        # as many epochs of the training itself
        out, file = tmp_path / f"net-{epoch}", tmp_path / f"{epoch}.json"
        asked = params.model_copy(
            update={"pretrain": settings.model_copy(update={"epochs": epoch + 1})}
        )
        pretrain(asked, Name(seed=SEED), images.manifest, targets, out, file)
        assert np.load(out / "assignment.npy").tolist() == p.tolist()
        found = load_file(out / "network.safetensors")
        by_hand.assert_moved_alike(found, weights, start)
        same_rows(result(file)["history"], rows_of_history)
        for at, expected in enumerate(checkpoints[:-1], 1):
            found = load_file(out / f"checkpoints/epoch-{at:04d}.safetensors")
            by_hand.assert_moved_alike(found, expected, start)
    assert [row["reassigned"] > 50 for row in rows_of_history] == [True, False, True]
    assert rows_of_history[1]["reassigned"] == 0


def softmax(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    logs = outputs - outputs.exp().sum(1, keepdim=True).log()
    return -logs[torch.arange(len(labels)), labels].mean()


def square(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return (by_hand.unit(outputs) - torch.eye(3).double()[labels]).square().sum(1).mean()


@pytest.mark.parametrize("loss_of", [softmax, square])
def test_training_with_labels(
    loss_of: Callable[..., torch.Tensor], make_params: Any, images: Images, tmp_path: Path
) -> None:
    labels = {"epochs": 3, "batch_size": BATCH, "lr": 4e-4, "lr_hold": 3, "lr_decay": 0.5}
    labels |= {"momentum": 0.6, "weight_decay": 0.05, "loss": loss_of.__name__}
    params = make_params(baselines={"labels": labels}, model={"dropout": 0.25}, machine=CPU)
    weights = by_hand.fresh_network(HIDDEN, len(CLASSES), SEED)
    start, descent = dict(weights), Descent(0.6, 0.05)
    history = []
    for epoch in range(3):
        by_hand.seed_dropout(SEED, epoch)
        total = 0.0
        for step, (rows, cuts) in enumerate(
            by_hand.batches(images.train, BATCH, CROP, SEED, epoch)
        ):
            leaves = by_hand.leaves_of(weights)
            loss = loss_of(
                by_hand.outputs(weights, cuts, dropout=0.25), torch.from_numpy(images.labels[rows])
            )
            lr = 4e-4 / (1 + 0.5 * max(0, STEPS * epoch + step - 3))
            descent.step(weights, by_hand.slopes_of(loss, leaves), lr)
            total += float(loss.detach())
        weights = {name: value.detach() for name, value in weights.items()}
        knn = monitored(weights, images) if epoch == 2 else None
        history.append({"epoch": epoch + 1, "lr": lr, "loss": total / STEPS, "knn": knn})
    train(params, Name("labels", seed=SEED), images.manifest, tmp_path / "n", tmp_path / "r.json")
    by_hand.assert_moved_alike(load_file(tmp_path / "n/network.safetensors"), weights, start)
    same_rows(result(tmp_path / "r.json")["history"], history)


@pytest.mark.parametrize("crops", [1, 2, 10])
def test_the_networks_own_accuracy_is_of_the_crops_asked_for(
    crops: int, make_params: Any, images: Images, tmp_path: Path
) -> None:
    """On images that are hard to tell, of labels by chance: each guess that changes shows."""
    labels = {"epochs": 6, "batch_size": BATCH, "lr": 0.02, "crops": crops}
    params, out = make_params(baselines={"labels": labels}), (tmp_path / "n", tmp_path / "r.json")
    train(params, Name("labels", seed=SEED), images.manifest, *out)
    found = load_file(out[0] / "network.safetensors")
    weights = {name: value.double() for name, value in found.items()}
    expected = {
        n: by_hand.accuracy(
            [by_hand.outputs(weights, cut, None) for cut in by_hand.crops_of(images.val, CROP, n)],
            images.val_labels,
        )
        for n in (1, 2, 10)
    }
    assert result(out[1])["measured"]["accuracy"] == pytest.approx(expected[crops], abs=0.01)
    assert len(set(expected.values())) == 3  # or the number of crops would not show


def at_first(method: str, params: Any, images: Images, tmp_path: Path) -> Weights:
    """The network after an epoch whose steps are too small to change a float."""
    out = tmp_path / method, tmp_path / f"{method}.json"
    name = Name(method, seed=SEED)
    if method == "nat":
        pretrain(params, name, images.manifest, None, *out)
    else:
        train(params, name, images.manifest, *out)
    return load_file(tmp_path / method / "network.safetensors")


def test_every_method_starts_from_the_same_weights(
    make_params: Any, images: Images, tmp_path: Path
) -> None:
    still = {"epochs": 1, "lr": 1e-300, "momentum": 0.0, "weight_decay": 0.0}
    params = make_params(pretrain=still, baselines={"labels": still})
    for method, outputs in (("random", 2), ("nat", 8), ("labels", len(CLASSES))):
        found = at_first(method, params, images, tmp_path)
        expected = by_hand.trained(by_hand.fresh_network(HIDDEN, outputs, SEED))
        for name, value in expected.items():
            assert torch.equal(found[name], value.float()), (method, name)


def test_untrained_has_initial_weights_and_statistics(
    make_params: Any, images: Images, tmp_path: Path
) -> None:
    found = at_first("untrained", make_params(), images, tmp_path)
    for name, value in by_hand.fresh_network(HIDDEN, 2, SEED).items():
        assert torch.equal(found[name], value.float()), name


def test_random_gathers_the_mean_of_its_batches_statistics(
    make_params: Any, images: Images, tmp_path: Path
) -> None:
    found = at_first("random", make_params(), images, tmp_path)
    weights = by_hand.fresh_network(HIDDEN, 2, SEED)
    for step, (_, cuts) in enumerate(by_hand.batches(images.train, BATCH, CROP, SEED, 0)):
        by_hand.conv5(weights, cuts, 1 / (step + 1))
    for name, value in weights.items():
        torch.testing.assert_close(found[name].double(), value, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("seed", range(3))
def test_targets_of_half_precision_give_almost_the_same_gradient(
    seed: int, make_params: Any, images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the one step of an epoch of one batch, whatever the weights: it is linear in targets."""
    slopes: list[torch.Tensor] = []
    step = torch.optim.SGD.step

    def noted(optimizer: torch.optim.SGD, closure: Any = None) -> None:
        weights = optimizer.param_groups[0]["params"]
        slopes.append(torch.cat([weight.grad.flatten() for weight in weights]))
        step(optimizer, closure)

    monkeypatch.setattr(torch.optim.SGD, "step", noted)
    for precision in ("float32", "float16"):
        params = make_params(
            permute_every="never",
            pretrain={"epochs": 1, "batch_size": N},
            targets={"precision": precision},
        )
        file = tmp_path / f"{precision}.npy"
        save_targets(sample_targets("sphere", N, params.targets, seed), file)
        assert str(load_targets(file).array.dtype) == f"torch.{precision}"
        pretrain(
            params, Name(seed=seed), images.manifest, file, tmp_path / "n", tmp_path / "r.json"
        )
    whole, half = slopes
    # a target moves by at most 2^-11, and is of length 1
    assert 0 < (half - whole).norm() / whole.norm() < 2**-10
    assert F.cosine_similarity(half, whole, dim=0) > 1 - 1e-6
