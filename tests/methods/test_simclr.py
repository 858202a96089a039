import numpy as np
import pytest
import torch
from torch import nn

from nat.methods.simclr import Contrast, nt_xent
from nat.pretext.views import SIMCLR, Views
from nat.runtime.distributed import Distributed


def by_hand(first: np.ndarray, second: np.ndarray, temperature: float) -> float:
    """Eq. 1 as it is printed, for each of the 2b views."""
    views = np.concatenate([first, second])
    views /= np.linalg.norm(views, axis=1, keepdims=True)
    losses = []
    for i, view in enumerate(views):
        weights = {k: np.exp(view @ other / temperature) for k, other in enumerate(views) if k != i}
        losses.append(-np.log(weights[(i + len(first)) % len(views)] / sum(weights.values())))
    return float(np.mean(losses))


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_the_loss_is_the_equation(temperature: float) -> None:
    first, second = np.random.default_rng(0).normal(size=(2, 7, 5))
    found = nt_xent(torch.from_numpy(first), torch.from_numpy(second), temperature)
    assert found.item() == pytest.approx(by_hand(first, second, temperature))


def test_the_loss_is_lightlys() -> None:
    lightly = pytest.importorskip("lightly.loss")
    first, second = torch.randn(2, 7, 5)
    expected = lightly.NTXentLoss(temperature=0.2)(first, second)
    assert torch.allclose(nt_xent(first, second, 0.2), expected)


def test_batch_norm_is_of_both_views_together() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.BatchNorm1d(6))
    task = Contrast(encoder, Views(SIMCLR, 0.2, True), 0.5, Distributed(torch.device("cpu")))
    first, second = torch.rand(5, 1, 4, 4), 1 + torch.rand(5, 1, 4, 4)
    found = torch.cat(task.embed(first, second))
    assert torch.allclose(found, encoder(torch.cat([first, second])))
    assert found.mean(0).abs().max() < 1e-5


def test_alike_views_of_different_images_lose_least() -> None:
    images = 10 * torch.eye(6)
    assert nt_xent(images, images, 0.01) < 1e-6 < nt_xent(images, images.roll(1, 0), 0.01)
