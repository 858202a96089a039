import pytest
import torch
from torch import nn

from nat.pretext.projection import projector
from nat.runtime.errors import UserError


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_hidden_layers_are_normalised_and_the_last_one_on_request() -> None:
    x = torch.randn(64, 4, 2, 2)
    plain, normed = (projector([16, 8, 8, 5], draws(), "x", last_norm=last) for last in (0, 1))
    kinds = [type(layer) for layer in plain]
    hidden = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert kinds == [nn.Flatten, *hidden, *hidden, nn.Linear]
    assert plain(x).shape == (64, 5)
    found = normed(x)
    assert torch.allclose(found.mean(0), torch.zeros(5), atol=1e-5)
    assert torch.allclose(found.std(0, correction=0), torch.ones(5), atol=1e-2)
    assert normed[-1].weight is None
    assert normed[-2].bias is None  # which batch norm takes away


def test_first_weights_follow_from_the_draws() -> None:
    first, same, other = (projector([4, 3, 2], draws(seed), "x")[1].weight for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_a_head_for_no_memory_is_refused_by_its_setting() -> None:
    with pytest.raises(UserError, match=r"baselines\.simclr\.hidden: makes layers of"):
        projector([10**6, 10**6, 8], draws(), "baselines.simclr.hidden")
