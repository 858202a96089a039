import copy

import pytest
import torch
from torch import nn

from nat.data.seeds import generator
from nat.network.model import Trunk, initialise
from nat.voc.classification.finetune import Classifier, initialise_top
from nat.voc.transfer.rescale import _rates, fold_batch_norm, scale_between, scale_within
from nat.voc.transfer.top import layers_to_fc7


def trained_trunk(name: str = "small") -> Trunk:
    """A trunk whose batch norm has statistics, scales and shifts of its own."""
    draws = generator(0, "trunk")
    trunk = Trunk(name)
    initialise(trunk, draws)
    for layer in trunk.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data.uniform_(-1, 2, generator=draws)  # a negative one must not matter
            layer.bias.data.normal_(0, 0.3, generator=draws)
            layer.running_mean.normal_(0, 0.3, generator=draws)
            layer.running_var.uniform_(0.2, 3, generator=draws)
    return trunk.eval()


def images(n: int, purpose: str = "images") -> torch.Tensor:
    return torch.randint(0, 256, (n, 1, 28, 28), generator=generator(0, purpose)).float()


@pytest.fixture
def network() -> Classifier:
    trunk = fold_batch_norm(trained_trunk())
    network = Classifier(trunk, trunk.features(28), 32, 5, 0.5)
    initialise_top(network, generator(0, "top"))
    return network.eval()


@torch.no_grad()
@pytest.mark.parametrize(("name", "side"), [("small", 28), ("alexnet", 63)])
def test_folding_keeps_the_function(name: str, side: int) -> None:
    trunk = trained_trunk(name)
    before = copy.deepcopy(trunk.state_dict())
    folded = fold_batch_norm(trunk)
    batch = torch.randint(0, 256, (4, 1, side, side), generator=generator(0)).float()
    torch.testing.assert_close(folded(batch), trunk(batch), rtol=1e-4, atol=1e-4)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    folded.train()
    torch.testing.assert_close(folded(batch), trunk(batch), rtol=1e-4, atol=1e-4)
    for key, value in trunk.state_dict().items():  # the original is left alone
        assert torch.equal(value, before[key])


@torch.no_grad()
def test_within_normalises_every_unit(network: Classifier) -> None:
    network.hidden.fc6.bias.normal_(generator=generator(0, "bias"))
    batches = [images(40, str(index)) for index in range(3)]
    fresh = [network.hidden.fc6, network.hidden.fc7]
    scale_within(network.fc7, fresh, batches)
    everything = torch.cat(batches)
    at6 = network.hidden.fc6(network.trunk(everything).flatten(1))
    at7 = network.hidden.fc7(at6.relu())
    for outputs in (at6, at7):
        torch.testing.assert_close(outputs.mean(0), torch.full((32,), 0.1), atol=1e-3, rtol=0)
        torch.testing.assert_close(outputs.std(0, correction=0), torch.ones(32), atol=1e-3, rtol=0)


@torch.no_grad()
def test_within_leaves_a_constant_unit_finite(network: Classifier) -> None:
    network.hidden.fc6.weight[3] = 0
    scale_within(network.fc7, [network.hidden.fc6], [images(8)])
    assert network.hidden.fc6.weight.isfinite().all()
    assert float(network.hidden.fc6.bias[3]) == pytest.approx(0.1)


def test_between_keeps_the_function_and_evens_the_rates(network: Classifier) -> None:
    layers = layers_to_fc7(network.trunk, network.hidden)
    assert len(layers) == 7
    batches = [images(16, str(index)) for index in range(2)]
    with torch.no_grad():
        layers[1].weight.mul_(30)  # far from even
        layers[4].weight.mul_(0.02)
        before = network(batches[0])
    rounds = scale_between(network.fc7, layers, batches, generator(0, "tops"))
    with torch.no_grad():
        torch.testing.assert_close(network(batches[0]), before, rtol=1e-3, atol=1e-4)
    assert 1 <= rounds <= 3
    tops = [torch.randn(16, 32, generator=draws) for draws in [generator(0, "tops")] * 2]
    rates = torch.stack(_rates(network.fc7, layers, batches, tops))
    assert float(rates.max() / rates.min()) < 1.05


def test_between_ends_where_it_began_when_even(network: Classifier) -> None:
    layers, batches = layers_to_fc7(network.trunk, network.hidden), [images(16)]
    scale_between(network.fc7, layers, batches, generator(0, "tops"))
    weights = [layer.weight.clone() for layer in layers]
    assert scale_between(network.fc7, layers, batches, generator(0, "tops")) == 0
    assert all(torch.equal(w, layer.weight) for w, layer in zip(weights, layers, strict=True))


def test_scale_of_a_trunk_does_not_matter(network: Classifier) -> None:
    """Networks that differ by the scale of conv5 alone start alike."""
    other = copy.deepcopy(network)
    with torch.no_grad():
        other.trunk.layers.conv5.weight.mul_(50)
        other.trunk.layers.conv5.bias.mul_(50)
    batches = [images(32)]
    for one in (network, other):
        layers = layers_to_fc7(one.trunk, one.hidden)
        scale_within(one.fc7, layers[-2:], batches)
        scale_between(one.fc7, layers, batches, generator(0, "tops"))
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, other.state_dict()[name], rtol=1e-2, atol=1e-4)
