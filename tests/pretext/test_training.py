import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, SequentialLR

from nat.methods import NotServed, TrunkSession
from nat.network.model import load_network
from nat.network.pretrained import passed_on
from nat.pretext.training import AdamTraining, CosineTraining, Task, pretrain_on, rise_and_fall
from nat.runtime.naming import Name
from nat.runtime.settings.params import Params

SETTINGS = {"epochs": 3, "batch_size": 16, "lr": 0.01, "beta1": 0.5, "weight_decay": 0.0}
NAME = Name("autoencoder", seed=3)


class Brightness(Task):
    """Guesses the mean of an image, and counts its calls."""

    def __init__(self, trunk: torch.nn.Module) -> None:
        super().__init__()
        self.trunk, self.guess = trunk, torch.nn.Linear(256, 1)
        self.register_buffer("begun", torch.zeros(3, dtype=torch.int64))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        self.kept: list[torch.Tensor] = []

    def begin(self, epoch: int) -> None:
        self.begun[epoch] += 1

    def stepped(self) -> None:
        self.steps += 1

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> Any:
        self.kept.append(rows)
        wanted = images.float().mean((1, 2, 3)) / 255
        error = (self.guess(self.trunk(images).flatten(1))[:, 0] - wanted).square().mean()
        return error, {"error": error, "drawn": torch.rand(())}


def trained(params: Params, manifest: Path, out: Path, task_of: Any = Brightness) -> Any:
    settings = AdamTraining(**SETTINGS)
    result = out.with_suffix(".json")
    with TrunkSession(params, NAME, {}, manifest, out, result) as session:
        network = session.network(2)
        torch.manual_seed(0)
        task = task_of(network.trunk)
        pretrain_on(session, network, task, settings)
    return task, json.loads(result.read_text())


def test_a_task_sees_every_epoch_and_step(make_params: Any, manifest: Path, tmp_path: Path) -> None:
    task, result = trained(make_params(), manifest, tmp_path / "out")
    assert task.begun.tolist() == [1, 1, 1]
    assert task.steps == 3 * 6  # 96 images in batches of 16
    for epoch in range(3):
        rows = torch.cat(task.kept[6 * epoch : 6 * epoch + 6])
        assert rows.sort().values.equal(torch.arange(96))
    errors = [row["error"] for row in result["history"]]
    assert errors[-1] < errors[0]
    assert [row["loss"] for row in result["history"]] == pytest.approx(errors, rel=1e-5)
    assert result["measured"]["error"] == pytest.approx(errors[-1], abs=1e-4)
    assert result["measured"]["images_per_second"] > 0
    assert [row["knn"] is None for row in result["history"]] == [True, True, False]


class Interrupted(Brightness):
    """Ends in the middle of the second epoch, as a kill would."""

    def stepped(self) -> None:
        super().stepped()
        if self.steps == 9:
            raise KeyboardInterrupt


def test_an_interrupted_task_ends_in_the_same_bytes(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    params = make_params()
    whole, expected = trained(params, manifest, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trained(params, manifest, tmp_path / "cut", Interrupted)
    assert not (tmp_path / "cut").exists()
    resumed, result = trained(params, manifest, tmp_path / "cut")
    assert len(resumed.kept) == 12  # the last two epochs
    assert resumed.begun.equal(whole.begun)
    files = [tmp_path / name / "network.safetensors" for name in ("whole", "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()
    kept = [[row | {"lr": 0} for row in r["history"]] for r in (expected, result)]
    assert kept[0] == kept[1]


@pytest.mark.parametrize("warm", [0, 3])
def test_the_cosine_is_torchs(warm: int) -> None:
    steps = 12
    settings = CosineTraining(
        epochs=4, batch_size=2, lr=0.3, warmup=warm / steps, momentum=0.5, weight_decay=0.25
    )
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], settings.lr)
    falls = CosineAnnealingLR(optimizer, steps - warm)
    schedule: Any = falls
    if warm:
        rises = LinearLR(optimizer, 1 / warm, total_iters=warm - 1)
        schedule = SequentialLR(optimizer, [rises, falls], [warm])
    for t in range(steps):
        expected = optimizer.param_groups[0]["lr"]
        assert rise_and_fall(settings, t, steps) == pytest.approx(expected)
        optimizer.step()
        schedule.step()


def test_steps_are_those_of_sgd_with_the_cosine(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    class Slope(Task):
        """Its gradient is 1."""

        def __init__(self, trunk: torch.nn.Module) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones((), dtype=torch.float64))

        def forward(self, images: torch.Tensor, rows: torch.Tensor) -> Any:
            return self.weight.sum(), {}

    settings = CosineTraining(
        epochs=2, batch_size=16, lr=0.3, warmup=0.25, momentum=0.5, weight_decay=0.25
    )
    out = tmp_path / "out"
    with TrunkSession(make_params(), NAME, {}, manifest, out, out.with_suffix(".json")) as session:
        network = session.network(2)
        task = Slope(network.trunk)
        pretrain_on(session, network, task, settings)
    weight, velocity = 1.0, 0.0
    for t in range(12):
        rate = 0.1 * (t + 1) if t < 3 else 0.15 * (1 + math.cos(math.pi * (t - 3) / 9))
        velocity = 0.5 * velocity + 1 + 0.25 * weight
        weight -= rate * velocity
    assert task.weight.item() == pytest.approx(weight)
    (_, last) = json.loads(out.with_suffix(".json").read_text())["history"]
    assert last["lr"] == pytest.approx(rate)


def test_statistics_are_those_of_whole_images(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    class Blind(Brightness):
        def forward(self, images: torch.Tensor, rows: torch.Tensor) -> Any:
            return super().forward(images // 4 * 0 + 128, rows)

    def means(whole: bool) -> torch.Tensor:
        out = tmp_path / f"out{whole}"
        with TrunkSession(
            make_params(), NAME, {}, manifest, out, out.with_suffix(".json")
        ) as session:
            network = session.network(2)
            task = Blind(network.trunk)
            pretrain_on(session, network, task, AdamTraining(**SETTINGS), whole)
        return load_network(out / "network.safetensors").trunk.layers.bn1.running_var

    # blank images have no gradients, so that what is left of the first variance, 1, fades
    assert torch.allclose(means(whole=True), torch.tensor(0.9**18), atol=1e-3)
    assert (means(whole=False) - 0.9**18).abs().min() > 1e-3


def test_a_method_that_the_data_cannot_serve_says_so_in_every_stage(
    make_params: Any,
    manifest: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    import nat.methods.autoencoder as method
    from nat.methods import train

    def refuse(session: TrunkSession, settings: AdamTraining) -> None:
        raise NotServed("needs smell")

    monkeypatch.setattr(method, "train", refuse)
    out, result, probed = tmp_path / "net", tmp_path / "r.json", tmp_path / "p.json"
    for _ in range(2):  # over its own output too
        train(make_params(), NAME, manifest, out, result)
        assert passed_on(out / "network.safetensors", "probe", NAME, probed)
    assert "autoencoder: not run, needs smell" in capsys.readouterr().err
    for file, stage in ((result, "train"), (probed, "probe")):
        content = json.loads(file.read_text())
        assert (content["stage"], content["not_run"]) == (stage, "needs smell")
        assert content["measured"] == {}
        assert content["provenance"]["data"] == "test"
    monkeypatch.undo()
    train(make_params(), NAME, manifest, out, result)  # and is replaced by a network
    assert not passed_on(out / "network.safetensors", "probe", NAME, probed)
