import numpy as np
import pytest
import torch

from nat.methods.vicreg import vicreg

WEIGHTS = (25.0, 25.0, 1.0)


def by_hand(first: np.ndarray, second: np.ndarray, weights: tuple[float, float, float]) -> float:
    """Eq. 6, number by number."""
    n, d = first.shape
    agree = sum((a - b) ** 2 for a, b in zip(first.flat, second.flat, strict=True)) / (n * d)
    vary = differ = 0.0
    for z in (first, second):
        for i in range(d):
            vary += max(0.0, 1 - np.sqrt(np.var(z[:, i], ddof=1) + 1e-4)) / d
            for j in range(d):
                if i != j:
                    differ += np.cov(z[:, i], z[:, j])[0, 1] ** 2 / d
    return float(np.dot(weights, (agree, vary, differ)))


@pytest.mark.parametrize("weights", [WEIGHTS, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)])
def test_the_loss_is_the_equation(weights: tuple[float, float, float]) -> None:
    deviations = np.array([0.3, 0.8, 2.0, 0.01])  # below and above 1
    first, second = np.random.default_rng(0).normal(size=(2, 9, 4)) * deviations
    found = vicreg(torch.from_numpy(first), torch.from_numpy(second), weights)
    assert found.item() == pytest.approx(by_hand(first, second, weights), rel=1e-6)


def test_the_loss_is_lightlys() -> None:
    """Lightly halves the variance term, as the published code does and the paper does not."""
    lightly = pytest.importorskip("lightly.loss")
    first, second = torch.randn(2, 9, 4) / 2
    expected = lightly.VICRegLoss(lambda_param=25.0, mu_param=50.0, nu_param=1.0)(first, second)
    assert torch.allclose(vicreg(first, second, WEIGHTS), expected)


def test_a_collapse_has_a_finite_gradient() -> None:
    same = torch.zeros(4, 3, requires_grad=True)
    vicreg(same, same, WEIGHTS).backward()
    assert torch.isfinite(same.grad).all()
