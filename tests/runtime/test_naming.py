"""What belongs to a training is found by its name, and two trainings share nothing by accident."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tiny import EMBEDDED, PROJECT

from nat.runtime.naming import PROPOSALS, Name
from nat.runtime.settings.load import load_params


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (Name(), "nat-0"),
        (Name("labels", seed=3), "labels-3"),
        (Name("nat", "permute_every=1", 0), "nat,permute_every=1-0"),
        (
            Name("nat", "target_type=onehot,targets.k=10", 2),
            "nat,target_type=onehot,targets.k=10-2",
        ),
    ],
)
def test_a_name_is_method_override_and_seed(name: Name, text: str) -> None:
    assert str(name) == text
    assert name.network == Path("artifacts/networks", text)
    assert name.detections == Path("artifacts/detections", text)
    assert name.result("train") == Path("artifacts/results/train", f"{text}.json")
    assert name.result("finetune-all") == Path("artifacts/results/finetune-all", f"{text}.json")


def test_targets_and_images_shown_are_a_seed_s() -> None:
    names = [Name("nat", seed=4), Name("labels", seed=4), Name("nat", "permute_every=1", 4)]
    assert {name.targets for name in names} == {Path("artifacts/targets/4.npy")}
    assert {name.illustrations for name in names} == {Path("artifacts/results/illustrate/4")}


def test_every_training_of_the_pipeline_has_files_of_its_own() -> None:
    params = load_params(EMBEDDED)
    trainings = [(method, "") for method in params.methods]
    trainings += [("nat", override) for override in params.ablations.nat]
    trainings += [("labels", override) for override in params.ablations.labels]
    names = [Name(method, override, seed) for method, override in trainings for seed in (0, 1)]
    assert len(names) > 30
    for paths in (
        [name.network for name in names],
        [name.detections for name in names],
        [name.result("train") for name in names],
    ):
        assert len(set(paths)) == len(names)
        assert len({path.parent for path in paths}) == 1  # no override makes a folder


SEED, METHOD, OVERRIDE = "${item.seed}", "${item.method}", "${item.override}"
NAT, ANY = Name("nat", "", SEED), Name(METHOD, "", SEED)  # type: ignore[arg-type]
VARIED, LABELLED = (Name(method, OVERRIDE, SEED) for method in ("nat", "labels"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("file", "stage", "paths"),
    [
        ("dvc.yaml", "targets", [NAT.targets]),
        ("dvc.yaml", "pretrain", [NAT.network, NAT.result("train")]),
        ("dvc.yaml", "train", [ANY.network, ANY.result("train")]),
        ("dvc.yaml", "probe", [ANY.result("probe")]),
        ("dvc.yaml", "fisher", [Name("sift_fisher", "", SEED).result("probe")]),  # type: ignore[arg-type]
        ("dvc.yaml", "finetune", [ANY.result("finetune-${item.layers}")]),
        ("dvc.yaml", "proposals", [PROPOSALS]),
        ("dvc.yaml", "detect", [ANY.detections, ANY.result("detect")]),
        ("dvc.yaml", "illustrate", [NAT.illustrations]),
        ("stages/ablations/dvc.yaml", "pretrain", [VARIED.network, VARIED.result("train")]),
        ("stages/ablations/dvc.yaml", "probe", [VARIED.result("probe")]),
        ("stages/ablations/dvc.yaml", "labels", [LABELLED.network, LABELLED.result("train")]),
    ],
)
def test_the_pipeline_keeps_what_commands_write_by_themselves(
    file: str, stage: str, paths: list[Path]
) -> None:
    outs = YAML(typ="safe").load((PROJECT / file).read_text())["stages"][stage]["outs"]
    found = [next(iter(out)) if isinstance(out, dict) else out for out in outs]
    assert found == [str(path) for path in paths]
