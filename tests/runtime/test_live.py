"""TensorBoard's files hold the numbers of the history, as TensorBoard itself reads them."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nat.methods import train
from nat.network.session import Session
from nat.runtime.errors import UserError
from nat.runtime.live import Live
from nat.runtime.naming import Name


def curves(folder: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """By run and by name of a number: steps and values."""
    module = pytest.importorskip("tensorboard.backend.event_processing.event_multiplexer")
    reader = module.EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    return {
        run: {
            name: [(event.step, event.value) for event in reader.Scalars(run, name)]
            for name in tags["scalars"]
        }
        for run, tags in reader.Runs().items()
    }


def test_a_training_is_shown_as_its_history_has_it(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    live = make_params(machine={"tensorboard": str(tmp_path / "live")})
    for params, name in ((live, "a"), (make_params(), "b")):
        train(params, Name("labels"), manifest, tmp_path / name, tmp_path / f"{name}.json")
    content, plain = (json.loads((tmp_path / f"{name}.json").read_text()) for name in "ab")
    assert content["history"] == plain["history"]  # which it does not change
    ((run, found),) = curves(tmp_path / "live").items()
    assert run.startswith("labels-0/labels-0-")
    assert found.keys() == {"epoch", "lr", "loss", "knn"}
    rows = content["history"]
    assert len(rows) == 2
    assert found["loss"] == [(row["epoch"], pytest.approx(row["loss"])) for row in rows]
    assert found["knn"] == [(2, pytest.approx(rows[1]["knn"]))]


def test_what_an_interrupted_start_wrote_twice_is_shown_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    for steps, factor in (((1, 2, 3), 1), ((3, 4), 10)):
        live = Live(str(tmp_path / "live"))
        for step in steps:
            live.add("nat-0/probe-0-abc", step, {"loss": factor * step, "knn": None})
        live.close()
    ((_, found),) = curves(tmp_path / "live").items()
    assert found == {"loss": [(1, 1.0), (2, 2.0), (3, 30.0), (4, 40.0)]}


def test_nothing_is_written_without_a_folder(tmp_path: Path) -> None:
    live = Live(None)
    live.add("a", 1, {"loss": 1.0})
    live.close()
    assert not list(tmp_path.iterdir())


def test_faults_are_told_before_the_work(
    make_params: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"machine\.tensorboard: .*file/x: cannot be written \(No"):
        Live(str(tmp_path / "file" / "x"))
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    params = make_params(machine={"tensorboard": str(tmp_path / "live")})
    with pytest.raises(UserError, match=r"tensorboard: needs the package tensorboard; install"):
        Session(params, Name(), "probe", {}, tmp_path / "out.json")
    assert not (tmp_path / "live").exists()


def test_a_disk_that_fails_meanwhile_ends_the_curves_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    tensorboard = pytest.importorskip("torch.utils.tensorboard")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    live = Live(str(tmp_path / "live"))
    monkeypatch.setattr(tensorboard.SummaryWriter, "flush", full)
    live.add("a", 1, {"loss": 1.0})
    live.add("a", 2, {"loss": 1.0})
    live.close()
    assert capsys.readouterr().err == (
        "machine.tensorboard: [Errno 28] No space left on device; no more is written there\n"
    )
