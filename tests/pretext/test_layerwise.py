import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from nat.pretext.codebooks import spherical
from nat.pretext.layerwise import (
    SMOOTHING,
    Settings,
    cut_patches,
    fields,
    learn_layer,
    normalised,
    whitening,
)
from nat.runtime.errors import UserError

SETTINGS = Settings(epochs=2, batch_size=16, patches=100, groups=2, channels=3)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_patches_are_what_the_kernel_sees() -> None:
    maps = torch.randn(3, 2, 11, 11, generator=seeded())
    layer = nn.Conv2d(2, 4, 5, stride=2, padding=2)
    patches = cut_patches(maps, layer, 7, seeded())
    columns = F.unfold(maps, 5, padding=2, stride=2).transpose(1, 2)
    for index, patch in enumerate(patches):
        image = columns[index // 7]
        assert (image == patch.flatten()).all(1).any()
    many = cut_patches(maps, layer, 500, seeded()).flatten(1)
    for column in columns[0]:  # at the border too
        assert (many[:500] == column).all(1).any()


def test_normalised_patches_have_no_mean_and_about_one_contrast() -> None:
    patches = torch.randn(200, 9, generator=seeded()) * torch.arange(200)[:, None]
    patches[50] = 3.0
    found = normalised(patches)
    assert len(found) == 198  # without the blank ones
    assert found.mean(1).abs().max() < 1e-5
    assert found[-50:].var(1, correction=0).min() > 0.95


def test_whitening_makes_variances_alike() -> None:
    x = torch.randn(500, 6, generator=seeded()) @ torch.randn(6, 6, generator=seeded()) + 2
    mean, matrix = whitening(x)
    values = np.linalg.eigvalsh(np.cov(((x - mean) @ matrix).numpy().T, bias=True))
    original = np.linalg.eigvalsh(np.cov(x.numpy().T, bias=True))
    np.testing.assert_allclose(values, original / (original + SMOOTHING), rtol=1e-3)
    assert torch.allclose(matrix, matrix.T, atol=1e-5)


def test_a_field_is_of_channels_alike_in_energy() -> None:
    power = torch.rand(300, 3, generator=seeded())
    patches = torch.randn(300, 6, 3, 3, generator=seeded())
    patches *= power[:, torch.arange(6) % 3].sqrt()[:, :, None, None] * 3  # three pairs
    draws, again = seeded(), seeded()
    for _ in range(10):
        one, other = fields(patches, 2, draws).tolist()
        assert other == one + 3
        assert int(torch.randint(6, (), generator=again)) in (one, other)
    assert fields(patches, 9, seeded()).tolist() == list(range(6))


@pytest.mark.parametrize("channels", [2, 6])
def test_filters_are_whitened_vectors_and_responses_are_normalised(channels: int) -> None:
    patches = torch.randn(400, channels, 3, 3, generator=seeded()) + 1
    layer, norm = nn.Conv2d(channels, 8, 3), nn.BatchNorm2d(8)
    start, end = learn_layer(layer, norm, patches, SETTINGS, spherical, seeded())
    assert 0 < end < start < 1
    used = (layer.weight != 0).any(3).any(2)
    assert (used.sum(1) == min(channels, 3)).all()
    assert torch.allclose(layer.weight.flatten(1).norm(dim=1), torch.ones(8), atol=1e-5)
    assert torch.allclose(layer.weight.flatten(1).sum(1), torch.zeros(8), atol=1e-4)
    responses = norm.eval()(layer(patches))[:, :, 0, 0]
    assert torch.allclose(responses.mean(0), torch.zeros(8), atol=1e-4)
    assert torch.allclose(responses.var(0), torch.ones(8), atol=1e-3)
    if channels == 2:  # one group of all: the same by hand
        points = normalised(patches.flatten(1))
        mean, matrix = whitening(points)
        book, _ = spherical((points - mean) @ matrix, 8, 2, seeded())
        wanted = book @ matrix
        wanted -= wanted.mean(1, keepdim=True)
        assert torch.allclose(layer.weight.flatten(1), F.normalize(wanted), atol=1e-5)


def test_blank_images_are_refused() -> None:
    layer, norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
    with pytest.raises(UserError, match="all patches are blank"):
        learn_layer(layer, norm, torch.ones(20, 1, 3, 3), SETTINGS, spherical, seeded())
