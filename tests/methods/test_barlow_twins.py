import numpy as np
import pytest
import torch

from nat.methods.barlow_twins import barlow_twins


def by_hand(first: np.ndarray, second: np.ndarray, redundancy: float) -> float:
    """Eq. 1 and 2, feature by feature."""
    loss = 0.0
    for i, a in enumerate(first.T):
        for j, b in enumerate(second.T):
            correlation = np.corrcoef(a, b)[0, 1]
            loss += (1 - correlation) ** 2 if i == j else redundancy * correlation**2
    return loss


def test_the_loss_is_the_equation() -> None:
    first, second = np.random.default_rng(0).normal(3, 100, size=(2, 9, 4))
    found = barlow_twins(torch.from_numpy(first), torch.from_numpy(second), 0.1)
    assert found.item() == pytest.approx(by_hand(first, second, 0.1), rel=1e-5)


def test_the_loss_is_lightlys() -> None:
    lightly = pytest.importorskip("lightly.loss")
    first, second = torch.randn(2, 9, 4)
    expected = lightly.BarlowTwinsLoss(lambda_param=0.1)(first, second)
    assert torch.allclose(barlow_twins(first, second, 0.1), expected)


def test_equal_views_of_independent_features_lose_nothing() -> None:
    signs = torch.tensor([[1, 1], [1, -1], [-1, 1], [-1, -1.0]])
    assert barlow_twins(signs, signs, 1.0).item() == pytest.approx(0, abs=1e-4)
    assert barlow_twins(signs, signs.flip(1), 1.0).item() == pytest.approx(4, rel=1e-4)
    assert torch.isfinite(barlow_twins(signs * 0, signs * 0, 1.0))
