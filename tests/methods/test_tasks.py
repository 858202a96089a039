"""What holds for every method that has a task of its own."""

from pathlib import Path

import numpy as np
import pytest
from conftest import CLASSES, image_set
from trained import Run

from nat.data.store import Source, Split, write_store
from nat.runtime.settings.families import constant, members

METHODS = [m for m in members("methods") if m != "nat" and constant("methods", m, "MEASURE")]


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """A store of images that have an up: they are lit from above."""
    splits = {}
    for seed, (name, count) in enumerate((("train", 96), ("test", 48))):
        images, labels = image_set(count, seed=seed)
        light = np.linspace(1, 0.2, images.shape[2])[:, None]
        splits[name] = Split(count, (images * light).astype(np.uint8), labels)
    path = tmp_path / "images.json"
    write_store(Source("test", CLASSES, splits), 32, 1, str(tmp_path / "data"), path)
    return path


@pytest.mark.parametrize("method", METHODS)
def test_a_method_learns_its_own_task(method: str, run: Run) -> None:
    trained = run(method)
    if "not_run" in trained.result:
        pytest.skip(trained.result["not_run"])
    measure = constant("methods", method, "MEASURE")
    values = trained.column(measure)
    better = constant("methods", method, "BETTER")
    assert values[-1] < values[0] if better == "lower" else values[-1] > values[0], values
    assert trained.result["measured"][measure] == pytest.approx(values[-1], abs=1e-4)
    assert constant("methods", method, "MEASURE_TEXT")


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_bytes(method: str, run: Run) -> None:
    first = run(method, epochs=1)
    file = first.folder / "network.safetensors"
    if not file.exists():
        pytest.skip("not run on these images")
    before = file.read_bytes()
    file.unlink()
    run(method, epochs=1)
    assert file.read_bytes() == before
