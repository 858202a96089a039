import numpy as np
import pytest
import torch

from nat.network.model import Trunk
from nat.pretext.corruption import blocks
from nat.pretext.inpainting import Inpainting, WithinChannels


def images(c: int = 1, seed: int = 0) -> torch.Tensor:
    draws = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (4, c, 28, 28), generator=draws, dtype=torch.uint8)


@pytest.mark.parametrize("c", [1, 3])
def test_the_error_is_that_of_the_missing_pixels(c: int) -> None:
    task, x = Inpainting(Trunk("small", channels=c), 28), images(c)
    torch.manual_seed(1)
    made, error = task.complete(x)
    torch.manual_seed(1)
    mask = np.repeat(blocks(x).numpy(), c, 1)
    wanted = x.double().numpy()
    wanted = (wanted - wanted.mean((1, 2, 3), keepdims=True)) / wanted.std((1, 2, 3), keepdims=True)
    expected = ((made.detach().numpy() - wanted) ** 2)[mask].mean()
    assert float(error.detach()) == pytest.approx(expected, rel=1e-5)


def test_what_is_made_does_not_depend_on_what_is_missing() -> None:
    task, x = Inpainting(Trunk("small"), 28), images()
    torch.manual_seed(1)
    made, error = task.complete(x)
    torch.manual_seed(1)
    mask = blocks(x)
    for changed, same in ((mask, True), (~mask, False)):
        torch.manual_seed(1)
        again, other = task.complete(torch.where(changed, images(seed=1), x))
        assert again.equal(made) == same
        assert not other.equal(error)


def test_each_channel_has_a_fully_connected_layer_of_its_own() -> None:
    layer, x = WithinChannels(3, 2, 4), torch.randn(2, 3, 2, 2)
    weight = layer.layer.weight.detach().numpy().reshape(3, 16, 4)
    bias = layer.layer.bias.detach().numpy().reshape(3, 16)  # type: ignore[union-attr]
    expected = np.maximum(np.einsum("cnm,bcm->bcn", weight, x.numpy().reshape(2, 3, 4)) + bias, 0)
    assert layer(x).detach().numpy().reshape(2, 3, 16) == pytest.approx(expected, abs=1e-5)


def test_every_layer_learns() -> None:
    task = Inpainting(Trunk("small"), 28)
    task(images(), torch.arange(4))[0].backward()
    for name, weight in task.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any() or name.endswith("bias"), name  # which batch norm takes away
