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
import pytest
import torch
import torch.nn.functional as F
from conftest import image_set
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from safetensors.torch import load_file
from tiny import PROJECT, settings

from nat.data.store import UNLABELLED, Source, Split, write_store
from nat.methods.nat import pretrain, update
from nat.network.loss import square_loss
from nat.network.model import load_network
from nat.network.pretrained import write_network
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.targets import sample_targets, save_targets

NAT = Name("nat")


@pytest.fixture
def targets_file(make_params: Any, tmp_path: Path) -> Path:
    path = tmp_path / "targets.npy"
    save_targets(sample_targets("sphere", 96, make_params().targets, seed=0), path)
    return path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "network.safetensors")


def measured(result: Path) -> dict[str, Any]:
    return json.loads(result.read_text())["measured"]


def history(result: Path, column: str = "") -> list[Any]:
    """The history of a training: whole rows, or the values of a column."""
    rows = json.loads(result.read_text())["history"]
    return [row[column] for row in rows] if column else rows


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
    out, result = tmp_path / "net", tmp_path / "r.json"
    pretrain(make_params(), NAT, manifest, targets_file, out, result)
    assignment = np.load(out / "assignment.npy")
    assert sorted(assignment) == list(range(96))
    assert load_network(out / "network.safetensors").outputs == 8
    checkpoints = sorted(file.name for file in (out / "checkpoints").iterdir())
    assert checkpoints == ["epoch-0001.safetensors", "epoch-0002.safetensors"]
    rows = history(result)
    assert [list(row) for row in rows] == [["epoch", "lr", "loss", "reassigned", "knn"]] * 3
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert rows[0]["reassigned"] > 50  # the first epoch permutes
    assert rows[1]["reassigned"] == 0  # the second does not: every 3 epochs
    assert all(0 < row["loss"] < 4 for row in rows)
    content = json.loads(result.read_text())
    assert (content["stage"], content["method"], content["override"]) == ("train", "nat", "")
    assert content["measured"]["loss"] == rows[-1]["loss"]
    assert content["measured"]["images_per_second"] > 0
    assert content["provenance"]["images"] == {"train": 96, "test": 48}
    assert not (tmp_path / "scratch").exists() or not any((tmp_path / "scratch").iterdir())


def test_p_fixed_never_moves(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    params = make_params(permute_every="never")
    pretrain(params, NAT, manifest, targets_file, tmp_path / "net", tmp_path / "r.json")
    assert history(tmp_path / "r.json", "reassigned") == [0, 0, 0]


def test_reassignment_lowers_the_loss(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    losses = {}
    for period in (1, "never"):
        params, result = make_params(permute_every=period), tmp_path / f"{period}.json"
        pretrain(params, NAT, manifest, targets_file, tmp_path / "net", result)
        losses[period] = history(result, "loss")[0]
    assert losses[1] < losses["never"] - 0.2


@pytest.mark.parametrize("alignment", ["greedy", "sinkhorn"])
def test_another_alignment_trains_too(
    alignment: str, make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    out, result = tmp_path / "net", tmp_path / "r.json"
    pretrain(make_params(alignment=alignment), NAT, manifest, targets_file, out, result)
    assert sorted(np.load(out / "assignment.npy")) == list(range(96))
    assert history(result, "reassigned")[0] > 50
    assert measured(result)["alignment_ms"] > 0


def test_without_updates_there_is_no_cost_and_without_saving_no_checkpoint(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    params = make_params(permute_every="never", pretrain={"save_every": "never"})
    pretrain(params, NAT, manifest, targets_file, tmp_path / "net", tmp_path / "r.json")
    assert measured(tmp_path / "r.json")["alignment_ms"] is None
    assert not list((tmp_path / "net/checkpoints").iterdir())


def test_the_same_seed_gives_the_same_bytes(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    for run in "ab":
        pretrain(
            make_params(), NAT, manifest, targets_file, tmp_path / run, tmp_path / f"{run}.json"
        )
    pretrain(
        make_params(), Name(seed=1), manifest, targets_file, tmp_path / "c", tmp_path / "c.json"
    )
    assert same(tmp_path / "a", tmp_path / "b")
    assert history(tmp_path / "a.json") == history(tmp_path / "b.json")
    assert not same(tmp_path / "a", tmp_path / "c")


def test_a_checkpoint_that_is_gone_is_told_and_nothing_is_written(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """Figure 2 would draw a curve of what is left."""

    def lose(out: Path, network: Any, method: str, state: Path, *words: Any) -> None:
        (state / "checkpoints" / "epoch-0002.safetensors").unlink()
        (state / "checkpoints" / "stray.safetensors").touch()
        write_network(out, network, method, state, *words)

    monkeypatch.setattr("nat.methods.write_network", lose)
    job = (make_params(), NAT, manifest, targets_file, tmp_path / "net", tmp_path / "r.json")
    with pytest.raises(UserError, match=r"epoch-0002\.safetensors: missing in the state"):
        pretrain(*job)
    assert not (tmp_path / "net").exists()
    assert not (tmp_path / "r.json").exists()
    shutil.rmtree(tmp_path / "scratch")  # as the message says
    monkeypatch.undo()
    pretrain(*job)
    names = sorted(path.name for path in (tmp_path / "net/checkpoints").iterdir())
    assert names == ["epoch-0001.safetensors", "epoch-0002.safetensors"]


def test_onehot_targets_train_too(make_params: Any, manifest: Path, tmp_path: Path) -> None:
    params = make_params(targets={"k": 5})
    save_targets(sample_targets("onehot", 96, params.targets, seed=0), tmp_path / "t.npy")
    pretrain(params, NAT, manifest, tmp_path / "t.npy", tmp_path / "net", tmp_path / "r.json")
    assert load_network(tmp_path / "net" / "network.safetensors").outputs == 5


def test_images_need_no_labels(make_params: Any, targets_file: Path, tmp_path: Path) -> None:
    images, _ = image_set(96)
    split = Split(96, images, np.full(96, UNLABELLED))
    source = Source("unlabelled", [], {"train": split, "test": split})
    write_store(source, 32, 1, str(tmp_path / "data"), tmp_path / "u.json")
    pretrain(
        make_params(), NAT, tmp_path / "u.json", targets_file, tmp_path / "n", tmp_path / "r.json"
    )
    assert history(tmp_path / "r.json", "knn") == [None] * 3
    assert None not in history(tmp_path / "r.json", "loss")


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
        words = f"-m nat pretrain --params {tmp_path}/params.yaml --images {manifest}"
        words += f" --targets {targets_file} --out {tmp_path}/{out} --result {tmp_path}/{out}.json"
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
    assert history(tmp_path / "whole.json") == history(tmp_path / "killed.json")


def test_targets_of_other_images_are_refused(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    save_targets(sample_targets("sphere", 95, make_params().targets, seed=0), tmp_path / "t.npy")
    with pytest.raises(UserError, match="95 targets for 96 images"):
        pretrain(
            make_params(), NAT, manifest, tmp_path / "t.npy", tmp_path / "net", tmp_path / "r.json"
        )


def test_a_batch_larger_than_the_data_is_refused(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    params = make_params(pretrain={"batch_size": 97})
    with pytest.raises(UserError, match=r"pretrain\.batch_size: 97 is larger than the 96"):
        pretrain(params, NAT, manifest, targets_file, tmp_path / "net", tmp_path / "r.json")


def test_a_loss_that_diverges_is_refused_and_nothing_is_written(
    make_params: Any, manifest: Path, targets_file: Path, tmp_path: Path
) -> None:
    params = make_params()
    far = params.pretrain.model_copy(update={"lr": 1e38})  # beyond what a file may hold
    params = params.model_copy(update={"pretrain": far})
    with pytest.raises(UserError, match=r"pretrain\.lr: .*use a smaller pretrain\.lr"):
        pretrain(params, NAT, manifest, targets_file, tmp_path / "net", tmp_path / "r.json")
    assert not (tmp_path / "net").exists()
    assert not (tmp_path / "r.json").exists()
