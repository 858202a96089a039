"""What holds for every method that has a task of its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES, image_set
from trained import Run

from nat.data.loader import Loader
from nat.data.store import Source, Split, Store, write_store
from nat.runtime.distributed import Distributed
from nat.runtime.settings.families import constant, members

# whose tasks show the trunk whole images, as the probe does
WHOLE = {
    "autoencoder",
    "bigan",
    "dec",
    "deepcluster",
    "diffrac",
    "exemplar",
    "rotnet",
    "sela",
    "spherical_kmeans",
    "vae",
}
METHODS = [m for m in members("methods") if m != "nat" and constant("methods", m, "MEASURE")]


def stored(tmp_path: Path, channels: int) -> Path:
    """A store of images that have an up: they are lit from above."""
    splits = {}
    for seed, (name, count) in enumerate((("train", 96), ("test", 48))):
        images, labels = image_set(count, seed=seed)
        light = np.linspace(1, 0.2, images.shape[2])[:, None]
        lit = (images * light).astype(np.uint8).repeat(channels, 1)
        splits[name] = Split(count, lit, labels)
    path = tmp_path / f"images-{channels}.json"
    write_store(Source("test", CLASSES, splits), 32, channels, str(tmp_path / "data"), path)
    return path


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The store in one channel."""
    return stored(tmp_path, 1)


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


@pytest.mark.parametrize("method", METHODS)
def test_the_trunk_handed_on_has_learnt_and_knows_whole_images(
    method: str, run: Run, make_params: Any, tmp_path: Path
) -> None:
    """Every convolution has; batch norm has the statistics of whole images, not of tiles."""
    images = stored(tmp_path, 3 if method == "colorization" else 1)
    network, fresh = run(method, images=images, epochs=1).network, run("untrained", images=images)
    assert network is not None
    assert fresh.network is not None
    layers, before = network.trunk.layers, fresh.network.trunk.layers
    for name in (f"conv{number}" for number in range(1, 6)):
        weight = layers.get_submodule(name).weight
        assert not torch.equal(weight, before.get_submodule(name).weight), name

    params, cpu = make_params(), Distributed(torch.device("cpu"))
    store = Store(images, params.machine.data, "train")
    batches = Loader(store, 16, params.augment, 0, cpu, "batch_size").epoch(0)
    with torch.no_grad():
        responses = [layers.conv1(network.trunk.preprocess(crops)) for _, crops in batches]
    means, variances = (
        torch.stack([each.transpose(0, 1).flatten(1).mean(1) for each in responses]).mean(0),
        torch.stack([each.transpose(0, 1).flatten(1).var(1) for each in responses]).mean(0),
    )
    alike = torch.allclose(layers.bn1.running_mean, means, rtol=1e-3, atol=1e-5)
    alike &= torch.allclose(layers.bn1.running_var, variances, rtol=1e-3)
    # where whole images were trained on they are running ones, of weights that have changed
    assert alike != (method in WHOLE)
