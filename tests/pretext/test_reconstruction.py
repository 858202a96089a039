import torch

from nat.network.model import Trunk
from nat.pretext.reconstruction import Reconstruction


def test_the_error_is_that_of_the_standardised_image() -> None:
    task = Reconstruction(Trunk("small"), 28)
    images = torch.randint(0, 256, (3, 1, 28, 28), dtype=torch.uint8)
    error, measures = task(images, torch.arange(3))
    made = task.decoder(task.trunk(images))
    x = images.double()
    wanted = (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True, correction=0)
    assert made.shape == wanted.shape
    assert torch.allclose(error.double(), (made.double() - wanted).square().mean(), rtol=1e-5)
    assert measures["error"].equal(error)


def test_every_layer_of_the_trunk_learns() -> None:
    task = Reconstruction(Trunk("small"), 28)
    images = torch.randint(0, 256, (3, 1, 28, 28), dtype=torch.uint8)
    task(images, torch.arange(3))[0].backward()
    for name, weight in task.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any() or name.endswith("bias"), name  # which batch norm takes away
