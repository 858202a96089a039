import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nat.check import check_members
from nat.methods.context_prediction import Directions, Settings, drop_colours
from nat.network.model import Trunk
from nat.runtime.errors import UserError

TRAINING: dict[str, Any] = dict.fromkeys(("lr_decay", "momentum", "weight_decay"), 0.0) | {
    "epochs": 1, "batch_size": 2, "lr": 0.1, "lr_hold": 0,
}  # fmt: skip


def task_of(crop: int, patch: float = 0.24, jitter: float = 0.036, channels: int = 1) -> Directions:
    own = Settings(**TRAINING, patch=patch, jitter=jitter)
    return Directions(Trunk("small", channels=channels), crop, 8, own)


def where(image: torch.Tensor) -> list[tuple[int, int]]:
    """Row and column of each patch's corner, in an image whose pixels tell their place."""
    return [(int(patch[0, 0, 0]), int(patch[1, 0, 0])) for patch in image]


def places(crop: int) -> torch.Tensor:
    """An image whose channels are row, column and nothing."""
    line = torch.arange(crop, dtype=torch.uint8)
    row, column = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([row, column, torch.zeros_like(row)])


@settings(max_examples=60, deadline=None)
@given(
    crop=st.integers(9, 240),
    patch=st.floats(0.05, 0.33),
    jitter=st.floats(0, 0.5),
    seed=st.integers(0, 9),
)
def test_patches_lie_in_a_grid_within_the_crop(
    crop: int, patch: float, jitter: float, seed: int
) -> None:
    if 3 * patch + jitter > 1:
        with pytest.raises(ValueError, match="more than the whole crop"):
            task_of(crop, patch, jitter)
        return
    task = task_of(crop, patch, jitter)
    torch.manual_seed(seed)
    patches = task.cut(places(crop)[None].expand(20, -1, -1, -1))
    assert patches.shape == (180, 3, task.side, task.side)
    corners = torch.tensor([where(image) for image in patches.unflatten(0, (20, 9))])
    assert corners.min() >= 0
    assert corners.max() <= crop - task.side
    spread = corners.amax(0) - corners.amin(0)
    assert spread.max() <= task.jitter
    assert spread.max() > 0 or task.jitter == 0
    grid = corners.view(20, 3, 3, 2)
    gap = (crop - 3 * task.side - task.jitter) // 2
    for axis, steps in ((0, grid.diff(dim=1)), (1, grid.diff(dim=2))):
        between = steps[..., axis] - task.side  # pixels between a patch and the next
        assert (between - gap).abs().max() <= task.jitter


def test_proportions_are_the_papers() -> None:
    small, large = task_of(28), task_of(224)
    assert (small.side, small.jitter, small.rows.unique().tolist()) == (7, 1, [0, 10, 20])
    assert (large.side, large.jitter, large.rows.unique().tolist()) == (54, 8, [0, 81, 162])


def test_the_loss_is_that_of_the_middle_with_each_neighbour() -> None:
    torch.manual_seed(0)
    task = task_of(28)
    images = torch.randint(0, 256, (3, 1, 28, 28), dtype=torch.uint8)
    for layer in task.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 1.0
    task(images, torch.arange(3))  # by first statistics all patches are almost the same
    task.eval()
    torch.manual_seed(1)
    loss, measures = task(images, torch.arange(3))
    torch.manual_seed(1)
    codes = task.siamese(task.cut(images)).unflatten(0, (3, 9))
    terms, right = [], 0
    for image, direction in itertools.product(range(3), range(8)):
        neighbour = [0, 1, 2, 3, 5, 6, 7, 8][direction]
        pair = torch.cat([codes[image, 4], codes[image, neighbour]])[None]
        logits = task.top(pair)
        terms.append(-F.log_softmax(logits, 1)[0, direction])
        right += int(logits.argmax()) == direction
    assert torch.allclose(loss, torch.stack(terms).mean(), rtol=1e-5)
    assert measures["accuracy"] == pytest.approx(100 * right / 24)


def test_dropped_colours_are_almost_the_mean_of_what_is_kept() -> None:
    torch.manual_seed(0)
    patches = torch.randint(0, 256, (300, 3, 7, 7), dtype=torch.uint8)
    found = drop_colours(patches)
    kept = (found == patches).all((2, 3))
    assert kept.sum(1).eq(1).all()
    assert kept.sum(0).min() > 70  # each in its turn
    alone = patches[kept].double()
    mean, std = alone.mean((1, 2)), alone.std((1, 2), correction=0)
    noise = (found[~kept].view(300, 2, 7, 7) - mean[:, None, None, None]) / std[:, None, None, None]
    assert noise.std().item() == pytest.approx(0.01, rel=0.05)
    assert noise.mean().abs() < 0.01 / 20


def test_colours_are_dropped_where_there_are_any() -> None:
    task, seen = task_of(28, channels=3), []
    task.siamese.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.randint(0, 256, (3, 3, 28, 28), dtype=torch.uint8)
    task(images, torch.arange(3))
    assert seen[0].unflatten(0, (3, 9)).shape == (3, 9, 3, 7, 7)
    whole = (seen[0] == seen[0].round()).all((2, 3))
    assert whole.sum(1).eq(1).all()


def test_patches_that_do_not_fit_are_refused_in_a_line(make_params: Any) -> None:
    params = make_params(baselines={"context_prediction": {"patch": 0.3, "jitter": 0.2}})
    with pytest.raises(UserError, match=r"baselines\.context_prediction.*three of patch"):
        check_members(params, "params.yaml")
    params = make_params(baselines={"context_prediction": {"patch": 0.4}})
    with pytest.raises(UserError, match=r"baselines\.context_prediction\.patch"):
        check_members(params, "params.yaml")
