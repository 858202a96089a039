from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment
from sklearn.linear_model import Ridge
from trained import Run

from nat.methods import TrunkSession
from nat.methods.diffrac import ENTROPY, Diffrac, Settings, labelled, regression
from nat.pretext.clusters import balanced
from nat.runtime.errors import UserError
from nat.runtime.naming import Name


def test_the_regression_is_ridges_and_its_cost_diffracs() -> None:
    draws = torch.Generator().manual_seed(0)
    x = torch.randn(40, 5, generator=draws).double()
    labels = torch.randint(3, (40,), generator=draws)
    y, penalty = F.one_hot(labels, 3).double(), 0.01
    w, b = regression(x, labels, 3, penalty)
    expected = Ridge(alpha=40 * penalty).fit(x, y)
    np.testing.assert_allclose(w.T, expected.coef_, atol=1e-6)
    np.testing.assert_allclose(b, expected.intercept_, atol=1e-6)
    # tr(Y' B Y), B = centring (I - X (X' centring X + n ridge I)^-1 X') centring / n
    centring = torch.eye(40).double() - 1 / 40
    inner = torch.linalg.inv(x.T @ centring @ x + 40 * penalty * torch.eye(5).double())
    matrix = centring @ (torch.eye(40).double() - x @ inner @ x.T) @ centring / 40
    cost = (y - x @ w - b).square().sum() / 40 + penalty * w.square().sum()
    assert cost == pytest.approx(float(torch.trace(y.T @ matrix @ y)), rel=1e-6)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(2, 6), st.integers(0, 8), st.floats(0.01, 2))
def test_no_cluster_is_smaller_than_asked(seed: int, k: int, least: int, spread: float) -> None:
    draws = torch.Generator().manual_seed(seed)
    n = 8 * k
    scores = spread * torch.randn(n, k, generator=draws) + torch.randn(k, generator=draws)
    labels = labelled(scores, least)
    assert torch.bincount(labels, minlength=k).min() >= least
    if least == 0:
        assert labels.equal(scores.argmax(1))
        return
    # the best: `least` slots of each cluster, and for the rest whichever is best
    slots = np.repeat(scores.numpy(), least, axis=1)
    anywhere = np.repeat(scores.max(1).values[:, None].numpy(), n - least * k, axis=1)
    table = np.concatenate([slots, anywhere], axis=1)
    best = table[linear_sum_assignment(table, maximize=True)].sum()
    found = float(scores.gather(1, labels[:, None]).sum())
    assert found <= best + 1e-3
    assert found >= best - 0.2 * n  # entropy and rounding; labels drawn by chance are far below


@pytest.mark.parametrize("least", [8, 10])  # of 10 images a cluster
def test_a_small_cluster_takes_those_that_lose_least_from_clusters_that_can_spare_them(
    least: int,
) -> None:
    draws = torch.Generator().manual_seed(0)
    scores = torch.randn(60, 6, generator=draws) * 0.1 + torch.arange(6) * 0.1
    sharp = 2 * scores / ENTROPY
    sharp = sharp + balanced(sharp, least, at_least=True)
    expected = sharp.argmax(1)
    moved = 0
    for j in range(6):
        while (expected == j).sum() < least:
            spare = torch.bincount(expected, minlength=6)[expected] > least
            loss = sharp.max(1).values - sharp[:, j]
            expected[loss.masked_fill(~spare, torch.inf).argmin()] = j
            moved += 1
    assert moved
    assert labelled(scores, least).equal(expected)


@pytest.fixture
def task(make_params: Any, manifest: Path, tmp_path: Path) -> Any:
    params = make_params()
    own = Settings.model_validate(params.baselines["diffrac"])
    with TrunkSession(
        params, Name("diffrac"), {}, manifest, tmp_path / "n", tmp_path / "r.json"
    ) as session:
        yield Diffrac(session, session.network(own.dimension), own)


def test_an_epoch_starts_with_the_best_regression_on_its_labels(task: Diffrac) -> None:
    costs = []
    for _ in range(2):
        task.begin(len(costs))
        assert task.sizes.min() >= 12  # half of 96 / 4
        with torch.no_grad():
            images = task.session.images.batch(torch.arange(96))[:, :, 2:30, 2:30]
            cost, measures = task(images, torch.arange(96))
            features = task.features(images).double()
        w, b = regression(features, task.labels, 4, task.settings.ridge)
        y = F.one_hot(task.labels, 4)
        error = (y - features @ w - b).square().sum(1).mean()
        assert measures["error"] == pytest.approx(float(error), rel=1e-3)
        best = error + task.settings.ridge * w.square().sum()
        assert cost == pytest.approx(float(best), rel=1e-3)
        costs.append(float(cost))
    assert costs[1] < costs[0] + 1e-3  # the same network: labels again can only help


def test_an_epoch_goes_on_from_the_last_labels_and_ends_with_their_regression(
    task: Diffrac, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws, used = torch.randint(4, (3, 96)), []

    def noted(x: torch.Tensor, labels: torch.Tensor, k: int, ridge: float) -> Any:
        used.append(labels.clone())
        return regression(x, labels, k, ridge)

    monkeypatch.setattr("nat.methods.diffrac.regression", noted)
    monkeypatch.setattr("nat.methods.diffrac.labelled", lambda *_: draws[len(used) - 1])
    before = torch.arange(96) % 4
    task.labels.copy_(before)
    task.begin(1)
    assert all(a.equal(b) for a, b in zip(used, [before, *draws], strict=True))
    assert task.labels.equal(draws[2])


def test_more_clusters_than_images_are_refused(run: Run) -> None:
    with pytest.raises(UserError, match=r"diffrac\.k: 97 clusters of 96 images"):
        run("diffrac", k=97)
    with pytest.raises(UserError, match=r"diffrac\.smallest"):
        run("diffrac", smallest=1.5)
