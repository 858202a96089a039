import pytest
import torch
from torch.distributions import Normal, kl_divergence

from nat.methods.vae import Variational
from nat.network.front_ends import standardise
from nat.network.model import Trunk


@pytest.mark.parametrize("c", [1, 3])
def test_the_bound_is_that_of_gaussians(c: int) -> None:
    task = Variational(Trunk("small", channels=c), 28, 5)
    torch.nn.init.constant_(task.log_variance, -0.7)
    images = torch.randint(0, 256, (3, c, 28, 28), dtype=torch.uint8)
    torch.manual_seed(1)
    bound, measures = task(images, torch.arange(3))

    mean, log_variance = task.encoder(task.trunk(images).flatten(1)).chunk(2, 1)
    posterior, prior = Normal(mean, log_variance.exp().sqrt()), Normal(0, 1)
    torch.manual_seed(1)
    made = task.decoder(posterior.rsample())
    likelihood = Normal(made, task.log_variance.exp().sqrt()).log_prob(standardise(images))
    divergence = kl_divergence(posterior, prior).sum(1)
    expected = (divergence - likelihood.sum((1, 2, 3))).mean() / (c * 28 * 28)
    assert torch.allclose(bound, expected, rtol=1e-5)
    assert torch.allclose(measures["divergence"], divergence.mean(), rtol=1e-5)
    wanted = torch.autograd.grad(expected, list(task.parameters()))
    for found, one in zip(torch.autograd.grad(bound, list(task.parameters())), wanted, strict=True):
        assert torch.allclose(found, one, atol=1e-6)


def test_the_best_variance_is_the_error() -> None:
    task = Variational(Trunk("small"), 28, 5)
    images = torch.randint(0, 256, (3, 1, 28, 28), dtype=torch.uint8)
    torch.manual_seed(1)
    with torch.no_grad():
        task.log_variance.copy_(task(images, torch.arange(3))[1]["error"].log())
    torch.manual_seed(1)
    task(images, torch.arange(3))[0].backward()
    assert task.log_variance.grad.abs() < 1e-6  # type: ignore[union-attr]
