"""A training that diverges ends at once, blames what is at fault, and keeps the state before."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import nat.network.optimizer as optimizer_module
import nat.targets
from nat.methods import train
from nat.methods.nat import pretrain
from nat.network.optimizer import INTERVAL, Guard
from nat.probe import probe
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.targets import sample_targets, save_targets


class OnGpu:
    """A number that stands for one on a GPU, and counts how often it is waited for."""

    device = torch.device("cuda")

    def __init__(self, value: float) -> None:
        self.value, self.looks = value, 0

    def __float__(self) -> float:
        self.looks += 1
        return self.value


def looks(guard: Guard, totals: list[OnGpu], start: int) -> None:
    for step, total in enumerate(totals, start):
        guard.look(total, 1, step)  # type: ignore[arg-type]


@pytest.fixture
def guard() -> Guard:
    layer = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return Guard({"x.lr": 0.1, "x.batch_size": 8}, "file", layer, optimizer)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_on_a_cpu_it_is_found_in_its_step(guard: Guard, value: float) -> None:
    for step in range(3):
        guard.look(torch.tensor(1e30), 0, step)
    said = re.escape(f"x.lr: the loss is {value} (epoch 1, step 4; x.lr 0.1, x.batch_size 8)")
    with pytest.raises(UserError, match=f"^{said}.*use a smaller x.lr"):
        guard.look(torch.tensor(value), 0, 3)


def test_on_a_gpu_it_is_found_within_two_intervals_without_waiting_in_each_step(
    guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimizer_module, "Number", lambda number: number)
    good = OnGpu(1.0)
    looks(guard, [good] * 5 * INTERVAL, 0)
    assert good.looks == 5  # the first's and one an interval, each when the next is on its way
    for start in range(INTERVAL):
        bad = [OnGpu(float("nan")) for _ in range(2 * INTERVAL)]
        with pytest.raises(UserError, match=r"x\.lr"):
            looks(guard, bad, start)


def test_before_any_step_no_step_size_is_blamed(guard: Guard) -> None:
    with pytest.raises(UserError, match=r"^file: the loss is nan before any step"):
        guard.look(torch.tensor(float("nan")), 0, 0)
    with pytest.raises(UserError, match=r"^x\.lr: the loss is nan \(epoch 2, step 1"):
        guard.look(torch.tensor(float("nan")), 1, 0)


@pytest.mark.parametrize("of", ["weight", "momentum"])
def test_a_state_that_is_not_finite_is_no_state(guard: Guard, of: str) -> None:
    assert guard.end(torch.tensor(2.5), 0) == 2.5
    weight = guard.network.weight
    with torch.no_grad():
        (weight if of == "weight" else guard.optimizer.state[weight]["momentum_buffer"])[0] = np.inf
    with pytest.raises(UserError, match=r"x\.lr: a weight is no longer finite \(after epoch 1;"):
        guard.end(torch.tensor(2.5), 0)


@pytest.fixture
def start(manifest: Path, make_params: Any, tmp_path: Path) -> Callable[[str], None]:
    """Trainings of 6 steps an epoch."""
    targets, net = tmp_path / "targets.npy", tmp_path / "net"
    params = make_params(
        pretrain={"epochs": 3, "batch_size": 16},
        baselines={"labels": {"epochs": 3, "batch_size": 16}},
        probe={"epochs": 3, "batch_size": 16},
        permute_every=2,
    )
    save_targets(sample_targets("sphere", 96, params.targets, 0), targets)

    def run(name: str) -> None:
        file, result = net / "network.safetensors", tmp_path / "result.json"
        if name == "pretrain":
            pretrain(params, Name(), manifest, targets, net, result)
        elif name == "baselines.labels":
            train(params, Name("labels"), manifest, net, result)
        else:
            probe(params, Name(), manifest, file, None, tmp_path / "probe.json")

    return run


@pytest.mark.parametrize("name", ["pretrain", "baselines.labels", "probe"])
@pytest.mark.parametrize(
    ("step", "said"), [(8, r"epoch 2, step 3;"), (12, r"after epoch 2;")], ids=["within", "last"]
)
def test_a_training_ends_in_the_next_step_and_keeps_the_state_before(
    name: str, step: int, said: str, start: Any, poison: Any, tmp_path: Path
) -> None:
    if name == "probe":
        start("pretrain")
    poison(step)
    with pytest.raises(UserError, match=rf"^{name}\.lr: .*{said} {name}\.lr .*{name}\.batch_size"):
        start(name)
    (file,) = tmp_path.glob("scratch/*/state.pt")
    content = torch.load(file, weights_only=True)
    assert content["next"] == 1
    (network, *_) = content["state"].values()
    assert all(tensor.isfinite().all() for tensor in network.values())


def test_targets_that_are_no_numbers_are_blamed_themselves(
    start: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nat.targets, "SAMPLE", 2)  # rows that are looked at when they are loaded
    array = np.load(tmp_path / "targets.npy")
    array[70, 3] = np.nan
    np.save(tmp_path / "targets.npy", array)
    with pytest.raises(UserError, match=r"targets\.npy: target 70 is not of finite numbers"):
        start("pretrain")
