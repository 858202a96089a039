import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from conftest import picture_set
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from safetensors.torch import load_file
from tiny import PROJECT, settings

from nat.data.store import UNLABELLED, Source, Split, write_store
from nat.methods.nat import pretrain, update
from nat.network.loss import square_loss
from nat.network.model import load_network
from nat.runtime.errors import UserError
from nat.runtime.pretrained import write_pretrained
from nat.runtime.resume import Run
from nat.targets import sample_targets, save_targets


@pytest.fixture
def targets_file(make_params: Any, tmp_path: Path) -> Path:
    path = tmp_path / "targets.npy"
    save_targets(sample_targets("sphere", 96, make_params().targets, seed=0), path)
    return path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "network.safetensors")


def same(a: Path, b: Path) -> bool:
    files = sorted(p.relative_to(a) for p in a.rglob("*") if p.is_file())
    return files == sorted(p.relative_to(b) for p in b.rglob("*") if p.is_file()) and all(
        (a / f).read_bytes() == (b / f).read_bytes() for f in files
    )


def test_gradient_is_the_formula() -> None:
    raw = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    y = F.normalize(torch.randn(6, 5, dtype=torch.float64))
    f = F.normalize(raw)
    f.retain_grad()
    square_loss(f, y).backward()
    assert torch.allclose(f.grad, 2 * (f - y).detach())
    # through the normalisation: (I - f f^T) / |raw| times the above, summed over the batch
    norm = raw.detach().norm(dim=1, keepdim=True)
    unit = raw.detach() / norm
    tangent = 2 * (unit - y)
    expected = (tangent - unit * (unit * tangent).sum(1, keepdim=True)) / norm
    assert torch.allclose(raw.grad, expected)


@given(st.data())
def test_p_stays_a_permutation(data: st.DataObject) -> None:
    n, b = 30, data.draw(st.integers(1, 30))
    draws = torch.Generator().manual_seed(data.draw(st.integers(0, 1000)))
    assignment = torch.randperm(n, generator=draws)
    batch = torch.randperm(n, generator=draws)[:b]
    before = assignment.clone()
    order = torch.randperm(b, generator=draws)
    update(assignment, batch, order)
    assert sorted(assignment.tolist()) == list(range(n))
    assert torch.equal(assignment[batch], before[batch][order])


def test_training_writes_what_others_read(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    out, record = tmp_path / "net", tmp_path / "record"
    pretrain(make_params(), 0, manifest, targets_file, out, record)
    assignment = np.load(out / "assignment.npy")
    assert sorted(assignment) == list(range(96))
    assert load_network(out / "network.safetensors").outputs == 8
    checkpoints = sorted(file.name for file in (out / "checkpoints").iterdir())
    assert checkpoints == ["epoch-0001.safetensors", "epoch-0002.safetensors"]
    history = pd.read_csv(record / "history.csv")
    assert list(history.columns) == ["epoch", "lr", "loss", "reassigned", "knn"]
    assert history.reassigned[0] > 50  # the first epoch permutes
    assert history.reassigned[1] == 0  # the second does not: every 3 epochs
    assert 0 < history.loss.min() <= history.loss.max() < 4
    assert not (tmp_path / "scratch").exists() or not any((tmp_path / "scratch").iterdir())


def test_p_fixed_never_moves(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    params = make_params(permute_every="never")
    pretrain(params, 0, manifest, targets_file, tmp_path / "net", tmp_path / "record")
    history = pd.read_csv(tmp_path / "record" / "history.csv")
    assert (history.reassigned == 0).all()


def test_reassignment_lowers_the_loss(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    losses = {}
    for period in (1, "never"):
        record = tmp_path / f"record-{period}"
        params = make_params(permute_every=period)
        pretrain(params, 0, manifest, targets_file, tmp_path / "net", record)
        losses[period] = pd.read_csv(record / "history.csv").loss[0]
    assert losses[1] < losses["never"] - 0.2


@pytest.mark.parametrize("alignment", ["greedy", "sinkhorn"])
def test_another_alignment_trains_too(
    alignment: str, make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    out, record = tmp_path / "net", tmp_path / "r"
    pretrain(make_params(alignment=alignment), 0, manifest, targets_file, out, record)
    assert sorted(np.load(out / "assignment.npy")) == list(range(96))
    history = pd.read_csv(record / "history.csv")
    assert history.reassigned[0] > 50
    assert json.loads((record / "record.json").read_text())["measured"]["alignment_ms"] > 0


def test_without_updates_there_is_no_cost_and_without_saving_no_checkpoint(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    params = make_params(permute_every="never", pretrain={"save_every": "never"})
    pretrain(params, 0, manifest, targets_file, tmp_path / "net", tmp_path / "r")
    measured = json.loads((tmp_path / "r/record.json").read_text())["measured"]
    assert measured["alignment_ms"] is None
    assert not list((tmp_path / "net/checkpoints").iterdir())


def test_the_same_seed_gives_the_same_bytes(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    for run in "ab":
        pretrain(make_params(), 0, manifest, targets_file, tmp_path / run, tmp_path / f"r{run}")
    pretrain(make_params(), 1, manifest, targets_file, tmp_path / "c", tmp_path / "rc")
    assert same(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "ra/history.csv").read_bytes() == (tmp_path / "rb/history.csv").read_bytes()
    assert not same(tmp_path / "a", tmp_path / "c")


def test_a_checkpoint_that_is_gone_is_told_and_nothing_is_written(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """Evolution would draw a curve of what is left."""
    original = write_pretrained

    def lose(out: Path, record: Path, network: Any, run: Run, *words: Any) -> None:
        (run.folder / "checkpoints" / "epoch-0002.safetensors").unlink()
        (run.folder / "checkpoints" / "stray.safetensors").touch()
        original(out, record, network, run, *words)

    monkeypatch.setattr("nat.methods.nat.write_pretrained", lose)
    job = (make_params(), 0, manifest, targets_file, tmp_path / "net", tmp_path / "r")
    with pytest.raises(UserError, match=r"epoch-0002\.safetensors: missing in the state"):
        pretrain(*job)
    assert not (tmp_path / "net").exists()
    assert not (tmp_path / "r").exists()
    shutil.rmtree(tmp_path / "scratch")  # as the message says
    monkeypatch.undo()
    pretrain(*job)
    names = sorted(path.name for path in (tmp_path / "net/checkpoints").iterdir())
    assert names == ["epoch-0001.safetensors", "epoch-0002.safetensors"]


def test_onehot_targets_train_too(make_params: Any, manifest: Path, tmp_path: Path) -> None:
    params = make_params(targets={"k": 5})
    save_targets(sample_targets("onehot", 96, params.targets, seed=0), tmp_path / "t.npy")
    pretrain(params, 0, manifest, tmp_path / "t.npy", tmp_path / "net", tmp_path / "r")
    assert load_network(tmp_path / "net" / "network.safetensors").outputs == 5


def test_targets_of_half_precision_train_to_almost_the_same(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    # one epoch: later, batch norm on small batches makes any difference grow
    params = make_params(
        permute_every="never", pretrain={"epochs": 1}, targets={"precision": "float16"}
    )
    half = tmp_path / "half.npy"
    save_targets(sample_targets("sphere", 96, params.targets, 0), half)
    losses = []
    for name, file in (("a", targets_file), ("b", half)):
        pretrain(params, 0, manifest, file, tmp_path / name, tmp_path / f"r{name}")
        losses.append(pd.read_csv(tmp_path / f"r{name}" / "history.csv")["loss"].item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_pictures_need_no_labels(make_params: Any, targets_file: Path, tmp_path: Path) -> None:
    pictures, _ = picture_set(96)
    split = Split(96, pictures, np.full(96, UNLABELLED))
    source = Source("unlabelled", [], {"train": split, "val": split})
    write_store(source, 32, 1, str(tmp_path / "data"), tmp_path / "u.json")
    pretrain(make_params(), 0, tmp_path / "u.json", targets_file, tmp_path / "n", tmp_path / "r")
    history = pd.read_csv(tmp_path / "r" / "history.csv")
    assert history.knn.isna().all()
    assert history.loss.notna().all()


def test_killed_at_any_moment_it_ends_in_the_same_weights(
    manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    """Real processes, really killed, some of them in the middle of an epoch."""
    content = settings(
        machine={"data": str(tmp_path / "data"), "scratch": str(tmp_path / "scratch")},
        pretrain={"epochs": 12},
        model={"dropout": 0.5},
    )
    YAML().dump(content, tmp_path / "params.yaml")

    def command(out: str) -> list[str]:
        words = f"-m nat pretrain --params {tmp_path}/params.yaml --pictures {manifest}"
        words += f" --targets {targets_file} --out {tmp_path}/{out} --record {tmp_path}/r-{out}"
        return [sys.executable, *words.split()]

    def run(out: str) -> None:
        subprocess.run(command(out), check=True, cwd=PROJECT)

    run("whole")
    kills = 0
    for epoch in (1, 4, 9):
        process = subprocess.Popen(command("killed"), cwd=PROJECT)
        while process.poll() is None:
            states = list((tmp_path / "scratch").glob("*/state.pt"))
            if states and torch.load(states[0], weights_only=True)["next"] >= epoch:
                os.kill(process.pid, signal.SIGKILL)
                kills += process.wait() == -signal.SIGKILL
                break
            time.sleep(0.01)
    assert kills == 3
    assert not (tmp_path / "killed").exists()
    run("killed")
    assert same(tmp_path / "whole", tmp_path / "killed")
    histories = [(tmp_path / f"r-{name}/history.csv").read_bytes() for name in ("whole", "killed")]
    assert histories[0] == histories[1]


def test_targets_of_other_pictures_are_refused(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    save_targets(sample_targets("sphere", 95, make_params().targets, seed=0), tmp_path / "t.npy")
    with pytest.raises(UserError, match="95 targets for 96 pictures"):
        pretrain(make_params(), 0, manifest, tmp_path / "t.npy", tmp_path / "net", tmp_path / "r")


def test_a_batch_larger_than_the_data_is_refused(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    params = make_params(pretrain={"batch_size": 97})
    with pytest.raises(UserError, match=r"pretrain\.batch_size: 97 is larger than the 96"):
        pretrain(params, 0, manifest, targets_file, tmp_path / "net", tmp_path / "r")


def test_a_loss_that_diverges_is_refused_and_nothing_is_written(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    params = make_params()
    far = params.pretrain.model_copy(update={"lr": 1e38})  # beyond what a file may hold
    params = params.model_copy(update={"pretrain": far})
    with pytest.raises(UserError, match=r"pretrain\.lr: .*use a smaller pretrain\.lr"):
        pretrain(params, 0, manifest, targets_file, tmp_path / "net", tmp_path / "r")
    assert not (tmp_path / "net").exists()
    assert not (tmp_path / "r").exists()
