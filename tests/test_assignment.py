from itertools import permutations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from nat.assignment import best_permutation, reassign
from nat.errors import UserError


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
    order = reassign(features, vectors)
    losses = {
        p: (features - vectors[list(p)]).square().sum().item() for p in permutations(range(5))
    }
    assert min(losses, key=losses.__getitem__) == tuple(order.tolist())


def test_collapsed_features_are_no_special_case() -> None:
    vectors = F.normalize(torch.randn(64, 8, generator=torch.Generator().manual_seed(0)))
    same = F.normalize(torch.ones(64, 8) + 1e-4 * vectors)
    assert reassign(same, vectors).tolist() == list(range(64))


def test_features_that_are_not_finite_are_refused() -> None:
    features = torch.full((3, 2), float("nan"))
    with pytest.raises(UserError, match=r"pretrain\.lr"):
        reassign(features, torch.ones(3, 2))
