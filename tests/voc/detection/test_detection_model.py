import dataclasses
import math

import pytest
import torch
from torch import nn

from nat.data.seeds import generator
from nat.network.model import SHAPES, Convolution, Trunk, initialise
from nat.runtime.errors import UserError
from nat.voc.detection.boxes import encode, mirrored
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


@pytest.fixture(params=sorted(SHAPES))
def echo(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Detector:
    """A trunk of one channel that sums what it sees: a bright pixel shines wherever it is seen."""
    shape = SHAPES[request.param]
    thin = tuple((1, *numbers) for _, *numbers in shape.convolutions)
    monkeypatch.setitem(SHAPES, request.param, dataclasses.replace(shape, convolutions=thin))
    found = Detector(Trunk(request.param, "clean").eval(), 3, 4, 2, 0.0).eval()
    for layer in found.trunk.layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 1 / layer.weight.numel())
            nn.init.zeros_(layer.bias)
    monkeypatch.setattr(found.trunk, "preprocess", lambda pixels: pixels)
    return found


@torch.no_grad()
def test_cells_are_centred_where_regions_are_pooled(echo: Detector) -> None:
    """The columns that a cell sees lie evenly around ``stride * cell``, and the rows likewise."""
    step, cells = stride(echo.trunk.name), 16
    side = step * cells + 1
    columns = torch.eye(side)[:, None, None, :]  # image x has column x bright
    across = echo.trunk.layers(columns.expand(-1, -1, 64, -1))[:, 0, 0] > 0
    down = echo.trunk.layers(columns.mT.expand(-1, -1, -1, 64))[:, 0, :, 0] > 0
    assert across.shape[1] > cells
    whole = 0
    for cell in range(cells):
        for seen in (across[:, cell], down[:, cell]):
            pixels = torch.nonzero(seen).flatten().tolist()
            if pixels[0] > 0 and pixels[-1] < side - 1:  # not cut by the image's border
                assert (pixels[0] + pixels[-1]) / 2 == step * cell
                whole += 1
    assert whole >= 8
    assert across[:step].any(0)[0]  # the first pixels have a cell


@torch.no_grad()
def test_a_region_is_pooled_from_where_it_lies(echo: Detector) -> None:
    """A bright spot is found in the middle of a region around it, in a mirrored image too."""
    step = stride(echo.trunk.name)
    width, height = 30 * step + 1, 24 * step + 1
    seen: list[torch.Tensor] = []
    echo.hidden.fc6.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    for x, y in [(8, 12), (21, 9), (15, 13)]:
        pixels = torch.zeros(1, 1, height, width)
        pixels[..., step * y, step * x] = 255
        region = torch.tensor([[x - 4.0, y - 4, x + 4, y + 4]]) * step  # 9 cells, 3 for each bin
        turned = mirrored(region + 1, width) - 1
        for image, box in ((pixels, region), (pixels.flip(-1), turned)):
            echo(Regions([image], torch.cat([torch.zeros(1, 1), box], 1)))
        plain, flipped = (found.view(3, 3) for found in seen[-2:])
        assert plain.argmax() == flipped.argmax() == 4
        torch.testing.assert_close(plain, plain.flip(0))  # no side of the region sees more of it
        torch.testing.assert_close(plain, plain.flip(1))
        torch.testing.assert_close(flipped, plain)


def test_padding_reaches_convolutions_over_blocks() -> None:
    """The rule that conv1 follows on a GPU."""
    layer = Detector(trunk("alexnet"), 3, 4, 2, 0.0).trunk.layers.conv1
    assert isinstance(layer, Convolution)
    x = torch.randn(1, 2, 75, 90, generator=generator(0, "x"))
    torch.testing.assert_close(layer.over_blocks(x), layer(x), rtol=1e-4, atol=1e-5)
    assert layer(x).shape[2:] == (19, 23)  # (75 + 10 - 11) // 4 + 1, and of 90 likewise


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


@torch.no_grad()
def test_regions_of_the_same_cells_are_one(network: Detector) -> None:
    """What stands for a region is pooled to the same numbers; ends round to the nearest cell."""
    draws = generator(0, "boxes")
    low = torch.rand(300, 2, generator=draws) * 40
    sides = torch.rand(300, 2, generator=draws) * 20
    boxes = torch.cat([torch.randint(2, (300, 1), generator=draws), low, low + sides], 1)
    below = float(torch.tensor(4.0).nextafter(torch.tensor(0.0)))  # half a cell, less a bit
    ends = [[4, 4, 11.9, 12], [8, 8, 11.9, 19.9], [3.9, 4, 12, 12], [below, 4, 12, 12]]
    boxes[:4, 1:] = torch.tensor(ends)
    expected = [[1, 1, 1, 2], [1, 1, 1, 2], [0, 1, 2, 2], [0, 1, 2, 2]]
    assert network.cells(boxes)[:4, 1:].tolist() == expected
    once, where = network.distinct(boxes)
    assert len(once) < 250
    assert len({tuple(row) for row in network.cells(boxes).tolist()}) == len(once)
    seen: list[torch.Tensor] = []
    network.hidden.fc6.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    images = [image(60, 76), image(60, 76, "other")]
    for each in (boxes, once):
        network(Regions(images, each))
    assert torch.equal(seen[1][where], seen[0])


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
