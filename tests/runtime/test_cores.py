"""Cores: how many are usable, and what `auto` makes of them."""

import os
from pathlib import Path

import pytest
import torch
from tiny import machine, settings

from nat.runtime import cores
from nat.runtime.device import prepare_device
from nat.runtime.provenance import provenance
from nat.runtime.settings.params import Machine


@pytest.mark.parametrize(
    ("allowed", "quota", "count"),
    [(8, "max 100000", 8), (8, "250000 100000", 2), (1, "400000 100000", 1), (8, "50000 100000", 1),
     (4, "", 4), (4, None, 4)],
)  # fmt: skip
def test_affinity_and_a_container_s_quota_bound_the_cores(
    allowed: int, quota: str | None, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(allowed)), raising=False)
    monkeypatch.setattr(cores, "QUOTA", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota + "\n")
    assert cores.usable() == count


@pytest.mark.parametrize(("lanes", "share"), [("", 8), ("1", 8), ("3", 2), ("20", 1), ("x", 8)])
def test_commands_side_by_side_share_the_cores(
    lanes: str, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cores, "usable", lambda: 8)
    monkeypatch.setenv(cores.SHARED, lanes)
    assert cores.share() == share
    automatic = Machine.model_validate(settings(machine={"threads": "auto"})["machine"])
    assert (automatic.training_threads, automatic.workers) == (1, share)
    assert (machine().training_threads, machine().workers) == (1, 1)


def test_the_threads_of_a_training_are_those_it_records(monkeypatch: pytest.MonkeyPatch) -> None:
    for threads, used in (("auto", 1), (3, 3)):
        torch.set_num_threads(2)
        given = settings(machine={"threads": threads, "device": "cpu"})["machine"]
        device = prepare_device(Machine.model_validate(given))
        assert provenance({}, 0, {}, 1.0, device)["threads"] == used
