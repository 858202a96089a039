import math

import pytest
import torch

from nat.data.seeds import generator
from nat.network.model import Trunk, initialise
from nat.runtime.errors import UserError
from nat.voc.detection.boxes import encode
from nat.voc.detection.model import (
    Detector,
    Regions,
    check_size,
    initialise_outputs,
    pooled_side,
    stride,
)


def trunk(name: str = "small") -> Trunk:
    found = Trunk(name)
    initialise(found, generator(0, "trunk"))
    return found.eval()


def image(height: int, width: int, purpose: str = "image") -> torch.Tensor:
    return torch.rand(1, 1, height, width, generator=generator(0, purpose)) * 255


@pytest.fixture
def network() -> Detector:
    found = Detector(trunk(), side=3, hidden=16, classes=4, dropout=0.0).eval()
    initialise_outputs(found, generator(0, "outputs"))
    return found


def test_geometry_is_the_protocols_for_alexnet() -> None:
    assert stride("alexnet") == 16
    assert pooled_side(Trunk("alexnet"), 224) == 6
    assert Detector(Trunk("alexnet"), 6, 8, 20, 0.5).hidden.fc6.in_features == 9216


def test_geometry_of_the_small_trunk(network: Detector) -> None:
    assert stride("small") == 8
    assert pooled_side(Trunk("small"), 28) == 2
    assert pooled_side(Trunk("small"), 40) == 3
    assert network.conv5([image(64, 80)]).shape == (1, 64, 8, 10)
    assert network.hidden.fc6.in_features == trunk().features(40)


@torch.no_grad()
def test_conv5_is_the_trunks_before_pooling(network: Detector) -> None:
    whole = trunk()
    before: list[torch.Tensor] = []
    whole.layers.pool5.register_forward_hook(lambda _, inputs, __: before.append(inputs[0]))
    one = image(60, 76)
    whole(one)
    torch.testing.assert_close(network.conv5([one]), before[0].relu(), rtol=1e-4, atol=1e-5)
    assert isinstance(whole.layers.pool5, torch.nn.MaxPool2d)  # the given trunk keeps its own


@torch.no_grad()
def test_images_of_a_batch_do_not_see_each_other(network: Detector) -> None:
    """Contrast and size of a neighbour leave the maps alone but for the filled-up border."""
    one, other = image(64, 64), image(64, 160, "other") / 50 + 200
    alone, beside = network.conv5([one]), network.conv5([one, other])
    torch.testing.assert_close(beside[:1, :, :, :3], alone[:, :, :, :3], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(beside[1:], network.conv5([other]), rtol=1e-3, atol=1e-5)


def pooled_by_hand(maps: torch.Tensor, box: list[float], scale: float, side: int) -> torch.Tensor:
    """Fast R-CNN's pooling: ends rounded to cells and inclusive, every cell of a bin touched."""
    x0, y0, x1, y1 = (math.floor(v * scale + 0.5) for v in box)
    width, height = max(x1 - x0 + 1, 1), max(y1 - y0 + 1, 1)
    result = torch.zeros(maps.shape[0], side, side)
    for row in range(side):
        for column in range(side):
            top, bottom = y0 + row * height / side, y0 + (row + 1) * height / side
            left, right = x0 + column * width / side, x0 + (column + 1) * width / side
            ys = slice(max(math.floor(top), 0), min(math.ceil(bottom), maps.shape[1]))
            xs = slice(max(math.floor(left), 0), min(math.ceil(right), maps.shape[2]))
            cells = maps[:, ys, xs].flatten(1)
            if cells.shape[1]:
                result[:, row, column] = cells.amax(1)
    return result


@torch.no_grad()
def test_pooling_is_the_protocols(network: Detector) -> None:
    images = [image(60, 76), image(60, 76, "other")]
    boxes = [[0, 10, 5, 50, 40], [1, 0, 0, 75, 59], [1, 30.5, 21.7, 33, 24], [0, 70, 50, 75, 59]]
    seen: list[torch.Tensor] = []
    network.hidden.fc6.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    network(Regions(images, torch.tensor(boxes)))
    maps = network.conv5(images)
    for found, (slot, *box) in zip(seen[0], boxes, strict=True):
        expected = pooled_by_hand(maps[int(slot)], box, 1 / 8, 3)
        torch.testing.assert_close(found, expected.flatten())


def test_outputs_and_initialisation() -> None:
    network = Detector(trunk(), 3, 400, 20, 0.5)
    initialise_outputs(network, generator(0))
    assert float(network.scores.weight.detach().std()) == pytest.approx(0.01, rel=0.05)
    assert float(network.moves.weight.detach().std()) == pytest.approx(0.001, rel=0.05)
    assert not network.scores.bias.any()
    assert not network.moves.bias.any()
    regions = Regions([image(60, 60)], torch.tensor([[0, 0, 0, 30.0, 30], [0, 5, 5, 50, 50]]))
    logits, moves = network(regions)
    assert logits.shape == (2, 21)
    assert moves.shape == (2, 20, 4)


def test_no_regions_give_no_outputs(network: Detector) -> None:
    logits, moves = network(Regions([image(60, 60)], torch.zeros(0, 5)))
    assert logits.shape == (0, 5)
    assert moves.shape == (0, 4, 4)


def test_standardised_moves_reach_the_object(network: Detector) -> None:
    draws = generator(0)
    network.mean.copy_(torch.randn(4, 4, generator=draws) / 10)
    network.std.copy_(torch.rand(4, 4, generator=draws) + 0.1)
    boxes, goals = torch.tensor([[10.0, 10, 29, 39]]), torch.tensor([[12.0, 8, 35, 37]])
    moves = (encode(boxes, goals)[:, None] - network.mean) / network.std
    torch.testing.assert_close(network.moved(boxes, moves)[0], goals.repeat(4, 1))


def test_images_too_small_for_the_trunk() -> None:
    check_size(Trunk("alexnet"), 67, "detect.short_sides")
    with pytest.raises(UserError, match=r"detect\.short_sides: makes a side of 40 px, too short"):
        check_size(Trunk("alexnet"), 40, "detect.short_sides")
