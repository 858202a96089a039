import pytest
import torch
from torch import nn

from nat.network.model import Trunk
from nat.pretext.decoders import decoder, first_side, generator, upconvolutions


@pytest.mark.parametrize(("trunk", "crop"), [("small", 28), ("small", 32), ("alexnet", 224)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_features_become_an_image_of_the_crops_size(trunk: str, crop: int, outputs: int) -> None:
    channels, side = Trunk(trunk).map_of(crop)
    made = decoder(channels, side, crop, outputs)(torch.randn(2, channels, side, side))
    assert made.shape == (2, outputs, crop, crop)
    assert isinstance(decoder(channels, side, crop, outputs)[-1], nn.Conv2d)


def test_no_step_enlarges_more_than_twofold() -> None:
    sides, x = [], torch.randn(1, 64, 2, 2)
    for layer in decoder(64, 2, 28, 1):
        x = layer(x)
        sides.append(x.shape[-1])
    assert sides == [4, 7, 14, 28, 28]


@pytest.mark.parametrize("size", [8, 9, 27, 28, 31, 32, 45, 224])
@pytest.mark.parametrize("outputs", [1, 3])
def test_upconvolutions_come_to_any_size(size: int, outputs: int) -> None:
    side = first_side(size)
    assert 4 <= side <= 7
    made = upconvolutions(32, size, outputs)(torch.randn(2, 32, side, side))
    assert made.shape == (2, outputs, size, size)
    # any numbers: nothing comes after the last convolution
    assert isinstance(upconvolutions(32, size, outputs)[-1], nn.ConvTranspose2d)
    assert generator(5, 16, size, outputs)(torch.randn(2, 5)).shape == made.shape
