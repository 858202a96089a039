import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import ndimage

from nat.network.front_ends import FRONT_ENDS, standardise


def test_standardise_uses_one_scalar_each_per_image() -> None:
    images = torch.randint(0, 256, (3, 3, 9, 7), dtype=torch.uint8)
    x = standardise(images)
    for image, result in zip(images.double(), x, strict=True):
        expected = (image - image.mean()) / image.std(correction=0)
        assert torch.allclose(result.double(), expected, atol=1e-5)


def test_a_blank_image_stays_finite() -> None:
    assert torch.equal(standardise(torch.full((1, 1, 4, 4), 9)), torch.zeros(1, 1, 4, 4))


def test_sobel_is_scipys() -> None:
    image = np.random.default_rng(0).normal(size=(3, 12, 10)).astype(np.float32)
    found = FRONT_ENDS["sobel"](3)(torch.from_numpy(image)[None])[0].numpy()
    grey = image.mean(0)
    for channel, axis in ((0, 1), (1, 0)):
        expected = ndimage.sobel(grey, axis=axis, mode="constant")
        np.testing.assert_allclose(found[channel], expected, atol=1e-4)


def test_high_pass_is_the_image_less_scipys_smoothing() -> None:
    image = np.random.default_rng(0).normal(size=(3, 12, 10)).astype(np.float32)
    found = FRONT_ENDS["high-pass"](3)(torch.from_numpy(image)[None])[0].numpy()
    for channel, grey in zip(found, image, strict=True):
        smooth = grey
        for axis in (0, 1):
            smooth = ndimage.convolve1d(smooth, [0.25, 0.5, 0.25], axis=axis, mode="constant")
        np.testing.assert_allclose(channel, grey - smooth, atol=1e-5)


def test_clean_changes_nothing() -> None:
    image = torch.randn(2, 3, 5, 4)
    assert torch.equal(FRONT_ENDS["clean"](3)(image), image)


@pytest.mark.parametrize("name", FRONT_ENDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_the_kernel_is_what_a_front_end_does_to_grey(name: str, channels: int) -> None:
    front_end = FRONT_ENDS[name](channels)
    grey = torch.randn(1, 1, 9, 9)
    found = front_end(grey.expand(-1, channels, -1, -1))
    assert found.shape == (1, front_end.outputs, 9, 9)
    assert torch.allclose(found, F.conv2d(grey, front_end.kernel, padding=1), atol=1e-5)


@pytest.mark.parametrize("name", ["high-pass", "sobel"])
def test_flat_regions_vanish(name: str) -> None:
    flat = torch.full((1, 1, 6, 6), 3.0)
    assert FRONT_ENDS[name](1)(flat)[..., 1:-1, 1:-1].abs().max() < 1e-6
