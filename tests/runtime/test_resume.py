import io
import itertools
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas
import pytest
import torch

from nat.data.seeds import generator
from nat.runtime import resume
from nat.runtime.errors import UserError
from nat.runtime.io.locks import locked
from nat.runtime.resume import ResumableRun, comma_separated, scratch_folder
from nat.runtime.signals import saved, told


class Stop(Exception):
    pass


def train(folder: Path, stop_in: int | None = None) -> tuple[torch.Tensor, list[Any]]:
    weight = torch.nn.Linear(2, 1)
    with torch.no_grad():
        weight.weight.fill_(1.0)
        weight.bias.fill_(0.0)
    order = torch.arange(4)
    optimizer = torch.optim.SGD(weight.parameters(), lr=0.1, momentum=0.9)
    with ResumableRun(folder, {"weight": weight, "optimizer": optimizer, "order": order}) as run:
        for epoch in run.epochs(5):
            if epoch == stop_in:
                raise Stop
            x = torch.randn(8, 2, generator=generator(0, "data", epoch))
            optimizer.zero_grad()
            weight(x).square().sum().backward()
            optimizer.step()
            order.copy_(order.roll(1))
            run.log(epoch=epoch, loss=float(x.sum()))
        assert run.seconds > 0
        return torch.cat([weight.weight.detach().flatten(), order.float()]), run.history


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    for stop in (1, 1, 4):
        with pytest.raises(Stop):
            train(tmp_path / "stopped", stop)
    resumed = train(tmp_path / "stopped")
    assert torch.equal(whole[0], resumed[0])
    assert whole[1] == resumed[1]


def test_a_run_tells_from_where_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    saved("")
    plain = told(signal.SIGTERM)
    with ResumableRun(tmp_path / "run", {}) as run:
        for epoch in run.epochs(5):
            if epoch == 2:
                break
            run.log(epoch=epoch)
            run.log(loss=0.5)
        assert told(signal.SIGTERM) == f"{plain} after epoch 2 (state: run)"
    assert (tmp_path / "run/history.csv").read_text() == "epoch,loss\n0,0.5\n1,0.5\n"
    assert capsys.readouterr().err == ""
    with ResumableRun(tmp_path / "run", {}) as run:
        assert capsys.readouterr().err == "run: resuming at epoch 3 (state: run)\n"
        assert told(signal.SIGTERM) == f"{plain} after epoch 2 (state: run)"
        run.finish()
    assert told(signal.SIGTERM) == plain


def test_the_time_of_all_finished_epochs_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = itertools.count()
    monkeypatch.setattr(resume, "time", SimpleNamespace(perf_counter=lambda: next(ticks)))
    folder = tmp_path / "run"
    with ResumableRun(folder, {}) as run:
        assert folder.is_dir()
        for epoch in run.epochs(5):
            if epoch == 3:
                break
    with ResumableRun(folder, {}) as run:
        assert run.seconds == 3
        assert [*run.epochs(5)] == [3, 4]
        assert run.seconds == 5


def test_the_state_of_another_run_is_refused(tmp_path: Path) -> None:
    for name in ("nat-0-aaaa", "nat-1-bbbb"):
        with pytest.raises(Stop):
            train(tmp_path / name, 2)
    shutil.copy(tmp_path / "nat-0-aaaa" / "state.pt", tmp_path / "nat-1-bbbb" / "state.pt")
    with pytest.raises(UserError, match=r"nat-1-bbbb/state\.pt: .*it is the state of nat-0-aaaa"):
        train(tmp_path / "nat-1-bbbb")


def test_nothing_is_left_of_a_finished_run(tmp_path: Path) -> None:
    with ResumableRun(tmp_path / "run", {}) as run:
        for _ in run.epochs(2):
            pass
        (run.folder / "checkpoints").mkdir()
        run.finish()
    assert not list(tmp_path.iterdir())


def test_what_a_kill_left_of_a_finished_run_is_no_state(tmp_path: Path) -> None:
    """It came while the state was being removed: all of it is out of the way, or none."""
    left = tmp_path / ".run.abcdefgh.part" / "run"
    left.mkdir(parents=True)
    (left / "state.pt").touch()
    assert train(tmp_path / "run")[1][0]["epoch"] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_what_was_left_meanwhile_is_no_state_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a process that was waited for, and was killed while it removed its state."""

    @contextmanager
    def waited(path: Path) -> Iterator[None]:
        with locked(path):
            (tmp_path / ".run.abcdefgh.part" / "run").mkdir(parents=True)
            yield

    monkeypatch.setattr(resume, "locked", waited)
    train(tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_of_another_user_gives_names_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = scratch_folder(str(tmp_path / "new"), "run")
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert scratch_folder(str(tmp_path / "new"), "run").name == f"{mine.name}-u12345"


def test_a_damaged_state_is_named(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(tmp_path / "run", 2)
    (tmp_path / "run" / "state.pt").write_bytes(b"torn")
    with pytest.raises(UserError, match="damaged state"):
        train(tmp_path / "run")


def test_a_state_of_other_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(tmp_path / "run", 2)
    file = tmp_path / "run" / "state.pt"
    content = torch.load(file, weights_only=True)
    content["state"]["another"] = torch.zeros(1)
    torch.save(content, file)
    with pytest.raises(UserError, match=r"damaged state.*it holds something else than this run"):
        train(tmp_path / "run")


class Pickled:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_nothing_in_a_state_is_run(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        train(tmp_path / "run", 2)
    file = tmp_path / "run" / "state.pt"
    torch.save(torch.load(file, weights_only=True) | {"x": Pickled(tmp_path / "made")}, file)
    with pytest.raises(UserError, match="damaged state"):
        train(tmp_path / "run")
    assert not (tmp_path / "made").exists()


def test_folder_follows_everything_that_determines_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.write_text("a")

    def folder(**determines: Any) -> Path:
        return scratch_folder(str(tmp_path), "run", **determines)

    base = folder(parameters={"lr": 1}, data=data)
    assert base == folder(data=data, parameters={"lr": 1})
    assert base != folder(parameters={"lr": 2}, data=data)
    monkeypatch.setattr(torch, "__version__", "2.0.0")
    assert base != folder(parameters={"lr": 1}, data=data)
    monkeypatch.undo()
    data.write_text("b")
    assert base != folder(parameters={"lr": 1}, data=data)


def test_the_history_is_what_pandas_writes_and_reads() -> None:
    """Which takes half a second to import, in every stage."""
    rows = [
        {"epoch": 1, "loss": 1.4780014233711438, "knn": None},
        {"epoch": 2, "loss": 1e-09, "knn": 73.55000000000001, "note": 'a, "b"'},
    ]
    frame = pandas.DataFrame(rows)
    assert comma_separated(rows) == frame.to_csv(index=False)
    pandas.testing.assert_frame_equal(pandas.read_csv(io.StringIO(comma_separated(rows))), frame)
    assert comma_separated(rows[:1]) == "epoch,loss,knn\n1,1.4780014233711438,\n"
