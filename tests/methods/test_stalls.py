"""That a loop does not wait for its GPU, on one that is only pretended.

Under FakeTensorMode tensors have a device and a shape but no numbers: what needs a number fails,
and copies show whether the one who asks for them waits.
"""

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

import nat.alignments
import nat.targets
from nat.methods import colorization, context_prediction, exemplar, rotnet
from nat.methods import labels as labels_method
from nat.methods import nat as nat_method
from nat.network.model import Network, Trunk
from nat.pretext import jigsaw, training
from nat.pretext.colours import bins
from nat.pretext.jigsaw import far_orders
from nat.pretext.training import Task
from nat.runtime.device import Stopwatch
from nat.runtime.distributed import Distributed
from nat.runtime.naming import Name
from nat.runtime.settings.params import ModelSettings
from nat.targets import Targets

GPU = torch.device("cuda")
BATCH, STEPS = 8, 4
SILENT = SimpleNamespace(accuracy=lambda *_: None)  # of kNN


class Waits(TorchDispatchMode):
    """Counts, step by step, the copies between devices for which the caller waits."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[list[str]] = [[]]  # first what comes before the first step

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._to_copy.default:
            way = f"{args[0].device.type} to {found.device.type}"
            if args[0].device != found.device and not (kwargs or {}).get("non_blocking"):
                self.steps[-1].append(way)
        return found


class Left(Exception):
    """An epoch's steps are done."""


class Images:
    """Of a store: only how many, and their labels."""

    def __init__(self) -> None:
        self.labels = torch.zeros(BATCH * STEPS, dtype=torch.int64)
        self.classes = ["a", "b", "c"]

    def __len__(self) -> int:
        return len(self.labels)

    def require_labels(self, purpose: str) -> None:
        pass


class Pretended:
    """A session, its loader and its epoch, whose images are on a GPU that is not there."""

    number, steps, images_per_epoch, name, seed = 0, STEPS, BATCH * STEPS, Name("nat"), 0
    group = "baselines.labels"

    def __init__(self, params: Any, waits: Waits) -> None:
        self.params, self.waits, self.device = params, waits, GPU
        self.distributed, self.crop = Distributed(GPU), params.augment.crop
        self.images = self.train = self.test = self.validation = Images()
        self.manifest = None

    def loader(self, *_: object) -> "Pretended":
        return self

    def network(self, outputs: int) -> Network:
        with GPU:
            return Network(self.params.model, self.crop, outputs)

    def generator(self, *_: object) -> None:
        return None

    def epochs(self, *_: object, **__: object) -> Iterator["Pretended"]:
        yield self

    def epoch(self, _: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for step in range(STEPS):
            images = torch.zeros(BATCH, 1, self.crop, self.crop, dtype=torch.uint8, device=GPU)
            yield torch.arange(step * BATCH, (step + 1) * BATCH), images

    def batches(self, batches: Any, *_: object) -> Iterator[tuple]:
        for step, batch in enumerate(batches):
            self.waits.steps.append([])
            yield step, *batch
        self.waits.steps.append([])  # what comes after the last step

    def add(self, loss: torch.Tensor) -> None:
        assert (loss.device.type, loss.shape) == ("cuda", ())

    def log(self, **_: object) -> None:
        raise AssertionError("the loss comes first")

    def loss(self) -> float:
        raise Left


def fetch(similarity: torch.Tensor) -> np.ndarray:
    """As ``fetched``, which has no numbers to look at."""
    assert similarity.cpu().shape == (BATCH, BATCH)
    return np.eye(BATCH)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Waits]:
    for place in (nat_method, training):
        monkeypatch.setattr(place, "KnnMonitor", lambda *_, **__: SILENT)
    monkeypatch.setattr(nat_method, "Stopwatch", lambda _: Stopwatch(torch.device("cpu")))
    monkeypatch.setattr("nat.alignments.exact.fetched", fetch)
    monkeypatch.setattr("nat.alignments.exact.best_permutation", lambda _: np.arange(BATCH))
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: None)  # which needs a real GPU
    for kind in (Network, Task):
        # where weights are replaced
        monkeypatch.setattr(kind, "to", lambda module, *_, **__: module)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield Waits()


@pytest.mark.parametrize("near", [True, False], ids=["targets on the GPU", "targets on the disk"])
@pytest.mark.parametrize(("every", "expected"), [(1, ["cuda to cpu"]), ("never", [])])
def test_pretraining_waits_once_where_it_reassigns(
    near: bool,
    every: object,
    expected: list[str],
    make_params: Any,
    waits: Waits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params = make_params(permute_every=every)
    monkeypatch.setattr(nat.targets, "fits", lambda *_: near)
    session = Pretended(params, waits)
    targets = Targets(torch.zeros(BATCH * STEPS, params.targets.dimension))
    with waits, pytest.raises(Left):
        nat_method.train(session, params.pretrain, targets, None)  # type: ignore[arg-type]
    assert waits.steps[1:-1] == [expected] * STEPS


def test_training_with_labels_never_waits(make_params: Any, waits: Waits) -> None:
    params = make_params()
    settings = labels_method.Settings(**params.baselines["labels"])
    with waits, pytest.raises(Left):
        labels_method.train(Pretended(params, waits), settings)  # type: ignore[arg-type]
    assert waits.steps[1:-1] == [[]] * STEPS


def tasks_of_patches() -> dict[str, Callable[[], Task]]:
    """Tasks of single images and their parts, and how to make them for three channels."""
    orders = far_orders(5, 9, torch.Generator().manual_seed(0))
    bins()  # numbers, which are kept
    common = {"epochs": 1, "batch_size": BATCH, "lr": 0.1, "lr_hold": 0, "lr_decay": 0.0}
    common |= {"momentum": 0.0, "weight_decay": 0.0}
    context = context_prediction.Settings(**common, patch=0.24, jitter=0.036)
    puzzle = jigsaw.JigsawTraining(**common, permutations=5, tile=0.85, units=8)
    model = ModelSettings(preprocessing="sobel", trunk="small", hidden=16, dropout=0.0)
    colours = torch.rand(3), torch.eye(3)
    counts = torch.ones(313, dtype=torch.int64)

    def trunk() -> Trunk:
        return Trunk("small", channels=3)

    return {
        "colorization": lambda: colorization.Colours(trunk(), 28, counts),
        "context_prediction": lambda: context_prediction.Directions(trunk(), 28, 8, context),
        "exemplar": lambda: exemplar.Exemplars(trunk(), 28, 50, 8, colours),
        "jigsaw": lambda: jigsaw.Jigsaw(trunk(), 28, 8, orders, puzzle),
        "rotnet": lambda: rotnet.Turns(Network(model, 28, 4, 3), 2),
    }


PATCHES = tasks_of_patches()


@pytest.mark.parametrize("name", sorted(PATCHES))
def test_a_step_on_patches_never_waits(name: str, waits: Waits) -> None:
    with GPU:
        task = PATCHES[name]()
    for key, buffer in list(task.named_buffers()):
        if buffer.device != GPU:
            owner, _, word = key.rpartition(".")
            setattr(task.get_submodule(owner), word, buffer.to(GPU))
    images = torch.zeros(BATCH, 3, 28, 28, dtype=torch.uint8, device=GPU)
    with waits:
        loss, measures = task(images, torch.arange(BATCH))
    assert waits.steps == [[]]
    assert all(value.device.type == "cuda" for value in (loss, *measures.values()))
