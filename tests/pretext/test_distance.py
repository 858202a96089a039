import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel

from nat.pretext.distance import kernel_distance


def test_it_is_the_unbiased_estimate_with_the_polynomial_kernel() -> None:
    real = torch.randint(0, 256, (5, 3, 6, 6), dtype=torch.uint8)
    made = torch.rand(5, 3, 6, 6)

    def flat(images: torch.Tensor) -> np.ndarray:
        x = images.double().numpy().reshape(5, -1)
        return (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True)

    x, y = flat(real), flat(made)
    within = sum(
        polynomial_kernel(one, degree=3, coef0=1)[~np.eye(5, dtype=bool)].mean() for one in (x, y)
    )
    expected = within - 2 * polynomial_kernel(x, y, degree=3, coef0=1).mean()
    assert float(kernel_distance(real, made)) == pytest.approx(expected, rel=1e-4)


def test_it_is_zero_in_the_mean_between_equals_whatever_the_batch_and_not_between_others() -> None:
    draws = torch.Generator().manual_seed(0)

    def some(b: int, shape: float) -> torch.Tensor:
        x = torch.rand(b, 1, 4, 4, generator=draws)
        return x + shape * torch.linspace(0, 1, 4)

    for b in (2, 16):
        equal = torch.stack([kernel_distance(some(b, 1), some(b, 1)) for _ in range(3000 // b)])
        error = equal.std() / len(equal) ** 0.5
        assert equal.mean().abs() < 4 * error
        assert kernel_distance(some(200, 1), some(200, 0)) > 20 * error


def test_brightness_and_contrast_do_not_count() -> None:
    real, made = torch.rand(2, 8, 1, 5, 5)
    assert torch.allclose(
        kernel_distance(real, made), kernel_distance(100 * real + 20, made / 7), atol=1e-4
    )
