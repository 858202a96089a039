"""The order of stages: what they need first, the first methods before all else, the report last."""

import subprocess
import sys
from pathlib import Path

import pytest
from dvc.dependency import param
from dvc.fs import localfs
from pipeline import copy_project
from ruamel.yaml import YAML
from tiny import settings

from nat.lanes.plan import Plan, _read_parameters_once
from nat.lanes.quick import table


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = copy_project(tmp_path / "project", tmp_path, tmp_path)
    words = [sys.executable, "-m", "dvc", "config", "--local", "core.no_scm", "true"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    monkeypatch.chdir(folder)
    return folder


def test_the_first_methods_come_first_and_the_report_last(project: Path) -> None:
    methods = ["nat", "labels", "other", "random"]
    compared = {"methods": methods, "compared": methods[1:], "seeds": [0, 7]}
    YAML().dump(settings(**compared), project / "params.yaml")
    order = Plan(methods).order
    assert order[0] == "check"
    assert order[-1] == "report"
    place = {name: order.index(name) for name in order}
    first = [f"{kind}@{method}-{end}" for method in ("nat", "labels", "random")
             for kind, ends in (("probe", "07"), ("detect", "07")) for end in ends]  # fmt: skip
    first += [f"finetune@random-{layers}-7" for layers in ("fc6-8", "all")]
    ablations = [place[name] for name in order if name.startswith("stages/ablations")]
    others = [place[name] for name in order if "@other-" in name]
    assert max(place[name] for name in first) < min(ablations)
    assert max(ablations) < min(others)
    assert place["probe@nat-0"] < place["probe@labels-0"] < place["probe@random-0"]
    plan = Plan(methods)
    assert set(first) < plan.first
    assert {"illustrate@0", "check", "images", "pretrain@0"} < plan.first
    assert not [name for name in plan.first if "ablations" in name or "other" in name]


def test_a_stage_comes_after_what_it_needs(project: Path) -> None:
    plan = Plan(["random", "labels", "nat"])
    for name, needs in plan._needs.items():
        assert all(plan.order.index(other) < plan.order.index(name) for other in needs)


def test_parameters_are_read_again_when_they_have_changed(tmp_path: Path) -> None:
    """While lanes run, somebody may edit them."""
    path = tmp_path / "params.yaml"
    _read_parameters_once()
    for content in ({"a": 1}, {"a": 22}):
        YAML().dump(content, path)
        assert param.load_path(str(path), localfs) == content
        assert param.load_path(str(path), localfs) is param.load_path(str(path), localfs)


@pytest.mark.parametrize(
    ("nat", "random", "told"),
    [(78.62, 76.52, "NAT is 2.10 above Random."), (70.0, 76.5, "NAT is 6.50 below Random."),
     (76.5, 76.5, "NAT is as good as Random.")],
)  # fmt: skip
def test_a_quick_look_says_which_is_better(nat: float, random: float, told: str) -> None:
    rest = {"linear": 75.0, "knn": 74.4}
    head, first, second, last = table(
        {"nat": {"mlp": nat, **rest}, "random": {"mlp": random, **rest}}
    )
    assert head.split() == ["accuracy,", "%", "MLP", "linear", "kNN"]
    assert first.split()[-3:] == [f"{nat:.2f}", "75.00", "74.40"]
    assert len(first) == len(second) == len(head)
    assert last.endswith(told)
