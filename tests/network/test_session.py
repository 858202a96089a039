"""What surrounds a training: resumption, divergence, its result, and when its state is removed."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch
from ruamel.yaml import YAML
from safetensors.torch import save
from tiny import PROJECT
from torch import nn

import nat.network.session as module
from nat.network import optimizer
from nat.network.model import initialise
from nat.network.session import Epoch, Session
from nat.runtime import code
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.progress import duration
from nat.runtime.settings.load import load_params
from nat.runtime.settings.params import Params

NAME = Name("labels", "model.hidden=8", 3)
EPOCHS, STEPS, USED = 4, 3, {"probe": {"lr": 0.1}}
DATA = {"data": "made-up", "store": "made-up-1", "images": {"train": 24}}


def train(params: Params, folder: Path, at: Callable[[str], None] = lambda _: None) -> None:
    """A small training, which says where it is at each step; weights and result in a folder."""
    with Session(params, NAME, "probe", USED, folder / "result.json") as session:
        network = nn.Sequential(nn.Linear(5, 8), nn.Dropout(0.5), nn.Linear(8, 1))
        initialise(network, session.generator("weights"))
        optimizer = torch.optim.SGD(network.parameters(), 0.01, momentum=0.9)
        order = torch.arange(24)
        for epoch in session.epochs(
            network, optimizer, EPOCHS, {"probe.lr": 0.01}, "start.file", order=order
        ):
            draws = session.generator("data", epoch.number)
            batches = torch.randn(STEPS, 8, 5, generator=draws)
            order.copy_(order[torch.randperm(24, generator=draws)])
            for t, batch in epoch.batches(zip(batches, strict=True), STEPS):
                at(f"step {t}")
                loss = (network(batch).flatten() - order[:8] / 24).square().sum()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                epoch.add(loss)
            session.log(epoch=epoch.number + 1, loss=epoch.loss() / STEPS, first=int(order[0]))
        at("trained")
        folder.joinpath("weights").write_bytes(save(network.state_dict()))
        assert session.run is not None
        measured = {"loss": session.run.history[-1]["loss"]}
        session.write(measured, DATA, rows={"history": session.run.history})
        at("written")


def written(folder: Path) -> tuple[bytes, dict[str, Any]]:
    """Weights and result without the time that it took."""
    content = json.loads((folder / "result.json").read_text())
    assert content["provenance"].pop("seconds") >= 0
    return (folder / "weights").read_bytes(), content


def states(params: Params) -> list[Path]:
    return sorted(Path(params.machine.scratch).glob("*/state.pt"))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Folders to train in."""
    found = tmp_path / "whole", tmp_path / "killed"
    for folder in found:
        folder.mkdir()
    return found


def test_a_result_tells_whose_it_is_and_how_it_went(
    make_params: Any, folders: tuple[Path, Path]
) -> None:
    params, places = make_params(), []
    train(params, folders[0], places.append)
    assert places == [*(f"step {t}" for t in range(EPOCHS * STEPS)), "trained", "written"]
    _, content = written(folders[0])
    assert (content["stage"], content["method"]) == ("probe", "labels")
    assert (content["override"], content["seed"]) == ("model.hidden=8", 3)
    assert [row["epoch"] for row in content["history"]] == [1, 2, 3, 4]
    assert content["measured"] == {"loss": content["history"][-1]["loss"]}
    where = content["provenance"]
    assert where["parameters"] == {"precision": "float32", **USED}
    assert {key: where[key] for key in (*DATA, "seed")} == {**DATA, "seed": 3}
    assert not list(Path(params.machine.scratch).iterdir())


def test_without_a_terminal_every_epoch_is_a_line(
    make_params: Any, folders: tuple[Path, Path], capsys: pytest.CaptureFixture
) -> None:
    params, (whole, stopped) = make_params(), folders
    train(params, whole)
    out, err = capsys.readouterr()
    line = r"probe {}/4: loss \d+\.\d{{4}}, [\d,]+ images/s, \d+ s left"
    for number, told in enumerate(err.splitlines(), start=1):
        assert re.fullmatch(line.format(number), told), told
    assert number == EPOCHS
    result = rf"probe labels,model\.hidden=8-3: loss [\d.e-]+; \d+ s; {whole}/result\.json\n"
    assert re.fullmatch(result, out), out

    class Stop(Exception):
        pass

    def at(place: str) -> None:
        if place == f"step {2 * STEPS + 1}":
            (folder,) = Path(params.machine.scratch).glob("*/")
            rows = pandas.read_csv(folder / "history.csv")
            assert (list(rows), len(rows)) == (["epoch", "loss", "first"], 2)
            raise Stop

    with pytest.raises(Stop):
        train(params, stopped, at)
    capsys.readouterr()
    train(params, stopped)
    first, *others = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"(probe-3-[0-9a-f]+): resuming at epoch 3 \(state: .+/\1\)", first)
    assert len(others) == EPOCHS - 2


def test_on_a_terminal_bars_show_instead(
    make_params: Any,
    folders: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    monkeypatch.setattr(module, "attended", lambda: True)
    train(make_params(), folders[0])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.4, "0 s"), (99.4, "99 s"), (100, "2 min"), (5999, "100 min"), (6000, "1.7 h")],
)
def test_durations(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_the_seed_fixes_what_layers_draw(make_params: Any, folders: tuple[Path, Path]) -> None:
    for number, folder in enumerate(folders):
        torch.manual_seed(number)  # whatever was drawn before
        train(make_params(), folder)
    assert written(folders[0]) == written(folders[1])


@pytest.mark.parametrize("place", ["step 1", "step 7", "step 9", "trained", "written"])
def test_killed_at_any_place_it_ends_in_the_same_bytes(
    place: str, make_params: Any, folders: tuple[Path, Path], tmp_path: Path
) -> None:
    """A real process, really killed, there; a finished epoch is not trained again."""
    params, (whole, killed) = make_params(), folders
    YAML().dump(params.model_dump(), tmp_path / "params.yaml")
    train(params, whole)
    ended = subprocess.run(
        [sys.executable, __file__, str(tmp_path / "params.yaml"), str(killed), place],
        cwd=PROJECT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT), str(PROJECT / "tests")])},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert (killed / "result.json").exists() == (place == "written")
    # not before the result is written and the session left
    assert len(states(params)) == (place != "step 1")
    places: list[str] = []
    train(params, killed, places.append)
    word, _, number = place.partition(" ")
    done = int(number) // STEPS if word == "step" else EPOCHS
    assert places[:-2] == [f"step {t}" for t in range(done * STEPS, EPOCHS * STEPS)]
    assert written(killed) == written(whole)
    assert not list(Path(params.machine.scratch).iterdir())


def test_the_state_stays_until_the_result_is_written(
    make_params: Any, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    params, seen = make_params(), []
    original = module.write_result

    def full(*words: Any, **rows: Any) -> None:
        seen.append(len(states(params)))
        raise UserError("result.json: No space left on device")

    def notes(*words: Any, **rows: Any) -> None:
        seen.append(len(states(params)))
        original(*words, **rows)

    monkeypatch.setattr(module, "write_result", full)
    with pytest.raises(UserError, match="No space left"):
        train(params, folders[0])
    assert len(states(params)) == 1
    monkeypatch.setattr(module, "write_result", notes)
    places: list[str] = []
    train(params, folders[0], places.append)
    assert places == ["trained", "written"]
    assert seen == [1, 1]
    assert not states(params)


def test_a_result_that_cannot_be_written_is_told_before_the_work(
    make_params: Any, folders: tuple[Path, Path]
) -> None:
    (folders[0] / "result.json").write_text("my notes")
    with pytest.raises(UserError, match=r"result\.json: .* a result of the stage probe"):
        train(make_params(), folders[0], lambda place: pytest.fail(place))
    assert (folders[0] / "result.json").read_text() == "my notes"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (0, r"^start\.file: the loss is nan before any step"),
        (1, r"^probe\.lr: the loss is nan \(epoch 1, step 2; probe\.lr 0\.01\): .* a smaller"),
        (7, r"^probe\.lr: the loss is nan \(epoch 3, step 2; probe\.lr 0\.01\): .* a smaller"),
    ],
)
def test_divergence_is_named_and_the_epochs_before_are_kept(
    step: int, said: str, make_params: Any, folders: tuple[Path, Path], monkeypatch: Any
) -> None:
    params, (whole, stopped) = make_params(), folders
    train(params, whole)
    calls, add = iter(range(EPOCHS * STEPS)), Epoch.add
    monkeypatch.setattr(optimizer, "INTERVAL", 1)  # look in every step on a GPU too
    with monkeypatch.context() as patch:
        patch.setattr(
            Epoch, "add", lambda e, x: add(e, x * float("nan") if next(calls) == step else x)
        )
        with pytest.raises(UserError, match=said):
            train(params, stopped)
    assert not list(stopped.iterdir())
    assert len(states(params)) == (step >= STEPS)
    train(params, stopped)  # from the state before
    assert written(stopped) == written(whole)


def test_a_method_ends_a_training_where_it_is(
    make_params: Any, folders: tuple[Path, Path], monkeypatch: Any
) -> None:
    calls, add = iter(range(EPOCHS * STEPS)), Epoch.add

    def fails(epoch: Epoch, loss: torch.Tensor) -> None:
        add(epoch, loss)
        if next(calls) == 5:
            epoch.fail("the features are no longer finite")

    monkeypatch.setattr(Epoch, "add", fails)
    with pytest.raises(
        UserError, match=r"^probe\.lr: the features are no .*\(epoch 2, step 3; probe\.lr 0\.01\)"
    ):
        train(make_params(), folders[0])


def begin(
    sessions: list[Session], params: Params, name: Name, stage: str, used: Any, **inputs: Any
) -> None:
    """Be interrupted after the first of two epochs."""
    layer = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    out = Path(params.machine.scratch).with_name("r.json")
    with Session(params, name, stage, used, out, **inputs) as session:
        sessions.append(session)
        for epoch in session.epochs(layer, optimizer, 2, {"x.lr": 0.1}, "file"):
            if epoch.number:
                raise InterruptedError


def state_of(
    params: Params, name: Name = NAME, stage: str = "probe", used: Any = USED, **inputs: Any
) -> Path:
    """Where the session of these keeps its state."""
    sessions: list[Session] = []
    with pytest.raises(InterruptedError):
        begin(sessions, params, name, stage, used, **inputs)
    return sessions[0].state


def test_another_training_never_resumes_from_this_one_s_state(
    make_params: Any, tmp_path: Path
) -> None:
    params, data = make_params(), tmp_path / "data.json"
    data.write_text("a")
    base = state_of(params, manifest=data)
    assert base.name.startswith("probe-3-")
    assert state_of(params, manifest=data) == base
    elsewhere = make_params(machine={"data": str(tmp_path)})  # which decides no result
    assert state_of(elsewhere, manifest=data) == base
    others = [
        state_of(params, Name("labels", NAME.override, 4), manifest=data),
        state_of(params, used={"probe": {"lr": 0.2}}, manifest=data),
        state_of(params, stage="detect", manifest=data),
        state_of(params, manifest=data, network="x"),
    ]
    data.write_text("b")
    others.append(state_of(params, manifest=data))
    assert len({base, *others}) == 6


def test_code_that_decides_the_result_keys_the_state_and_no_other(
    make_params: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = make_params()
    package = tmp_path / "nat"
    for file in (PROJECT / "nat").rglob("*.py"):
        copy = package / file.relative_to(PROJECT / "nat")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    base = state_of(params)
    monkeypatch.setattr(code, "PACKAGE", package)
    assert state_of(params) == base

    def edited(name: str) -> bool:
        file = package / name
        content = file.read_bytes()
        file.write_bytes(content + b"\n")
        try:
            return state_of(params) != base
        finally:
            file.write_bytes(content)

    assert edited("probe.py")
    assert edited("network/model.py")
    assert edited("data/augment.py")
    for name in ("runtime/device.py", "methods/nat.py", "report/__init__.py", "cli.py"):
        assert not edited(name)


def test_several_trainings_of_a_session_keep_their_states_until_its_end(
    make_params: Any, tmp_path: Path
) -> None:
    params, out = make_params(), tmp_path / "r.json"
    counts = []
    with Session(params, NAME, "probe", USED, out) as session:
        for number in range(3):
            layer = nn.Linear(1, 1)
            optimizer = torch.optim.SGD(layer.parameters(), 0.1)
            for _ in session.epochs(
                layer, optimizer, 1, {"x.lr": 0.1}, "file", inputs={"network": str(number)}
            ):
                session.log(number=number)
            assert session.run is not None
            assert session.run.history == [{"number": number}]
            counts.append(len(states(params)))
        session.write({}, DATA)
        counts.append(len(states(params)))
    assert counts == [1, 2, 3, 3]
    assert not list(Path(params.machine.scratch).iterdir())


def test_layers_are_in_training_mode_in_every_epoch(make_params: Any, tmp_path: Path) -> None:
    layer = nn.Dropout(0.5)
    parameter = nn.Parameter(torch.zeros(1))
    layer.register_parameter("weight", parameter)
    optimizer = torch.optim.SGD([parameter], 0.1)
    modes, draws = [], []
    with Session(make_params(), NAME, "probe", USED, tmp_path / "r.json") as session:
        for _ in session.epochs(layer, optimizer, 2, {"x.lr": 0.1}, "file"):
            modes.append(layer.training)
            draws.append(layer(torch.ones(64)))
            layer.eval()  # as a look at the accuracy would
    assert modes == [True, True]
    assert not torch.equal(*draws)


if __name__ == "__main__":
    FILE, FOLDER, PLACE = sys.argv[1:]

    def die(place: str) -> None:
        """End without a chance to tidy up."""
        if place == PLACE:
            os.kill(os.getpid(), signal.SIGKILL)

    train(load_params(FILE), Path(FOLDER), die)
