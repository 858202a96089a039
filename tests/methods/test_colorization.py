from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trained import Run

from nat.data.store import Source, Split, Store, write_store
from nat.methods.colorization import Colours, coarse_colours, count_colours
from nat.network.model import Trunk
from nat.pretext.colours import bins, rarity, spread, to_lab


@pytest.fixture
def coloured(tmp_path: Path) -> Path:
    """A store of discs of one colour and squares of another, noisy."""
    draws = np.random.default_rng(0)
    y, x = np.mgrid[:32, :32] - 15.5
    splits = {}
    for name, count in (("train", 96), ("test", 48)):
        labels = draws.integers(0, 2, count)
        images = draws.integers(0, 30, (count, 3, 32, 32))
        for image, label in zip(images, labels, strict=True):
            inside = np.hypot(y, x) < 11 if label else np.maximum(abs(y), abs(x)) < 9
            image[0 if label else 2][inside] += 200
        splits[name] = Split(count, images.astype(np.uint8), labels)
    path = tmp_path / "coloured.json"
    source = Source("coloured", ["square", "disc"], splits)
    write_store(source, 32, 3, str(tmp_path / "data"), path)
    return path


def test_learns_the_colours(run: Run, coloured: Path) -> None:
    trained = run("colorization", images=coloured, epochs=8)
    entropy, auc = trained.column("entropy"), trained.column("auc")
    assert entropy[-1] < 0.7 * entropy[0]
    assert auc[-1] > auc[0] + 1
    assert trained.network is not None
    assert trained.network.trunk.channels == 3
    assert trained.result["measured"]["entropy"] == pytest.approx(entropy[-1], abs=1e-4)


def test_grey_images_are_not_run(run: Run, manifest: Path) -> None:
    trained = run("colorization")
    assert trained.network is None
    assert trained.result["not_run"] == "needs colour: images.channels is 1"


def test_colours_are_counted_in_the_images(coloured: Path, make_params: Any) -> None:
    store = Store(coloured, make_params().machine.data, "train")
    counts = count_colours(store, torch.device("cpu"))
    assert counts.sum() == 96 * 8 * 8
    wanted = np.zeros(313, int)
    points = bins().numpy()
    for image in torch.from_numpy(np.array(store.images)):
        ab = to_lab(image[None])[0, 1:].numpy().reshape(2, 8, 4, 8, 4).mean((2, 4))
        for pixel in ab.reshape(2, -1).T:
            wanted[np.linalg.norm(points - pixel, axis=1).argmin()] += 1
    assert np.abs(counts.numpy() - wanted).sum() <= 2  # of colours between two bins
    # squares are blue, discs are red
    a, b = points[counts[:, None].expand(-1, 2).numpy()[:, 0].argsort()[-3:]].T
    assert a.max() > 40
    assert b.min() < -40


@pytest.mark.parametrize(("name", "crop"), [("small", 28), ("small-dense", 28), ("alexnet", 96)])
def test_the_loss_follows_the_formulas(name: str, crop: int) -> None:
    torch.manual_seed(0)
    counts = torch.randint(0, 50, (313,))
    task = Colours(Trunk(name, channels=3), crop, counts).eval()
    task.decoder[-1].weight.data *= 100  # decided, so that the temperature matters
    images = torch.randint(0, 256, (2, 3, crop, crop), dtype=torch.uint8)
    images[1] //= 3
    logits: list[torch.Tensor] = []
    seen: list[torch.Tensor] = []
    task.decoder.register_forward_hook(lambda _, __, made: logits.append(made.detach().double()))
    task.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    loss, measures = task(images, torch.arange(2))
    lab = to_lab(images)
    assert seen[0].equal(lab[:, [0, 0, 0]])
    side = crop // 4
    assert logits[0].shape == (2, 313, side, side)
    weights, points = rarity(counts, bins(), 0.5).double(), bins().double()
    terms, near = [], []
    for image, y, x in np.ndindex(2, side, side):
        chances = logits[0][image, :, y, x].softmax(0)
        colour = lab[image, 1:, 4 * y : 4 * y + 4, 4 * x : 4 * x + 4].mean((1, 2))
        nearest, shares = spread(colour[None], bins())
        target = torch.zeros(313, dtype=torch.float64)
        target[nearest[0]] = shares[0].double()
        terms.append(-weights[target.argmax()] * (target * chances.log()).sum())
        annealed = chances.log().div(0.38).exp()
        guess = annealed / annealed.sum() @ points
        distance = (guess - colour.double()).norm().item()
        near.append(np.mean([distance <= limit for limit in np.arange(0, 150, 0.1)]))
    assert torch.allclose(loss.double(), torch.stack(terms).mean(), rtol=1e-4)
    assert measures["auc"].item() == pytest.approx(100 * np.mean(near), abs=0.1)


def test_coarse_colours_are_means_of_squares() -> None:
    lab = torch.randn(2, 3, 28, 28)
    found = coarse_colours(lab)
    assert torch.allclose(found[7 + 2], lab[0, 1:, 4:8, 8:12].mean((1, 2)), atol=1e-6)
    assert found.shape == (2 * 49, 2)
