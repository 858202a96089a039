import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from scipy.spatial.distance import pdist

from nat.network.model import Trunk
from nat.pretext.jigsaw import Jigsaw, JigsawTraining, far_orders

TRAINING: dict[str, Any] = {
    "epochs": 1, "batch_size": 2, "lr": 0.1, "lr_hold": 0, "lr_decay": 0.0, "momentum": 0.0,
    "weight_decay": 0.0,
}  # fmt: skip


def task_of(crop: int, orders: torch.Tensor, tile: float = 0.853, name: str = "small") -> Jigsaw:
    own = JigsawTraining(**TRAINING, permutations=len(orders), tile=tile, units=6)
    return Jigsaw(Trunk(name), crop, 8, orders, own)


@pytest.mark.parametrize(("count", "things"), [(5, 4), (24, 4), (30, 5)])
def test_orders_are_those_of_the_papers_algorithm(count: int, things: int) -> None:
    found = far_orders(count, things, torch.Generator().manual_seed(3)).tolist()
    left = [list(order) for order in itertools.permutations(range(things))]
    chosen = [found[0]]
    left.remove(found[0])
    while len(chosen) < count:
        sums = [
            sum(a != b for each in chosen for a, b in zip(each, order, strict=True))
            for order in left
        ]
        chosen.append(left.pop(sums.index(max(sums))))
    assert found == chosen


def test_a_hundred_orders_of_nine_are_far_from_each_other() -> None:
    draws = torch.Generator().manual_seed(0)
    orders = far_orders(100, 9, draws)
    assert orders.sort(1).values.equal(torch.arange(9).expand(100, -1))
    distances = 9 * pdist(orders.numpy(), "hamming")
    random = torch.stack([torch.randperm(9, generator=draws) for _ in range(100)])
    assert distances.min() >= 2  # all are different
    # the nine values, as often as can be in each place: 1 of 9 agrees, less a little of itself
    assert distances.mean() > 8.05 > 9 * pdist(random.numpy(), "hamming").mean()


@pytest.mark.parametrize(("crop", "cell", "side"), [(28, 9, 8), (32, 10, 9), (224, 74, 63)])
def test_tiles_lie_in_the_cells_of_their_order(crop: int, cell: int, side: int) -> None:
    torch.manual_seed(0)
    orders = far_orders(6, 9, torch.Generator().manual_seed(0))
    task = task_of(crop, orders)
    assert (task.cell, task.side) == (cell, side)
    line = torch.arange(crop, dtype=torch.uint8)
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    images = torch.stack([rows, columns])[None].expand(60, -1, -1, -1)
    which = torch.arange(60) % 6
    corners = task.cut(images, which)[:, :, 0, 0].long().view(60, 9, 2)
    y, x = corners[..., 0], corners[..., 1]
    assert (y // cell * 3 + x // cell).equal(orders[which])
    for within in (y % cell, x % cell):
        assert within.unique().tolist() == list(range(cell - side + 1))


@pytest.mark.parametrize("name", ["small", "small-dense"])
def test_the_loss_is_that_of_the_tiles_together(name: str) -> None:
    torch.manual_seed(0)
    orders = far_orders(5, 9, torch.Generator().manual_seed(0))
    task = task_of(28, orders, tile=1.0, name=name).eval()  # no jitter: the whole cell
    images = torch.randint(0, 256, (4, 1, 28, 28), dtype=torch.uint8)
    torch.manual_seed(1)
    loss, measures = task(images, torch.arange(4))
    torch.manual_seed(1)
    which = torch.randint(5, (4,))
    terms, right = [], 0
    for image, label in zip(images, which.tolist(), strict=True):
        codes = []
        for cell in orders[label].tolist():
            y, x = 9 * (cell // 3), 9 * (cell % 3)
            codes.append(task.siamese(image[None, :, y : y + 9, x : x + 9])[0])
        logits = task.top(torch.cat(codes)[None])
        terms.append(-F.log_softmax(logits, 1)[0, label])
        right += int(logits.argmax()) == label
    assert torch.allclose(loss, torch.stack(terms).mean(), rtol=1e-5)
    assert measures["accuracy"] == pytest.approx(25 * right)
