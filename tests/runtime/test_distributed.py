"""Several processes: real torchrun, two processes that speak through gloo."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from ruamel.yaml import YAML
from safetensors.torch import load_file
from tiny import PROJECT, settings

from nat.alignments import exact, reassign
from nat.data.loader import Loader
from nat.data.seeds import generator
from nat.data.store import Store
from nat.evaluation.multi_crop import multi_crop_accuracies
from nat.network.loss import square_loss
from nat.network.model import Network, initialise, load_network
from nat.runtime.device import SHARE, fits, prepare_device
from nat.runtime.distributed import Distributed, init_distributed
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Params
from nat.targets import load_targets, sample_targets, save_targets

# one epoch of small steps: with batch norm on 8 images, rounding errors grow tenfold a step
EPOCHS, BATCH, LR = 1, 16, 1e-4


class Job:
    """A pretraining in a folder of its own, by torchrun or by one process."""

    def __init__(self, folder: Path, manifest: Path, **groups: Any) -> None:
        self.folder, self.manifest, self.targets = folder, manifest, folder / "targets.npy"
        pretrain = {"epochs": EPOCHS, "batch_size": BATCH, "lr": LR} | groups.pop("pretrain", {})
        machine = {"data": str(folder / "data"), "scratch": str(folder / "scratch")}
        content = settings(machine=machine, pretrain=pretrain, permute_every=1, **groups)
        YAML().dump(content, folder / "params.yaml")
        self.params = Params.model_validate(content)
        save_targets(sample_targets("sphere", 96, self.params.targets, 0), self.targets)

    def command(self, out: str, processes: int) -> list[str]:
        words = f"-m nat pretrain --params {self.folder}/params.yaml --images {self.manifest}"
        words += f" --targets {self.targets} --out {self.folder}/{out}"
        words += f" --result {self.folder}/{out}.json"
        launcher = [sys.executable]
        if processes > 1:
            launcher += f"-m nat.launch --standalone --nproc-per-node {processes}".split()
        return [*launcher, *words.split()]

    def run(self, out: str, processes: int = 2) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(out, processes), cwd=PROJECT, capture_output=True, text=True
        )


def children(process: subprocess.Popen) -> list[int]:
    """The processes that torchrun has started."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
    )
    return [int(number) for number in found.stdout.split()]


def by_hand(job: Job) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The same training in one process: two passes a batch, gradients summed, one step."""
    params = job.params
    store = Store(job.manifest, params.machine.data, "train")
    loader = Loader(store, BATCH, params.augment, 0, Distributed(torch.device("cpu")), "")
    targets = load_targets(job.targets)
    network = Network(params.model, params.augment.crop, targets.dimension)
    initialise(network, generator(0, "weights"))
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), LR)
    assignment = torch.randperm(len(store), generator=generator(0, "assignment"))
    for epoch in range(EPOCHS):
        for rows, images in loader.epoch(epoch):
            optimizer.zero_grad()
            features = torch.cat([F.normalize(network(half)) for half in images.chunk(2)])
            vectors = targets.vectors(assignment[rows])
            parts = [slice(0, 8), slice(8, 16)]
            for part in parts if params.pretrain.matching == "local" else [slice(0, 16)]:
                order, vectors[part] = reassign(exact.align, features[part], vectors[part])
                assignment[rows[part]] = assignment[rows[part][order]]
            square_loss(features, vectors).backward()
            optimizer.step()
    return {name: value.detach() for name, value in network.named_parameters()}, assignment


@pytest.mark.parametrize("matching", ["local", "global"])
def test_two_processes_do_what_the_formulas_say(
    matching: str, manifest: Path, tmp_path: Path
) -> None:
    job = Job(tmp_path, manifest, pretrain={"matching": matching})
    done = job.run("net")
    assert done.returncode == 0, done.stderr
    weights, assignment = by_hand(job)
    found = load_file(tmp_path / "net" / "network.safetensors")
    network = Network(job.params.model, job.params.augment.crop, 8)
    initialise(network, generator(0, "weights"))
    start = dict(network.named_parameters())
    wrong, moved = (
        torch.cat([(a[name] - b[name]).flatten() for name in start]).norm()
        for a, b in ((found, weights), (weights, start))
    )
    assert wrong < 0.03 * moved  # a gradient averaged, not summed, would be half as long
    assert np.load(tmp_path / "net" / "assignment.npy").tolist() == assignment.tolist()


def test_killed_in_the_middle_two_processes_resume_and_one_is_refused(
    manifest: Path, tmp_path: Path
) -> None:
    job = Job(tmp_path, manifest, pretrain={"epochs": 12})
    assert job.run("whole").returncode == 0
    process = subprocess.Popen(job.command("killed", 2), cwd=PROJECT)
    deadline = time.monotonic() + 120
    while not (states := list((tmp_path / "scratch").glob("*/state.pt"))):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    workers = children(process)
    for number in (process.pid, *workers):  # torchrun first, or it would tidy up
        os.kill(number, signal.SIGKILL)
    process.wait()
    assert torch.load(states[0], weights_only=True)["next"] < 12

    alone = job.run("killed", processes=1)
    assert alone.returncode == 1
    assert "state of a run of 2 processes, not 1" in alone.stderr
    assert job.run("killed").returncode == 0
    for name in ("network.safetensors", "assignment.npy"):
        whole, killed = (tmp_path / out / name for out in ("whole", "killed"))
        assert whole.read_bytes() == killed.read_bytes()
    # had a process missed what the other did to P, a target would be there twice
    assert sorted(np.load(tmp_path / "killed/assignment.npy")) == list(range(96))
    results = [json.loads((tmp_path / f"{out}.json").read_text()) for out in ("whole", "killed")]
    assert len(results[0]["history"]) == 12
    assert results[0]["history"] == results[1]["history"]


def test_a_lost_process_ends_the_others(manifest: Path, tmp_path: Path) -> None:
    job = Job(tmp_path, manifest, pretrain={"epochs": 5000})
    process = subprocess.Popen(job.command("net", 2), cwd=PROJECT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "scratch").glob("*/state.pt")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        workers = children(process)
        assert len(workers) == 2
        os.kill(workers[1], signal.SIGKILL)
        assert process.wait(60) != 0
        assert not (tmp_path / "net").exists()
    finally:
        if process.poll() is None:
            for number in (process.pid, *children(process)):
                os.kill(number, signal.SIGKILL)


def test_a_process_that_fails_does_not_wait_for_the_others(tmp_path: Path) -> None:
    """Leaving the group waits, with NCCL, for processes that may wait for the one that fails."""
    script = tmp_path / "fails.py"
    script.write_text(
        "import atexit, sys, torch.distributed as dist\n"
        "atexit.register(lambda: sys.stdout.write(f'still joined: {dist.is_initialized()}\\n'))\n"
        "from nat.runtime.settings.load import load_params\n"
        "from nat.runtime.distributed import init_distributed\n"
        "distributed = init_distributed(load_params().machine, 'float32')\n"
        "if sys.argv[1:] and distributed.rank == 1:\n"
        "    sys.exit(1)\n"
        "distributed.barrier()\n"
        "distributed.close()\n"
    )

    def start(*words: str) -> subprocess.CompletedProcess:
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        return subprocess.run(
            [sys.executable, *launcher, str(script), *words],
            cwd=PROJECT,
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            timeout=120,
        )

    failed = start("fail")
    assert failed.returncode != 0
    assert "still joined: True" in failed.stdout
    done = start()
    assert done.returncode == 0
    assert done.stdout.count("still joined: False") == 2


def test_labels_and_probe_by_two_processes(manifest: Path, tmp_path: Path) -> None:
    """What is written is the accuracy of the network that is saved, whose statistics all share."""
    job = Job(
        tmp_path,
        manifest,
        baselines={"labels": {"epochs": 3, "batch_size": BATCH}},
        probe={"epochs": 15, "lr_hold": 15, "batch_size": BATCH},
    )

    def start(*words: str) -> None:
        done = subprocess.run(
            [
                *job.command("x", 2)[:6],
                *("-m", "nat", *words),
                *("--params", str(tmp_path / "params.yaml"), "--images", str(manifest)),
            ],
            cwd=PROJECT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    network, result = tmp_path / "labels", tmp_path / "labels.json"
    start("train", "labels", "--out", str(network), "--result", str(result))
    told = json.loads(result.read_text())["measured"]["accuracy"]
    saved = load_network(network / "network.safetensors").eval()
    store = Store(manifest, job.params.machine.data, "test")
    (accuracy,) = multi_crop_accuracies(
        lambda cuts: (saved(cuts),),
        store,
        job.params.augment.crop,
        job.params.baselines["labels"]["crops"],
        Distributed(torch.device("cpu")),
    )
    assert told == round(accuracy, 2)
    start("probe", "--network", str(network / "network.safetensors"), "--out", f"{tmp_path}/p.json")
    measured = json.loads((tmp_path / "p.json").read_text())["measured"]
    assert all(measured[name] > 80 for name in ("mlp", "linear", "knn"))


def test_a_gpu_that_is_not_there_is_named(
    make_params: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=r"machine\.device: cuda:2: there are 2 CUDA devices"):
        prepare_device(make_params(machine={"device": "cuda:2"}).machine)


def test_memory_that_pytorch_keeps_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (1000, 9999))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 500)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 100)
    limit = int(SHARE * 1400)
    assert fits(limit, torch.device("cuda"))
    assert not fits(limit + 1, torch.device("cuda"))
    assert not fits(1, torch.device("cpu"))


def test_more_processes_than_a_batch_holds_are_refused(manifest: Path, tmp_path: Path) -> None:
    job = Job(tmp_path, manifest, pretrain={"batch_size": 2})
    done = job.run("net")
    assert done.returncode == 1
    said = "error: pretrain.batch_size: 2 images cannot be shared by 2 processes"
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1
    words = [word.replace("nat.launch", "torch.distributed.run") for word in job.command("net", 2)]
    plain = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True)
    assert plain.returncode == 1
    assert f"traceback : {said}" in plain.stderr  # in the last lines of torchrun's own report


def test_synchronised_statistics_need_gpus() -> None:
    with pytest.raises(UserError, match=r"pretrain\.batch_norm: synchronised works on GPUs"):
        Distributed(torch.device("cpu"), size=2).wrap(torch.nn.BatchNorm1d(3), synchronise=True)


def test_alone_one_process_changes_nothing(make_params: Any) -> None:
    distributed = init_distributed(make_params().machine, "float32")
    network, numbers = torch.nn.Linear(2, 2), torch.arange(4)
    assert (distributed.rank, distributed.size, distributed.is_main) == (0, 1, True)
    assert distributed.wrap(network, synchronise=True) is network
    assert distributed.all_gather(numbers) is numbers
    assert distributed.all_reduce(numbers) is numbers
    assert distributed.shard(7, "x") == slice(0, 7)


def test_bfloat16_is_computed_when_asked_for(make_params: Any) -> None:
    distributed = init_distributed(make_params().machine, "bfloat16")
    with distributed.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    assert "bfloat16" in distributed.computing
