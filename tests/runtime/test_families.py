"""A file of one's own beside those of a family: found, checked, used."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tiny import PROJECT, settings

import nat.methods
import nat.targets
from nat.check import check_members
from nat.methods import find_method, train
from nat.network.model import load_network
from nat.runtime import code
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.settings import families
from nat.runtime.settings.families import members
from nat.runtime.settings.load import check_params
from nat.runtime.settings.params import Params
from nat.targets import sample_targets

METHODS = members("methods")
KNOWN = ", ".join(METHODS)
METHOD = '''
"""An untrained network with weights as large as one wishes."""

from nat.methods import TrunkSession
from nat.runtime.settings.params import Group, Positive

LABEL = "Mine"
REFERENCE = "me"


class Settings(Group):
    """How large."""

    scale: Positive


def train(session: TrunkSession, settings: Settings) -> None:
    network = session.network(4)
    for weight in network.parameters():
        weight.data.mul_(settings.scale)
    session.save(network)
'''
TARGETS = '''
"""All targets in one half of the sphere."""

import torch

from nat.runtime.settings.params import Seed, TargetSettings
from nat.targets import Targets


class Settings(TargetSettings):
    """Which coordinate is positive."""

    axis: Seed


def sample(n: int, settings: Settings, draws: torch.Generator) -> Targets:
    rows = torch.randn(n, settings.dimension, generator=draws)
    rows[:, settings.axis].abs_()
    return Targets(rows / rows.norm(dim=1, keepdim=True))
'''
Add = Callable[[str, str], Path]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Add a file ``mine`` to a family of a copy of the package."""
    package = tmp_path / "nat"
    shutil.copytree(PROJECT / "nat", package, ignore=shutil.ignore_patterns("__pycache__"))

    def write(family: str, content: str) -> Path:
        (package / family / "mine.py").write_text(content)
        return package / family / "mine.py"

    for module in (families, code):
        monkeypatch.setattr(module, "PACKAGE", package)
    for family in (nat.methods, nat.targets):
        monkeypatch.setattr(family, "__path__", [str(package / family.__name__.partition(".")[2])])
    yield write
    for family in ("methods", "targets"):
        sys.modules.pop(f"nat.{family}.mine", None)


def params_of(tmp_path: Path, **groups: Any) -> Params:
    """Parameters as the command ``check`` accepts them."""
    machine = {"data": str(tmp_path / "data"), "scratch": str(tmp_path / "scratch")}
    params = check_params(settings(machine=machine, **groups), "params.yaml")
    check_members(params, "params.yaml")
    return params


def with_method(tmp_path: Path, **own: Any) -> Params:
    names = ["random", "mine"]
    return params_of(tmp_path, compared=names, methods=[*names, "nat"], baselines={"mine": own})


def refusal(job: Callable[[], Any]) -> str:
    with pytest.raises(UserError) as caught:
        job()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("family", ["methods", "targets", "alignments", "datasets"])
def test_members_are_the_files_that_are_no_package_s_own(family: str) -> None:
    found = members(family)
    assert found == sorted(found)
    assert not [name for name in found if name.startswith("_")]
    for name in found:
        assert (PROJECT / "nat" / family / f"{name}.py").is_file()


def test_a_method_of_ones_own_is_trained_like_the_others(
    add: Add, manifest: Path, tmp_path: Path
) -> None:
    file = add("methods", METHOD)
    assert members("methods") == sorted([*METHODS, "mine"])
    params = with_method(tmp_path, scale=0.5)
    name, out, result = Name("mine", seed=2), tmp_path / "net", tmp_path / "r.json"
    train(params, name, manifest, out, result)
    train(params, Name("random", seed=2), manifest, tmp_path / "random", tmp_path / "random.json")
    mine, start = (
        load_network(folder / "network.safetensors").trunk.layers.get_parameter("conv1.weight")
        for folder in (out, tmp_path / "random")
    )
    assert mine.equal(start * 0.5)  # the same first weights for every method
    content = json.loads(result.read_text())
    assert (content["stage"], content["method"], content["seed"]) == ("train", "mine", 2)
    assert content["provenance"]["parameters"]["baselines"] == {"mine": {"scale": 0.5}}
    # the state of a training of its own would be keyed by its file
    assert "methods/mine.py" in code.code_of("train", "mine", params)
    checksum = code.code_of("train", "mine", params)["methods/mine.py"]
    file.write_text(METHOD + "\n")
    assert code.code_of("train", "mine", params)["methods/mine.py"] != checksum


@pytest.mark.parametrize("word", ["LABEL", "REFERENCE", "Settings", "train"])
def test_a_method_that_lacks_something_is_refused_before_anything_runs(
    word: str, add: Add, tmp_path: Path
) -> None:
    file = add("methods", re.sub(rf"\b{word}\b", "other", METHOD))
    said = f"{file}: defines no {word}; see nat/methods/__init__.py"
    assert refusal(lambda: find_method("mine")) == said
    assert refusal(lambda: with_method(tmp_path, scale=0.5)) == said


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({}, "baselines.mine.scale: missing; add it"),
        ({"scale": 1, "speed": 3}, "baselines.mine.speed: unknown setting; known here: scale"),
        ({"scale": "wide"}, "baselines.mine.scale: should be a valid number (got 'wide')"),
        ({"scale": 0}, "baselines.mine.scale: should be greater than 0 (got 0)"),
    ],
)
def test_settings_of_ones_own_method_are_checked_by_name(
    own: dict[str, Any], said: str, add: Add, tmp_path: Path
) -> None:
    add("methods", METHOD)
    assert refusal(lambda: with_method(tmp_path, **own)) == f"params.yaml: {said}"


def test_targets_of_ones_own_have_settings_of_their_own(add: Add, tmp_path: Path) -> None:
    add("targets", TARGETS)
    for axis in (0, 3):
        params = params_of(tmp_path, target_type="mine", targets={"mine": {"axis": axis}})
        rows = sample_targets("mine", 50, params.targets, seed=0).array
        assert rows.shape == (50, 8)
        assert (rows.min(0).values >= 0).tolist() == [column == axis for column in range(8)]


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({}, "targets.mine.axis: missing; add it"),
        ({"axis": -1}, "targets.mine.axis: should be greater than or equal to 0 (got -1)"),
        (
            {"axis": 1, "speed": 3},
            "targets.mine.speed: unknown setting; known here: dimension, k, precision, axis",
        ),
    ],
)
@pytest.mark.parametrize("used", ["plain", "ablation"])
def test_settings_of_ones_own_targets_are_checked_by_name(
    own: dict[str, Any], said: str, used: str, add: Add, tmp_path: Path
) -> None:
    add("targets", TARGETS)
    how: dict[str, Any] = {"target_type": "mine"}
    if used == "ablation":
        how = {"ablations": {"nat": ["permute_every=1", "target_type=mine"]}}
    assert refusal(lambda: params_of(tmp_path, targets={"mine": own}, **how)) == (
        f"params.yaml: {said}"
    )


def test_targets_without_a_way_to_sample_are_refused(add: Add, tmp_path: Path) -> None:
    file = add("targets", TARGETS.replace("def sample(", "def draw("))
    for how in ({"target_type": "mine"}, {"ablations": {"nat": ["target_type=mine"]}}):
        said = refusal(lambda how=how: params_of(tmp_path, targets={"mine": {"axis": 0}}, **how))
        assert said == f"{file}: defines no sample; see nat/targets/__init__.py"


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ({"baselines": {"mine": {}}}, f"baselines: unknown name 'mine'; known: {KNOWN}"),
        ({"baselines": {"labels": 3}}, "baselines.labels: should be a valid dictionary (got 3)"),
        ({"baselines": {"nat": {}}}, "baselines.nat: its settings are those of pretrain"),
        ({"targets": {"mixture": 3}}, "targets.mixture: should be a valid dictionary (got 3)"),
        ({"targets": {"spread": 0.5}}, "targets: unknown name 'spread'; known: lowdiscrepancy, "),
        ({"compared": ["mine"]}, f"compared.0: unknown name 'mine'; known: {KNOWN}"),
    ],
)
def test_groups_of_files_that_are_not_there_are_refused(
    groups: dict[str, Any], said: str, tmp_path: Path
) -> None:
    assert refusal(lambda: params_of(tmp_path, **groups)).startswith(f"params.yaml: {said}")


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (
            {"compared": ["random"], "methods": ["nat"], "baselines": {"labels": {"lr": -1}}},
            "baselines.labels.lr: should be greater than 0 (got -1)",
        ),
        (
            {"ablations": {"nat": ["alignment=greedy"]}, "targets": {"mixture": {"speed": 3}}},
            "targets.mixture.speed: unknown setting; known here: dimension, k, precision, spread",
        ),
        (
            {"ablations": {"nat": ["targets.mixture.spread=-1"]}},
            "targets.mixture.spread: should be greater than or equal to 0 (got -1)",
        ),
        (
            {"ablations": {"labels": ["baselines.labels.loss=hinge"]}},
            "baselines.labels.loss: should be 'softmax' or 'square' (got 'hinge')",
        ),
        ({"targets": {"sphere": {"x": 1}}}, "targets.sphere.x: unknown setting; known here: "),
    ],
)
def test_groups_that_nothing_uses_now_are_checked_too(
    groups: dict[str, Any], said: str, tmp_path: Path
) -> None:
    assert refusal(lambda: params_of(tmp_path, **groups)).startswith(f"params.yaml: {said}")


def test_the_command_offers_a_method_of_ones_own(tmp_path: Path) -> None:
    """From a copy of the project's package, as an experiment's is."""
    shutil.copytree(PROJECT / "nat", tmp_path / "nat")
    (tmp_path / "nat/methods/mine.py").write_text(METHOD.replace("LABEL =", "x ="))
    content = settings(compared=["mine"], methods=["mine", "nat"], baselines={"mine": {"scale": 2}})
    YAML().dump(content, tmp_path / "params.yaml")

    def nat_(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "nat", *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
        )

    refused = nat_("check")
    file = tmp_path / "nat/methods/mine.py"
    said = f"error: {file}: defines no LABEL; see nat/methods/__init__.py\n"
    assert (refused.returncode, refused.stderr) == (1, said)
    assert not (tmp_path / "data/checked").exists()
    file.write_text(METHOD)
    assert nat_("check").returncode == 0
    assert (tmp_path / "data/checked").exists()
    for command in ("train", "probe"):
        assert "'mine'" in nat_(command, "cube").stderr
