from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import CLASSES, image_set

from nat.data.augment import fixed_crops
from nat.data.store import Source, Split, Store, write_store
from nat.evaluation.multi_crop import multi_crop_accuracies
from nat.runtime.distributed import Distributed


@pytest.mark.parametrize("crops", [1, 2, 10])
def test_outputs_are_summed_over_crops(crops: int, make_params: Any, tmp_path: Path) -> None:
    """Against image by image, crop by crop, for two classifiers at once.

    On noise, of labels by chance, so that another rule would be right about other images.
    """
    draws = np.random.default_rng(0)
    images = draws.integers(0, 256, (300, 1, 32, 32)).astype(np.uint8)
    split = Split(300, images, draws.integers(0, 3, 300))
    data = make_params().machine.data
    write_store(Source("noise", CLASSES, {"test": split}), 32, 1, data, tmp_path / "noise.json")
    store = Store(tmp_path / "noise.json", data, "test")
    weights = torch.randn(2, 3, 28 * 28, generator=torch.Generator().manual_seed(0)) / 2000

    def classify(cuts: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(F.linear(cuts.flatten(1).float(), weight).softmax(1) for weight in weights)

    right, best = [0, 0], [0, 0]
    for row in range(len(store)):
        image = store.batch(torch.tensor([row]))
        for index in range(2):
            votes = torch.stack([classify(cut)[index][0] for cut in fixed_crops(image, 28, crops)])
            right[index] += int(votes.sum(0).argmax() == store.labels[row])
            best[index] += int(votes.amax(0).argmax() == store.labels[row])
    found = multi_crop_accuracies(classify, store, 28, crops, Distributed(torch.device("cpu")))
    assert found == pytest.approx([100 * count / len(store) for count in right])
    assert right[0] != right[1]
    assert (right == best) == (crops == 1)


@pytest.mark.parametrize("images", [1, 2, 5])
def test_processes_may_have_no_images(
    images: int, make_params: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What three processes find adds up to what one does, for each of two classifiers."""
    data = make_params().machine.data
    train, val = (image_set(n, seed=seed) for seed, n in enumerate((4, images)))
    splits = {name: Split(len(x), x, y) for name, (x, y) in (("train", train), ("test", val))}
    write_store(Source("few", CLASSES, splits), 32, 1, data, tmp_path / "few.json")
    store = Store(tmp_path / "few.json", data, "test")

    def classify(cuts: torch.Tensor) -> tuple[torch.Tensor, ...]:
        first = F.one_hot(torch.full((len(cuts),), int(store.labels[0])), len(CLASSES))
        return first, 1 - first

    monkeypatch.setattr(Distributed, "all_reduce", lambda distributed, counts: counts)
    each = [Distributed(torch.device("cpu"), rank=rank, size=3) for rank in range(3)]
    shares = [multi_crop_accuracies(classify, store, 28, 2, distributed) for distributed in each]
    alone = multi_crop_accuracies(classify, store, 28, 2, Distributed(torch.device("cpu")))
    assert [sum(share) for share in zip(*shares, strict=True)] == pytest.approx(alone)
    assert alone[0] == 100 * (store.labels == store.labels[0]).double().mean()


def test_few_crops_are_classified_at_once(make_params: Any, tmp_path: Path) -> None:
    """Ten each of many images take a GPU's memory."""
    data = make_params().machine.data
    images, labels = image_set(150, seed=0)
    splits = {name: Split(150, images, labels) for name in ("train", "test")}
    write_store(Source("many", CLASSES, splits), 32, 1, data, tmp_path / "many.json")
    seen: list[int] = []

    def classify(cuts: torch.Tensor) -> tuple[torch.Tensor]:
        seen.append(len(cuts))
        return (torch.zeros(len(cuts), len(CLASSES)),)

    alone = Distributed(torch.device("cpu"))
    store = Store(tmp_path / "many.json", data, "test")
    multi_crop_accuracies(classify, store, 28, 10, alone)
    assert (max(seen), sum(seen)) == (640, 1500)
    seen.clear()
    rows = torch.arange(0, 150, 5)
    (found,) = multi_crop_accuracies(classify, store, 28, 1, alone, rows)
    assert found == pytest.approx(100 * (labels[rows] == 0).mean())
    assert seen == [30]
