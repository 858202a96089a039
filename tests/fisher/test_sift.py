from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nat.data.store import Source, Split, Store, write_store
from nat.fisher.sift import LENGTH, described, descriptors, grid

DRAWS = np.random.default_rng(0)
NOISE = DRAWS.integers(0, 256, (1, 36, 36), dtype=np.uint8)


@given(st.integers(4, 60), st.integers(4, 60), st.integers(1, 20))
def test_patches_lie_within_the_image_and_in_its_middle(side: int, patch: int, step: int) -> None:
    centres = grid(side, patch, step)
    assert (len(centres) == 0) == (patch > side)
    if patch > side:
        return
    assert (centres == centres.astype(int)).all()
    first, last = centres[0] - patch // 2, centres[-1] - patch // 2 + patch - 1
    assert 0 <= first <= side - 1 - last <= first + 1
    assert side - 1 - last + first < step  # there is no room for another
    assert np.allclose(np.diff(centres), step)


def test_every_patch_has_a_descriptor_of_unit_length() -> None:
    found = descriptors(NOISE, [8, 12, 24], 4)
    assert found.dtype == np.float32
    assert found.shape == (8**2 + 7**2 + 4**2, LENGTH)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_patches_without_gradient_have_none() -> None:
    flat = np.full((1, 36, 36), 90, np.uint8)
    assert descriptors(flat, [8, 16], 4).shape == (0, LENGTH)
    flat[:, :, :6] = 200
    assert 0 < len(descriptors(flat, [8], 4)) < 64


def whole(image: np.ndarray) -> np.ndarray:
    """The descriptor of the one patch of 33 pixels: 4 rows of 4 bins of 8 directions."""
    (found,) = descriptors(image, [33], 1)
    return found.reshape(4, 4, 8)


def test_a_ramp_has_one_direction_everywhere() -> None:
    ramp = np.tile(np.arange(33, dtype=np.uint8) * 6, (33, 1))
    for image, direction in ((ramp, 0), (ramp[:, ::-1], 4)):
        found = whole(image[None])
        assert (found.argmax(2) == direction).all()
        assert np.square(found[..., direction]).sum() > 0.99
    across = {int(whole(image[None]).argmax(2)[1, 1]) for image in (ramp.T, ramp.T[::-1])}
    assert across == {2, 6}


def test_a_bin_sees_its_own_part_of_the_patch() -> None:
    for row in range(4):
        for column in range(4):
            image = np.full((1, 33, 33), 100, np.uint8)
            y, x = 8 * row + 4, 8 * column + 4
            image[:, y - 2 : y + 2, x - 2 : x + 2] = 140
            strength = np.square(whole(image)).sum(2)
            assert np.unravel_index(strength.argmax(), (4, 4)) == (row, column)


def test_a_mirrored_image_has_mirrored_descriptors() -> None:
    found, mirrored = whole(NOISE[:, :33, :33]), whole(NOISE[:, :33, :33][..., ::-1])
    directions = [(4 - each) % 8 for each in range(8)]
    # numbers of up to 255 are rounded to whole ones before they are scaled
    assert np.abs(mirrored - found[:, ::-1][..., directions]).max() < 0.02


def test_light_and_contrast_change_little() -> None:
    dim = (NOISE // 2 + 60).astype(np.uint8)
    assert np.abs(descriptors(dim, [12], 4) - descriptors(NOISE, [12], 4)).max() < 0.05


def test_colour_counts_by_its_luma() -> None:
    same = np.repeat(NOISE, 3, axis=0)
    assert np.array_equal(descriptors(same, [8, 16], 4), descriptors(NOISE, [8, 16], 4))
    red, green = (np.zeros_like(same) for _ in range(2))
    red[0], green[1] = NOISE[0], NOISE[0]
    mixed = np.stack([NOISE[0], NOISE[0].T, np.zeros_like(NOISE[0])])
    towards = [np.abs(descriptors(mixed, [36], 1) - descriptors(one, [36], 1)).sum()
               for one in (green[[0, 1, 2]].transpose(0, 2, 1), red)]  # fmt: skip
    assert towards[0] < towards[1]  # green weighs more


@pytest.mark.parametrize("threads", [1, 3])
def test_a_store_is_described_in_its_order_whatever_the_threads(
    threads: int, tmp_path: Path
) -> None:
    images = DRAWS.integers(0, 256, (300, 1, 16, 16), dtype=np.uint8)
    split = Split(len(images), images, np.zeros(len(images), np.int64))
    write_store(Source("t", ["a"], {"train": split}), 16, 1, f"{tmp_path}", tmp_path / "m.json")
    store = Store(tmp_path / "m.json", f"{tmp_path}", "train")
    rows = torch.arange(299, -1, -1)
    batches = list(described(store, rows, [8], 4, threads, "test"))
    assert torch.equal(torch.cat([batch for batch, _ in batches]), rows)
    found = [one for _, batch in batches for one in batch]
    assert len(found) == 300
    for row in (0, 17, 299):
        assert np.array_equal(found[299 - row], descriptors(images[row], [8], 4))


def test_it_tells_how_far_it_is_without_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    images = np.zeros((600, 1, 8, 8), np.uint8)
    split = Split(len(images), images, np.zeros(len(images), np.int64))
    write_store(Source("t", ["a"], {"train": split}), 8, 1, f"{tmp_path}", tmp_path / "m.json")
    store = Store(tmp_path / "m.json", f"{tmp_path}", "train")
    for _ in described(store, torch.arange(600), [8], 4, 1, "SIFT"):
        pass
    assert capsys.readouterr().err.splitlines()[-1] == "SIFT: 600 of 600 images"


def test_a_large_patch_is_blurred_and_a_small_one_is_not() -> None:
    """Fine stripes are in the small one what its gradients are of, in the large one a ramp is."""
    place = np.arange(48)
    image = 100 + 20 * np.sin(np.pi / 2 * place + 0.5)[None] + 2.0 * place[:, None]
    directions = {}
    for patch in (8, 47):
        found = descriptors(image[None].astype(np.uint8), [patch], 48)
        directions[patch] = np.square(found.reshape(-1, 16, 8)).sum((0, 1))
    assert directions[8][[0, 4]].sum() > 0.9 * directions[8].sum()
    assert directions[47][[0, 4]].sum() < 0.1 * directions[47].sum()


def test_a_coloured_image_is_seen_by_its_luma() -> None:
    """In which red weighs 0.299, blue 0.114."""
    red = np.tile(np.arange(33) * 6, (33, 1))
    image = np.stack([red, np.full((33, 33), 90), red.T]).astype(np.uint8)
    luma = 0.299 * image[0] + 0.587 * image[1] + 0.114 * image[2]
    found, wanted = whole(image), whole(luma.round().astype(np.uint8)[None])
    assert (found * wanted).sum() > 0.999
    assert (found * whole(image[::-1])).sum() < 0.9
