"""An ablation's settings: those of params.yaml but for what its name says."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tiny import EMBEDDED, PROJECT, merge, settings

from nat.check import check_members
from nat.runtime.errors import UserError
from nat.runtime.settings.load import check_params, overridden
from nat.runtime.settings.params import Params


@pytest.fixture
def params() -> Params:
    return Params.model_validate(settings())


def differences(one: dict[str, Any], other: dict[str, Any], above: str = "") -> dict[str, Any]:
    """The other's settings that differ, by their names."""
    found: dict[str, Any] = {}
    for name in one.keys() | other.keys():
        if isinstance(one.get(name), dict) and isinstance(other.get(name), dict):
            found |= differences(one[name], other[name], f"{above}{name}.")
        elif one.get(name) != other.get(name):
            found[f"{above}{name}"] = other.get(name)
    return found


@pytest.mark.parametrize(
    ("override", "changes"),
    [
        ("", {}),
        ("permute_every=1", {"permute_every": 1}),
        ("permute_every=never", {"permute_every": "never"}),
        ("target_type=onehot,targets.k=10", {"target_type": "onehot", "targets.k": 10}),
        ("targets.mixture.spread=0.25", {"targets.mixture.spread": 0.25}),
        ("model.preprocessing=high-pass", {"model.preprocessing": "high-pass"}),
        ("baselines.labels.loss=square", {"baselines.labels.loss": "square"}),
        ("augment.flip=false", {"augment.flip": False}),
        ("pretrain.weight_decay=1.0e-05", {"pretrain.weight_decay": 1e-5}),
        ("images.train=null", {"images.train": None}),
        ("permute_every=1,permute_every=2", {"permute_every": 2}),
    ],
)
def test_changes_what_it_names_and_nothing_else(
    override: str, changes: dict[str, Any], params: Params
) -> None:
    before = params.model_dump()
    varied = overridden(params, override)
    assert differences(before, varied.model_dump()) == changes
    assert params.model_dump() == before


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("speed=1", "p.yaml: speed=1 speed: no such setting in the parameter file"),
        (
            "permute_every=1,pretrain.speed=3",
            "p.yaml: permute_every=1,pretrain.speed=3 pretrain.speed: no such setting",
        ),
        ("permute_every.x=1", "p.yaml: permute_every.x=1 permute_every.x: no such setting"),
        ("permute_every=0", "p.yaml: permute_every=0: permute_every: should be greater than 0"),
        ("alignment=best", "p.yaml: alignment=best: alignment: unknown name 'best'; known: exact"),
        ("model.hidden=1.5", "model.hidden: should be a valid integer (got 1.5)"),
        ("pretrain=3", "pretrain: should be a valid dictionary"),
        ("target_type=onehot,targets.k=1000", "targets.k: 1000 is larger than images.train 96"),
        ("permute_every", "--override 'permute_every' is not NAME=VALUE"),
        ("permute_every=", "--override 'permute_every=' is not NAME=VALUE"),
        ("permute_every=1,", "--override 'permute_every=1,' is not NAME=VALUE"),
        ("permute_every=1 ", "--override 'permute_every=1 ' is not NAME=VALUE"),
        ("seeds=[0]", "--override 'seeds=[0]' is not NAME=VALUE"),
        ("machine.data=../x", "--override 'machine.data=../x' is not NAME=VALUE"),
    ],
)
def test_a_wrong_one_is_refused_by_name(override: str, said: str, params: Params) -> None:
    with pytest.raises(UserError) as caught:
        overridden(params, override, Path("p.yaml"))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("profile", ["embedded", "cifar10", "imagenet"])
def test_every_override_of_a_profile_changes_what_it_names(profile: str) -> None:
    content = YAML(typ="safe").load(EMBEDDED.read_text())
    if profile != "embedded":  # of which the others are changes
        merge(content, YAML(typ="safe").load((PROJECT / f"profiles/{profile}.yaml").read_text()))
    params = check_params(content, profile)
    check_members(params, profile)
    before = params.model_dump()
    for override in [*params.ablations.nat, *params.ablations.labels]:
        named = {pair.partition("=")[0] for pair in override.split(",")}
        changed = differences(before, overridden(params, override).model_dump())
        assert changed, override  # else it is the method's own, trained twice
        assert changed.keys() <= named
