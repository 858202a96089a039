import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES, image_set
from torch import nn

from nat.data.store import Source, Split, write_store
from nat.methods import TrunkSession, settings_of
from nat.methods.barlow_twins import Decorrelation, barlow_twins
from nat.methods.simclr import Contrast, nt_xent
from nat.methods.vicreg import Regularised, vicreg
from nat.pretext.pairs import Pairs, measured
from nat.pretext.training import Task
from nat.pretext.views import BYOL, SIMCLR, SIMSIAM, VICREG
from nat.runtime.distributed import Distributed
from nat.runtime.naming import Name

METHODS = ("barlow_twins", "byol", "dino", "simclr", "simsiam", "vicreg")
LAYERS = {"barlow_twins": 3, "byol": 2, "dino": 3, "simclr": 2, "simsiam": 3, "vicreg": 3}
RECIPES = {
    "barlow_twins": BYOL,
    "byol": BYOL,
    "dino": BYOL,
    "simclr": SIMCLR,
    "simsiam": SIMSIAM,
    "vicreg": VICREG,
}


def test_measures_are_those_of_a_loop() -> None:
    draws = np.random.default_rng(0)
    first = draws.normal(size=(12, 5))
    second = first + draws.normal(size=(12, 5))
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (first, second))
    right = sum(int(np.argmax([u @ v for v in b]) == i) for i, u in enumerate(a))
    assert 0 < right < 12
    found = measured(*(torch.from_numpy(x).float() for x in (first, second)))
    assert found["matched"].item() == pytest.approx(100 * right / 12)
    deviations = np.concatenate([a, b]).std(0, ddof=1)
    assert found["spread"].item() == pytest.approx(deviations.mean() * 5**0.5, rel=1e-5)


def test_spread_tells_a_collapse() -> None:
    x = torch.randn(2, 4000, 64)
    assert measured(*x)["spread"].item() == pytest.approx(1, abs=0.02)
    same = measured(*(x * 1e-3 + 1))
    assert same["spread"] < 0.01
    assert same["matched"] < 1


@dataclass(frozen=True)
class Part(Distributed):
    """One of two processes, told what both have of the first and of the second views."""

    both: tuple[torch.Tensor, ...] = ()

    def all_gather(self, tensor: torch.Tensor) -> torch.Tensor:
        assert not tensor.requires_grad
        (whole,) = (each for each in self.both if torch.equal(tensor, each.chunk(2)[self.rank]))
        return whole


@pytest.mark.parametrize(
    ("kind", "weights"), [(Contrast, 0.5), (Decorrelation, 0.005), (Regularised, (25.0, 25.0, 1.0))]
)
def test_two_processes_have_the_loss_and_gradient_of_one(kind: Any, weights: Any) -> None:
    def loss(distributed: Distributed, *embeddings: torch.Tensor) -> torch.Tensor:
        return kind(nn.Identity(), nn.Identity(), weights, distributed).loss(*embeddings)

    cpu = torch.device("cpu")
    views = tuple(torch.randn(2, 8, 5, dtype=torch.float64))
    whole = [view.clone().requires_grad_() for view in views]
    expected = loss(Distributed(cpu), *whole)
    expected.backward()
    for rank in (0, 1):
        own = [view.chunk(2)[rank].clone().requires_grad_() for view in views]
        found = loss(Part(cpu, rank=rank, size=2, both=views), *own)
        assert torch.allclose(found, expected)
        found.backward()
        for each, all_of in zip(own, whole, strict=True):
            # the mean over the processes, in which only this one's is not 0
            assert torch.allclose(each.grad / 2, all_of.grad.chunk(2)[rank])


@pytest.fixture
def task_of(make_params: Any, manifest: Path, tmp_path: Path, monkeypatch: Any) -> Any:
    """The task that a method would train, with tiny settings."""

    def made(name: str, file: Path = manifest, **groups: Any) -> Pairs:
        method: ModuleType = importlib.import_module(f"nat.methods.{name}")
        kept: list[Task] = []

        def keep(session: Any, network: Any, task: Task, settings: Any, whole: bool) -> None:
            assert not whole  # views are parts
            kept.append(task)

        monkeypatch.setattr(method, "pretrain_on", keep)
        params, out = make_params(**groups), tmp_path / name
        with TrunkSession(params, Name(name), {}, file, out, out.with_suffix(".json")) as session:
            method.train(session, settings_of(method, name, params))
        (task,) = kept
        assert isinstance(task, Pairs)
        return task.train()

    return made


@pytest.mark.parametrize("method", METHODS)
def test_all_that_learns_has_a_gradient(method: str, task_of: Any) -> None:
    task = task_of(method)
    images = torch.randint(0, 256, (8, 1, 28, 28), dtype=torch.uint8)
    loss, measures = task(images, torch.arange(8))
    assert loss.ndim == 0
    assert measures.keys() == {"matched", "spread"}
    loss.backward()
    for name, weight in task.named_parameters():
        if name.startswith("teacher."):
            assert weight.grad is None
        else:
            assert weight.grad is not None, name
            assert weight.grad.any() or name.endswith("bias"), name  # which batch norm takes away


@pytest.mark.parametrize("method", METHODS)
def test_embeddings_are_of_the_first_and_of_the_second_view(method: str, task_of: Any) -> None:
    task = task_of(method).eval()  # batch norm would tell what comes along with a view
    views = 255 * torch.rand(2, 8, 1, 28, 28)
    for view, found in zip(views, task.embed(*views), strict=False):
        assert torch.allclose(found, task.encoder(view), atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_heads_have_the_papers_layers(method: str, task_of: Any) -> None:
    def widths(head: nn.Module) -> list[int]:
        return [layer.out_features for layer in head.modules() if isinstance(layer, nn.Linear)]

    own = {"hidden": 24, "outputs": 12} | ({"bottleneck": 3} if method == "simsiam" else {})
    task = task_of(method, baselines={method: own})
    _, head = task.encoder
    assert widths(head) == [24] * (LAYERS[method] - 1) + [12]
    assert isinstance(head[-1], nn.BatchNorm1d) == (method == "simsiam")
    if method in ("byol", "simsiam"):
        assert widths(task.predictor) == [24 if method == "byol" else 3, 12]


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_views_are_the_papers_of_the_area_asked_for(method: str, flip: bool, task_of: Any) -> None:
    views = task_of(method, baselines={method: {"area": 0.3}}, augment={"flip": flip}).views
    assert (views.recipe, views.area, views.flip) == (RECIPES[method], 0.3, flip)


@pytest.mark.parametrize("method", ["byol", "dino"])
def test_a_teachers_decay_rises_until_the_last_step(method: str, task_of: Any) -> None:
    task = task_of(method, baselines={method: {"epochs": 5, "decay": 0.75}})
    assert (task.teacher.steps, task.teacher.decay) == (5 * 6, 0.75)  # 96 images in batches of 16


@pytest.mark.parametrize(
    ("method", "loss", "own"),
    [
        ("barlow_twins", barlow_twins, {"redundancy": 0.25}),
        ("simclr", nt_xent, {"temperature": 0.25}),
        ("vicreg", vicreg, {"invariance": 2.0, "variance": 3.0, "covariance": 5.0}),
    ],
)
def test_a_losss_weights_are_those_of_the_settings(
    method: str, loss: Any, own: dict[str, float], task_of: Any
) -> None:
    task, views = task_of(method, baselines={method: own}), torch.randn(2, 8, 5)
    weights = tuple(own.values())
    expected = loss(*views, weights if len(weights) > 1 else weights[0])
    assert torch.equal(task.loss(*views), expected)


@pytest.mark.parametrize("method", METHODS)
def test_losses_are_computed_in_full_precision(method: str, task_of: Any) -> None:
    task = task_of(method)
    told: list[torch.Tensor] = []
    plain = task.loss

    def noted(*embeddings: torch.Tensor) -> torch.Tensor:
        told.extend(embeddings)
        assert not torch.is_autocast_enabled("cpu")
        return plain(*embeddings)

    task.loss = noted
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = task(torch.randint(0, 256, (8, 1, 28, 28)), torch.arange(8))
    assert {each.dtype for each in (*told, loss)} == {torch.float32}


@pytest.mark.parametrize("method", METHODS)
def test_large_colour_images_train_the_papers_trunk(
    method: str, task_of: Any, tmp_path: Path
) -> None:
    images, labels = image_set(20, 64)
    splits = {
        name: Split(20, images.repeat(3, 1), labels) for name in ("train", "validation", "test")
    }
    manifest = tmp_path / "colour.json"
    write_store(Source("test", CLASSES, splits), 64, 3, str(tmp_path / "data"), manifest)
    groups = {"model": {"trunk": "alexnet"}, "augment": {"crop": 64}, "images": {"size": 64}}
    task = task_of(method, manifest, **groups)
    loss, _ = task(torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8), torch.arange(2))
    loss.backward()
    assert all(weight.grad.isfinite().all() for weight in task.encoder.parameters())
