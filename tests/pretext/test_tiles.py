import cv2
import numpy as np
import pytest
import torch

from nat.data.seeds import generator
from nat.network.model import SHAPES, Trunk, initialise
from nat.pretext.tiles import Siamese, cut_tiles, draw_jitter, least_side, share_right


def drawn_trunk(name: str) -> Trunk:
    trunk = Trunk(name)
    initialise(trunk, generator(0, "trunk"))
    return trunk


@pytest.mark.parametrize("name", ["small", "small-dense", "alexnet"])
def test_from_the_least_side_on_every_weight_learns(name: str) -> None:
    def still(side: int) -> int:
        """Weights of a kernel's places in conv3 to conv5 that have no gradient."""
        torch.manual_seed(0)
        trunk = drawn_trunk(name)
        trunk(torch.rand(4, 1, side, side)).square().sum().backward()
        kernels = (trunk.layers.get_submodule(f"conv{index}").weight.grad for index in (3, 4, 5))
        return sum(int((kernel.abs().sum((0, 1)) == 0).sum()) for kernel in kernels)

    side = least_side(name)
    assert still(side) == 0
    shorter = side - 1
    assert SHAPES[name].sides(shorter)[-1] < 1 or still(shorter) > 0


def test_tiles_are_where_they_are_cut() -> None:
    images = torch.randint(0, 256, (3, 2, 20, 20), dtype=torch.uint8)
    top, left = torch.randint(0, 14, (2, 3, 4))
    tiles = cut_tiles(images, top, left, 6)
    assert (tiles.shape, tiles.dtype) == ((12, 2, 6, 6), torch.uint8)
    for image in range(3):
        for tile in range(4):
            y, x = int(top[image, tile]), int(left[image, tile])
            assert tiles[4 * image + tile].equal(images[image, :, y : y + 6, x : x + 6])


def test_jitter_takes_every_value() -> None:
    assert draw_jitter(torch.zeros(50, 9), 2).unique().tolist() == [0, 1, 2]
    assert not draw_jitter(torch.zeros(5, 9), 0).any()


def test_a_small_tile_is_enlarged_and_a_large_one_is_not() -> None:
    seen: list[torch.Tensor] = []
    for side, expected in ((6, 9), (9, 9), (12, 12)):
        siamese = Siamese(drawn_trunk("small"), side, 5)
        siamese.trunk.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        tiles = torch.randint(0, 256, (3, 1, side, side), dtype=torch.uint8)
        assert siamese(tiles).shape == (3, 5)
        assert seen[-1].shape == (3, 1, expected, expected)
        if side == expected:
            assert seen[-1] is tiles
        else:
            for tile, found in zip(tiles.numpy()[:, 0], seen[-1][:, 0], strict=True):
                wanted = cv2.resize(tile.astype(np.float32), (9, 9))  # bilinear
                np.testing.assert_allclose(found, wanted, atol=0.1)


def test_the_share_of_right_guesses() -> None:
    guesses = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [0.0, 1.0]])
    assert share_right(guesses, torch.tensor([1, 1, 1, 0])) == 50
