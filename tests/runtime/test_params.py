from pathlib import Path

import pytest
from tiny import EMBEDDED as FILE

from nat.check import check_members
from nat.runtime.errors import UserError
from nat.runtime.settings.families import members
from nat.runtime.settings.load import load_params, overridden

KNOWN = ", ".join(members("methods"))


def refused(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        load_params(FILE, overrides)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_projects_file_is_valid() -> None:
    params = load_params(FILE)
    assert params.permute_every == 3
    assert params.target_type == "sphere"


def test_overrides_reach_groups_and_top_level() -> None:
    params = load_params(FILE, ("pretrain.epochs=3", "permute_every=never", "seeds=[4, 2]"))
    assert (params.pretrain.epochs, params.permute_every, params.seeds) == (3, "never", [4, 2])


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("permute_every=0", "permute_every: should be greater than 0 or should be 'never'"),
        ("permute_every=-2", "permute_every: "),
        ("permute_every=often", "permute_every: should be a valid integer or should be 'never'"),
        ("pretrain.lr=0", "pretrain.lr: should be greater than 0 (got 0)"),
        ("pretrain.lr=.nan", "pretrain.lr: should be "),
        ("pretrain.epochs=1.5", "pretrain.epochs: should be a valid integer"),
        ("pretrain.epochs=ten", "pretrain.epochs: should be a valid integer"),
        ("pretrain.batch_size=-4", "pretrain.batch_size: "),
        ("augment.flip=3", "augment.flip: should be a valid boolean"),
        ("target_type=cube", "target_type: unknown name 'cube'; known: lowdiscrepancy, mixture,"),
        ("target_type=3", "target_type: should be a valid string (got 3)"),
        ("alignment=best", "alignment: unknown name 'best'; known: exact, greedy, lapx, sinkhorn"),
        ("alignment=__init__", "alignment: unknown name '__init__'"),
        ("model.preprocessing=canny", "model.preprocessing: should be 'sobel', 'high-pass' or"),
        ("pretrain.matching=all", "pretrain.matching: should be 'local' or 'global'"),
        ("ablations.nat=[a=1, a=1]", "ablations.nat: 'a=1' is named twice; name each once"),
        ("ablations.nat=[]", "ablations.nat: empty; name at least one"),
        ("ablations.nat=[permute_every]", "ablations.nat.0: 'permute_every' is not NAME=VALUE"),
        (
            "ablations.labels=['model.hidden=16,,']",
            "ablations.labels.0: 'model.hidden=16,,' is not",
        ),
        ("ablations.nat=[seeds=1]", "ablations.nat.0: seeds is no setting to compare"),
        ("compared=[nat]", "compared: nat is what the others are compared with; leave it out"),
        ("compared=[labels]", "methods: random is not trained; add it to compared"),
        ("methods=[cube]", f"methods.0: unknown name 'cube'; known: {KNOWN}"),
        ("baselines.cube={}", "--set baselines.cube: no such setting in the parameter file"),
        ("baselines={cube: {}}", f"baselines: unknown name 'cube'; known: {KNOWN}"),
        ("targets.mixtures={}", "--set targets.mixtures: no such setting"),
        ("seeds=[]", "seeds: empty; name at least one"),
        ("seeds=[1, 1]", "seeds: 1 is named twice; name each once"),
        ("seeds=[-1]", "seeds.0: "),
        ("augment.crop=40", "augment.crop: 40 is larger than images.size 36"),
        ("images.source=folder", "images: source is folder, so folder must name it"),
        ("detect.regions=257", "detect: regions must be a multiple of images"),
        ("detect.background_iou=[0.5, 0.1]", "detect: background_iou must be [least, less than]"),
        ("detect.background_iou=[0.1, 0.6]", "detect: background_iou must be [least, less than]"),
        ("detect.short_sides=[]", "detect.short_sides: "),
        ("detect.lr_drop_at=[0]", "detect.lr_drop_at.0: should be greater than 0"),
        ("images.source=imagenet", "images: source is imagenet, so folder must name it"),
        (
            "images.source=cifar",
            "images.source: unknown name 'cifar'; known: cifar10, fashion_mnist, ",
        ),
        ("images.corrupt_limit=-1", "images.corrupt_limit: "),
        ("machine.device=tpu", "machine.device: "),
        ("pretrain.lr=1e308", "pretrain.lr: should be less than or equal to 1000000"),
        ("pretrain.epochs=1000000000", "pretrain.epochs: should be less than or equal to 1000000"),
        ("model.hidden=70000", "model.hidden: should be less than or equal to 65536"),
        ("targets.dimension=100000000", "targets.dimension: should be less than or equal to 65536"),
        ("machine.threads=100000", "machine.threads: should be less than or equal to 1000"),
        ("images.size=1000000", "images.size: should be less than or equal to 4096"),
        ("machine.data=''", "machine.data: empty; name a folder"),
        ("machine.scratch='  '", "machine.scratch: empty; name a folder"),
        ("images.folder=''", "images.folder: empty; name a folder"),
        ("machine.scratch=$NAT_NOT_SET/nat", "machine.scratch: $NAT_NOT_SET is not set here"),
        ("voc.folder=${NAT_NOT_SET}", "voc.folder: $NAT_NOT_SET is not set here"),
        ("proposals.test=$NAT_EMPTY/x", "proposals.test: $NAT_EMPTY is not set here"),
        ("machine.data=~nobodyhere/x", "machine.data: ~nobodyhere/x: there is no such user"),
        ('machine.data="a\\0b"', "machine.data: holds a zero byte"),
        ("launcher=' '", "launcher: "),
        ("pretrain.speed=3", "--set pretrain.speed: no such setting"),
        ("speed", "--set speed: should be NAME=VALUE"),
        ("pretrain=3", "pretrain: "),
    ],
)
def test_a_wrong_value_is_named(override: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAT_EMPTY", "")
    assert said in refused(override)


def test_places_may_name_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAT_DISK", "/disk/a b")
    params = load_params(
        FILE,
        (
            "machine.scratch=$NAT_DISK/nat",
            "machine.data=/x/${NAT_DISK}_data",
            "images.folder=cost$/$1",
            "voc.folder=$NAT_DISK",
            "proposals.trainval=$NAT_DISK/t.mat",
        ),
    )
    assert params.machine.scratch == "/disk/a b/nat"
    assert params.machine.data == "/x//disk/a b_data"
    assert params.images.folder == "cost$/$1"
    assert (params.voc.folder, params.proposals.trainval) == ("/disk/a b", "/disk/a b/t.mat")


def test_an_unknown_setting_lists_the_known(tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(FILE.read_text().replace("permute_every:", "permute_evry:"))
    with pytest.raises(UserError, match=r"permute_every: missing"):
        load_params(file)
    file.write_text(FILE.read_text().replace("\n  epochs: 30", "\n  epochs: 30\n  epoch: 3", 1))
    with pytest.raises(UserError, match=r"pretrain\.epoch: unknown setting; known here: epochs"):
        load_params(file)


def test_discrete_targets_need_an_image_each() -> None:
    message = refused("target_type=onehot", "targets.k=10001")
    assert "targets.k: 10001 is larger than images.train 10000" in message
    mixed = refused("target_type=mixture", "targets.k=10001")
    assert "targets.k: 10001 is larger than images.train 10000" in mixed
    load_params(FILE, ("target_type=lowdiscrepancy", "targets.k=10001"))  # not used


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("permute_every=0", "permute_every=0: permute_every: should be greater than 0"),
        ("target_type=cube", "target_type=cube: target_type: unknown name 'cube'; known: "),
        ("alignment=no", "alignment=no: alignment: unknown name 'no'; known: exact, greedy, "),
        ("target_type=onehot,targets.k=20000", "targets.k: 20000 is larger than images.train"),
        ("targets.kk=1", "targets.kk=1 targets.kk: no such setting in the parameter file"),
        ("target_type=mixture,targets.mixture.spread=-1", "targets.mixture.spread: should be"),
    ],
)
def test_a_wrong_ablation_is_refused_before_anything_runs(override: str, said: str) -> None:
    params = load_params(FILE, (f"ablations.nat=['{override}']",))
    with pytest.raises(UserError) as caught:
        check_members(params, FILE)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("baselines.labels.loss=hinge", "baselines.labels.loss: should be 'softmax' or 'square'"),
        ("baselines.labels={lr: 1}", "baselines.labels.epochs: missing; add it"),
        ("baselines.random={batch: 1}", "baselines.random."),
        ("baselines={random: {batch_size: 8}}", "baselines.autoencoder.epochs: missing; add it"),
    ],
)
def test_a_members_own_wrong_setting_is_refused(override: str, said: str) -> None:
    params = load_params(FILE, (override,))
    with pytest.raises(UserError) as caught:
        check_members(params, FILE)
    assert said in str(caught.value)


def test_an_override_changes_what_it_names() -> None:
    params = load_params(FILE)
    varied = overridden(params, "target_type=onehot,targets.k=10")
    assert (varied.target_type, varied.targets.k) == ("onehot", 10)
    same = {"target_type": params.target_type, "targets": params.targets}
    assert varied.model_copy(update=same) == params
    assert overridden(params, "") == params
    with pytest.raises(UserError, match=r"--override machine\.threads is no setting to compare"):
        overridden(params, "machine.threads=7")


@pytest.mark.parametrize("text", ["a: [", "- 1\n", ""])
def test_a_file_that_is_no_settings_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(UserError, match=r"p\.yaml: "):
        load_params(tmp_path / "p.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="No such file"):
        load_params(tmp_path / "none.yaml")
