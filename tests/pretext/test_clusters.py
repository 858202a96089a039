from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from torch import nn

from nat.data.augment import fixed_crops
from nat.methods import TrunkSession
from nat.pretext import clusters
from nat.pretext.clusters import Labelling, balanced, evenness, outputs_of_all
from nat.runtime.distributed import Distributed
from nat.runtime.naming import Name


@pytest.mark.parametrize("every", [1, 3])
def test_outputs_are_those_of_training_without_dropout(
    every: int, make_params: Any, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "BATCH", 20)
    params = make_params(model={"dropout": 0.5})
    out = tmp_path / "out"
    with TrunkSession(params, Name("random"), {}, manifest, out, tmp_path / "r.json") as session:
        network = session.network(4).train()
        before = {name: value.clone() for name, value in network.state_dict().items()}
        found = outputs_of_all(session, network, network, every)
        assert network.training
        assert all(layer.training for layer in network.modules())
        assert all(value.equal(before[name]) for name, value in network.state_dict().items())
        for layer in network.modules():
            if isinstance(layer, nn.Dropout):
                layer.eval()
        rows = torch.arange(0, 96, every)
        count = -(-len(rows) // 20)
        for number in range(count):
            batch = rows[number::count]
            images = fixed_crops(session.images.batch(batch), 28, 1)[0]
            assert torch.allclose(found[batch // every], network(images), atol=1e-5)


def test_evenness_is_entropy() -> None:
    sizes = torch.tensor([3, 0, 5, 9])
    assert evenness(sizes) == pytest.approx(scipy.stats.entropy(sizes, base=4))
    assert evenness(torch.tensor([7, 7])) == pytest.approx(1)
    assert evenness(torch.tensor([0, 14])) == 0


def scored(seed: int, n: int, k: int, sharp: float) -> torch.Tensor:
    draws = torch.Generator().manual_seed(seed)
    return sharp * (torch.randn(n, k, generator=draws) + torch.randn(k, generator=draws))


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(2, 8), st.sampled_from([0.1, 1.0, 10.0]), st.booleans())
def test_sizes_are_as_asked(seed: int, k: int, sharp: float, at_least: bool) -> None:
    n = 10 * k
    scores = scored(seed, n, k, sharp)
    v = balanced(scores, 5.0 if at_least else 10.0, at_least)
    sizes = (scores + v).softmax(1).sum(0)
    if not at_least:
        assert torch.allclose(sizes, torch.full((k,), 10.0), rtol=0.011)
        return
    assert sizes.min() > 5 * 0.989
    assert v.min() >= 0
    assert (sizes[v > 0] < 5 * 1.011).all()  # what may be larger is not pushed to be


def test_sharp_scores_give_the_best_of_all_equal_assignments() -> None:
    scores = scored(3, 60, 6, 1.0)
    labels = (100 * scores + balanced(100 * scores, 10.0)).argmax(1)
    rows, slots = linear_sum_assignment(scores.repeat_interleave(10, 1).numpy(), maximize=True)
    best = scores.numpy()[rows, slots // 10].sum()
    # a few images lie on the edge between two clusters, which rounding gives to either
    assert np.bincount(labels, minlength=6).min() >= 8
    assert float(scores.gather(1, labels[:, None]).sum()) == pytest.approx(best, rel=0.02)


class Given(Labelling):
    """Clusters that are told, an epoch each."""

    told = torch.tensor(
        [[0, 0, 0, 1, 1, 1, 2, 2], [2, 2, 2, 0, 0, 0, 1, 1], [2, 2, 0, 0, 0, 1, 1, 1]]
    )

    def cluster(self, epoch: int) -> torch.Tensor:
        return self.told[epoch]


def test_clusters_are_compared_with_those_of_the_epoch_before() -> None:
    cpu = torch.device("cpu")
    session = SimpleNamespace(
        images=range(8), device=cpu, distributed=Distributed(cpu), group="baselines.x"
    )
    task = Given(session, 3)  # type: ignore[arg-type]
    agreements = []
    for epoch, labels in enumerate(Given.told):
        task.begin(epoch)
        assert task.labels.equal(labels)
        assert task.sizes.equal(torch.bincount(labels))
        agreements.append(task.found["agreement"].item())
    # mutual information by the mean entropy, of both epochs' clusters
    together = np.array([[2, 1, 0], [0, 2, 0], [1, 0, 2]]) / 8
    entropy = -sum(p * np.log(p) for p in (3 / 8, 3 / 8, 2 / 8))
    apart = np.outer(together.sum(1), together.sum(0))
    shared = sum(p * np.log(p / q) for p, q in zip(together.flat, apart.flat, strict=True) if p)
    assert agreements == pytest.approx([0, 1, shared / entropy])
