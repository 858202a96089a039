"""How many lanes there are, and what each computes on."""

from typing import Any

import pytest
from tiny import settings

from nat.lanes import run as lanes
from nat.runtime.settings.params import Params

CORES = 3


def devices(monkeypatch: pytest.MonkeyPatch, gpus: int = 0, **groups: Any) -> list[dict[str, str]]:
    monkeypatch.setattr(lanes, "usable", lambda: CORES)
    monkeypatch.setattr(lanes, "_gpus", lambda: gpus)
    content = settings(**{"machine": {"lanes": "auto", "device": "auto"}} | groups)
    return lanes.Lanes(Params.model_validate(content)).devices


def test_as_many_lanes_as_cores_or_as_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert devices(monkeypatch) == [{}] * CORES
    assert devices(monkeypatch, gpus=1) == [{}]
    two = [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    assert devices(monkeypatch, gpus=2) == two
    cpu = {"lanes": "auto", "device": "cpu"}
    assert devices(monkeypatch, gpus=2, machine=cpu) == [{}] * CORES
    one = {"lanes": "auto", "device": "cuda:1"}
    assert devices(monkeypatch, gpus=2, machine=one) == [{}]
    assert devices(monkeypatch, machine={"lanes": 5, "device": "auto"}) == [{}] * 5
    launcher = "torchrun --nproc-per-node 2"
    assert devices(monkeypatch, gpus=2, launcher=launcher) == [{}]


def test_gpus_are_those_that_the_user_lets_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    seen = [{"CUDA_VISIBLE_DEVICES": "5"}, {"CUDA_VISIBLE_DEVICES": "7"}]
    assert devices(monkeypatch, gpus=2) == seen


def test_a_job_computes_on_the_device_of_a_free_lane(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    class Process:
        def __init__(self, target: object, args: tuple) -> None:
            given.append(args[2]["CUDA_VISIBLE_DEVICES"])
            assert args[2][lanes.SHARED] == "3"

        def start(self) -> None:
            pass

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    devices(monkeypatch, gpus=3)
    group = {"lanes": "auto", "device": "auto"}
    running = lanes.Lanes(Params.model_validate(settings(machine=group)))
    monkeypatch.setattr(lanes.CONTEXT, "Process", Process, raising=False)
    for name in "abc":
        running.start(name, print, name, quiet=True)
    assert not running.free
    running.jobs.pop(1).output.close()
    assert running.free
    running.start("d", print, "d", quiet=True)
    assert given == ["0", "1", "2", "1"]
    for job in running.jobs:
        job.output.close()
