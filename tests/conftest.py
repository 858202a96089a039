"""Small real images and parameters that make every stage take seconds."""

# ruff: noqa: E402
from nat.runtime.openmp import spin_shortly

spin_shortly()  # before PyTorch is loaded, as every command does

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import settings

import nat.network.optimizer as optimizer_module
from nat.data.store import Source, Split, write_store
from nat.runtime.settings.params import Params
from nat.voc.data import prepare

CLASSES = ["across", "along", "disc"]
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # in a shell's background, where Ctrl-C would be nothing to what the tests start either
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    # under nohup, what the tests start hears that a terminal closes, the tests themselves go on
    signal.signal(signal.SIGHUP, lambda *_: None)


def draw(label: int, size: int, draws: np.random.Generator) -> np.ndarray:
    """A noisy image of its class: stripes across, stripes along or a disc; uint8 (size, size)."""
    y, x = np.mgrid[:size, :size]
    phase, period = draws.uniform(0, 6), draws.uniform(5, 8)
    if label == 2:
        middle = size / 2 + draws.uniform(-2, 2, 2)
        shape = ((y - middle[0]) ** 2 + (x - middle[1]) ** 2 < (size / 4) ** 2).astype(float)
    else:
        shape = np.sin((x if label else y) * 2 * np.pi / period + phase) / 2 + 0.5
    return np.clip(shape * 180 + draws.normal(30, 12, shape.shape), 0, 255).astype(np.uint8)


def image_set(n: int, size: int = 32, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """n images, uint8 (n, 1, size, size), and their labels, int64 (n,)."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, len(CLASSES), n)
    return np.stack([draw(label, size, draws)[None] for label in labels]), labels


def fake_objects(n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Noisy rectangles and ellipses on black, of a shape that depends on the label."""
    draws = np.random.default_rng(0)
    labels = np.arange(n) % 10
    y, x = np.mgrid[:28, :28] - 13.5
    images = np.zeros((n, 28, 28), np.uint8)
    for image, label in zip(images, labels, strict=True):
        high, wide = 5 + label % 5 * 2, 13 - label % 5 * 2
        if label < 5:
            inside = (np.abs(y) < high) & (np.abs(x) < wide)
        else:
            inside = (y / high) ** 2 + (x / wide) ** 2 < 1
        image[inside] = draws.integers(100, 255, int(inside.sum()))
    return images, labels.astype(np.int64)


def write_image_folder(folder: Path, a_class: int = 40, size: int = 36) -> None:
    """A folder of PNG and JPEG images, a folder a class."""
    draws = np.random.default_rng(1)
    for label, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for index in range(a_class):
            image = Image.fromarray(draw(label, size + index % 3, draws))
            image.save(folder / name / f"{index:03d}.{'png' if index % 2 else 'jpg'}")


@pytest.fixture
def make_params(tmp_path: Path) -> Any:
    """Small parameters whose data and scratch lie in the test's folder."""

    def make(**groups: Any) -> Params:
        machine = {"data": str(tmp_path / "data"), "scratch": str(tmp_path / "scratch")}
        groups["machine"] = machine | groups.get("machine", {})
        return Params.model_validate(settings(**groups))

    return make


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The manifest of a store with 96 training and 48 val images."""
    train, train_labels = image_set(96)
    val, val_labels = image_set(48, seed=1)
    splits = {
        "train": Split(len(train), train, train_labels),
        "test": Split(len(val), val, val_labels),
    }
    path = tmp_path / "images.json"
    write_store(Source("test", CLASSES, splits), 32, 1, str(tmp_path / "data"), path)
    return path


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """The images that composing takes for Fashion-MNIST's."""
    found = fake_objects()
    monkeypatch.setattr(prepare, "read_objects", lambda folder, data: found)
    return found


@pytest.fixture
def composed(tmp_path: Path, make_params: Any, objects: Any) -> tuple[Params, Path]:
    """Parameters and the manifest of 24 + 24 composed images."""
    params, manifest = make_params(), tmp_path / "voc.json"
    prepare.prepare_voc(params, manifest)
    return params, manifest


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the step of a number, counted from 1, lead to weights that are no numbers."""

    def at(number: int) -> None:
        calls, step = iter(range(1, 10_000)), torch.optim.SGD.step

        def poisoned(optimizer: torch.optim.SGD, closure: Any = None) -> None:
            step(optimizer, closure)
            if next(calls) == number:
                with torch.no_grad():
                    optimizer.param_groups[0]["params"][0].fill_(float("nan"))

        monkeypatch.setattr(torch.optim.SGD, "step", poisoned)
        monkeypatch.setattr(optimizer_module, "INTERVAL", 1)  # look in every step on a GPU too

    return at


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    """Leave the number of threads and the global random state as they were."""
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    yield
    torch.set_num_threads(threads)
    torch.set_rng_state(state)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files that take longest first, so that no core waits for the last of them."""
    first = ["test_pipeline.py", "test_experiments.py", "test_distributed.py"]

    def place(item: pytest.Item) -> int:
        return first.index(item.path.name) if item.path.name in first else len(first)

    items.sort(key=place)
