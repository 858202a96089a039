import sys
from itertools import permutations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nat.alignments import best_permutation, exact, find_alignment, greedy, reassign, sinkhorn
from nat.runtime.errors import UserError
from nat.runtime.settings.families import members

NAMES = members("alignments")


def unit(b: int, d: int, seed: int) -> torch.Tensor:
    return F.normalize(torch.randn(b, d, generator=torch.Generator().manual_seed(seed)))


def test_every_file_of_the_folder_is_an_alignment() -> None:
    assert NAMES == ["exact", "greedy", "lapx", "sinkhorn"]


@pytest.mark.parametrize("b", range(1, 8))
def test_is_the_best_of_all_permutations(b: int) -> None:
    similarity = np.random.default_rng(b).normal(size=(b, b))
    best = max(sum(similarity[i, p[i]] for i in range(b)) for p in permutations(range(b)))
    found = best_permutation(similarity)
    assert similarity[np.arange(b), found].sum() == pytest.approx(best)


@settings(max_examples=50, deadline=None)
@given(b=st.integers(2, 40), d=st.integers(2, 16), seed=st.integers(0, 2**20))
def test_dual_certificate_of_optimality(b: int, d: int, seed: int) -> None:
    """No cycle of images can swap targets for a gain: longest paths have no positive cycle."""
    draws = torch.Generator().manual_seed(seed)
    features = F.normalize(torch.randn(b, d, generator=draws, dtype=torch.float64))
    vectors = F.normalize(torch.randn(b, d, generator=draws, dtype=torch.float64))
    similarity = (features @ vectors.T).numpy()
    order = best_permutation(similarity)
    assert sorted(order) == list(range(b))
    taken = similarity[:, order]  # column j: the target that image j has now
    gain = taken - np.diag(taken)[:, None]  # image i takes image j's target
    reach = gain.copy()
    for k in range(b):  # Floyd-Warshall for the greatest gain along paths
        reach = np.maximum(reach, reach[:, [k]] + reach[[k], :])
    assert np.diag(reach).max() < 1e-9


def test_minimises_the_square_loss_as_well() -> None:
    draws = torch.Generator().manual_seed(3)
    features = F.normalize(torch.randn(5, 4, generator=draws))
    vectors = F.normalize(torch.randn(5, 4, generator=draws))
    order, drawn_to = reassign(exact.align, features, vectors)
    assert torch.equal(drawn_to, vectors[order])
    losses = {
        p: (features - vectors[list(p)]).square().sum().item() for p in permutations(range(5))
    }
    assert min(losses, key=losses.__getitem__) == tuple(order.tolist())


def test_collapsed_features_are_no_special_case() -> None:
    vectors = F.normalize(torch.randn(64, 8, generator=torch.Generator().manual_seed(0)))
    same = F.normalize(torch.ones(64, 8) + 1e-4 * vectors)
    order, _ = reassign(exact.align, same, vectors)
    assert order.tolist() == list(range(64))


def test_features_that_are_not_finite_are_refused() -> None:
    features = torch.full((3, 2), float("nan"))
    with pytest.raises(FloatingPointError, match="no longer finite"):
        reassign(exact.align, features, torch.ones(3, 2))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=30, deadline=None)
@given(b=st.integers(1, 40), d=st.integers(2, 8), seed=st.integers(0, 2**20))
def test_p_stays_a_permutation_and_targets_on_the_sphere(
    name: str, b: int, d: int, seed: int
) -> None:
    features, vectors = unit(b, d, seed), unit(b, d, seed + 1)
    order, drawn_to = reassign(find_alignment(name), features, vectors)
    assert sorted(order.tolist()) == list(range(b))
    assert torch.allclose(drawn_to.norm(dim=1), torch.ones(b), atol=1e-5)


@pytest.mark.parametrize("spread", [1.0, 1e-3])
def test_lapx_reaches_the_optimum_of_scipy(spread: float) -> None:
    for b in (1, 2, 64, 200):
        features = F.normalize(torch.ones(b, 16) + spread * unit(b, 16, 0))
        similarity = (features @ unit(b, 16, 1).T).double()
        totals = [
            similarity[torch.arange(b), find_alignment(name)(similarity).order].sum().item()
            for name in ("exact", "lapx")
        ]
        assert totals[1] == pytest.approx(totals[0], abs=1e-9)


def test_lapx_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the work: when the alignment is looked up, not when it is first used."""
    monkeypatch.setitem(sys.modules, "lap", None)
    monkeypatch.delitem(sys.modules, "nat.alignments.lapx", raising=False)
    with pytest.raises(UserError, match=r"pip install -e '\.\[fast\]'"):
        find_alignment("lapx")


@settings(max_examples=50, deadline=None)
@given(b=st.integers(1, 30), seed=st.integers(0, 2**20), levels=st.sampled_from([2, 5, 10**6]))
def test_greedy_takes_pairs_from_the_best_down(b: int, seed: int, levels: int) -> None:
    """Against the plain loop over sorted pairs, with and without ties."""
    similarity = np.random.default_rng(seed).integers(0, levels, (b, b)) / levels
    expected = np.full(b, -1)
    for flat in np.argsort(-similarity, axis=None, kind="stable"):
        image, target = divmod(int(flat), b)
        if expected[image] < 0 and target not in expected:
            expected[image] = target
    order = greedy.align(torch.from_numpy(similarity)).order
    assert order.tolist() == expected.tolist()


def test_greedy_is_no_better_than_exact_but_far_better_than_chance() -> None:
    similarity = unit(200, 16, 0) @ unit(200, 16, 1).T
    rows = torch.arange(200)
    found = {name: find_alignment(name)(similarity).order for name in ("exact", "greedy")}
    totals = {name: similarity[rows, order].sum().item() for name, order in found.items()}
    assert totals["exact"] > totals["greedy"] > 0.8 * totals["exact"]
    assert abs(similarity.trace().item()) < 0.1 * totals["greedy"]


def test_sinkhorns_plan_is_a_doubly_stochastic_scaling() -> None:
    similarity = (unit(24, 8, 0) @ unit(24, 8, 1).T).double()
    plan = sinkhorn.plan(similarity)
    assert torch.allclose(plan.sum(1), torch.ones(24, dtype=torch.float64))
    assert torch.allclose(plan.sum(0), torch.ones(24, dtype=torch.float64), atol=0.02)
    # log W - s / epsilon is u_i + v_j: doubly centred, nothing is left
    rest = plan.log() - similarity / sinkhorn.EPSILON
    rest = rest - rest.mean(0) - rest.mean(1, keepdim=True) + rest.mean()
    assert rest.abs().max() < 1e-6


def test_sinkhorn_hardens_to_the_exact_assignment(monkeypatch: pytest.MonkeyPatch) -> None:
    similarity = unit(12, 8, 0) @ unit(12, 8, 1).T
    monkeypatch.setattr(sinkhorn, "EPSILON", 1e-3)
    monkeypatch.setattr(sinkhorn, "ROUNDS", 2000)
    order, weights = sinkhorn.align(similarity)
    assert weights is not None
    assert weights.argmax(1).tolist() == order.tolist() == exact.align(similarity).order.tolist()


def test_sinkhorn_draws_each_image_to_a_mean_of_targets() -> None:
    """By scaling columns and rows of ``exp(s / 0.05)`` in turn, 30 times, as the file says."""
    features, vectors = unit(24, 8, 0), unit(24, 8, 1)
    plan = np.exp((features @ vectors.T).double().numpy() / 0.05)
    for _ in range(30):
        plan /= plan.sum(0, keepdims=True)
        plan /= plan.sum(1, keepdims=True)
    means = plan @ vectors.double().numpy()
    order, drawn_to = reassign(sinkhorn.align, features, vectors)
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(drawn_to, expected, atol=1e-5)
    assert order.tolist() == exact.align(features @ vectors.T).order.tolist()
    assert np.abs(expected - vectors[order].numpy()).max() > 0.1  # it is no assignment
