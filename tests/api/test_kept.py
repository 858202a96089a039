"""What a stage keeps measures what the stage did, loaded anew."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import write_image_folder
from networks import network_file
from safetensors.torch import load_file, safe_open, save_file

import nat
from nat.api.kept import Kept, KeptClassifier, KeptDetector, KeptProbe
from nat.data.augment import fixed_crops
from nat.data.seeds import generator
from nat.data.store import Store
from nat.probe import probe
from nat.runtime.distributed import Distributed
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.settings.params import Params
from nat.voc.classification import finetune as classification
from nat.voc.classification.average_precision import mean_average_precision
from nat.voc.data.devkit import jpeg
from nat.voc.data.manifest import open_voc
from nat.voc.data.proposals import load_proposals
from nat.voc.detection.detect import detect
from nat.voc.detection.results import read_results
from nat.voc.proposals.prepare import prepare_proposals

LEARNING = {"lr": 0.02, "iterations": 8, "mean_detections": None}  # the only limit of a whole set
TRUNKS = ("small", "small-dense")
HERE = Distributed(torch.device("cpu"))


def measured(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())["measured"]


def loaded(folder: Path, stage: str) -> Kept:
    """The one that a stage has kept."""
    (file,) = (folder / "kept" / stage).iterdir()
    assert file.name.startswith("nat-3-")
    module = nat.load_kept(file)
    assert not module.training
    return module


def about(file: Path) -> dict[str, Any]:
    with safe_open(file, "pt") as content:
        return json.loads(content.metadata()["kept"])


@pytest.fixture
def keeping(make_params: Any, tmp_path: Path) -> Any:
    """Parameters by which stages keep what they train."""

    def make(**groups: Any) -> Params:
        return make_params(machine={"keep": str(tmp_path / "kept")}, **groups)

    return make


@pytest.mark.parametrize("trunk", TRUNKS)
def test_a_probe(trunk: str, keeping: Any, manifest: Path, tmp_path: Path) -> None:
    params = keeping(probe={"crops": 1, "epochs": 6})
    network = network_file(tmp_path, trunk=trunk)
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    shutil.copy(network, checkpoints / "epoch-0001.safetensors")
    probe(params, Name(seed=3), manifest, network, checkpoints, tmp_path / "p.json")
    module = loaded(tmp_path, "probe")  # of the network alone
    assert isinstance(module, KeptProbe)
    test = Store(manifest, params.machine.data, params.evaluate_on)
    (cuts,) = fixed_crops(test.batch(torch.arange(len(test))), module.side, 1)
    with torch.no_grad():
        outputs = {"mlp": module(cuts), "linear": module.linear(cuts)}
    found = measured(tmp_path / "p.json")
    for name, logits in outputs.items():
        right = float((logits.argmax(1) == test.labels).double().mean())
        assert found[name] == pytest.approx(100 * right, abs=0.01)
    assert found["mlp"] != found["linear"]
    assert module.classes == test.classes
    (file,) = (tmp_path / "kept" / "probe").iterdir()
    where = about(file)
    assert (where["method"], where["override"], where["seed"]) == ("nat", "", 3)
    assert where["parameters"]["probe"] == params.probe.model_dump()


def test_a_probe_of_a_dense_trunk(keeping: Any, manifest: Path, tmp_path: Path) -> None:
    network = network_file(tmp_path, trunk="small-dense")
    probe(keeping(), Name(seed=3), manifest, network, None, tmp_path / "p.json")
    module = loaded(tmp_path, "probe")
    assert isinstance(module, KeptProbe)
    assert module(torch.zeros(2, 1, 28, 28, dtype=torch.uint8)).shape == (2, 3)


@pytest.mark.parametrize(
    ("variant", "layers", "trunk"),
    [
        ("philkr", "all", "small"),
        ("philkr", "fc6-8", "small-dense"),
        ("deepcluster", "all", "small"),
    ],
)
def test_a_fine_tuned_network(
    variant: str,
    layers: Any,
    trunk: str,
    keeping: Any,
    composed: tuple[Params, Path],
    tmp_path: Path,
) -> None:
    params, network = (
        keeping(finetune={"variant": variant, "lr": 0.01}),
        network_file(tmp_path, trunk=trunk),
    )
    classification.finetune(params, Name(seed=3), composed[1], network, layers, tmp_path / "r.json")
    module = loaded(tmp_path, f"finetune-{layers}")
    assert isinstance(module, KeptClassifier)
    assert not isinstance(module, KeptProbe)
    _, _, test = open_voc(params, composed[1])
    scores = classification.tested(
        module.network, test, params.finetune, generator(3, "test"), HERE
    )
    precision, _ = mean_average_precision(scores.numpy(), test.labels.numpy())
    assert measured(tmp_path / "r.json")["map"] == pytest.approx(100 * precision, abs=0.01)
    files = [jpeg(test.devkit, one.name) for one in test.annotations]
    found = module.predict(files)
    assert found.shape == (len(files), len(test.classes))
    squares = torch.from_numpy(np.stack([module._square(file) for file in files]))
    with torch.no_grad():
        expected = torch.sigmoid(module.network(squares)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert module.classes == test.classes


@pytest.mark.parametrize("trunk", TRUNKS)
def test_a_detector(
    trunk: str, keeping: Any, composed: tuple[Params, Path], tmp_path: Path
) -> None:
    params, network = keeping(detect=LEARNING), network_file(tmp_path, trunk=trunk)
    prepare_proposals(params, composed[1], tmp_path / "proposals")
    files = composed[1], tmp_path / "proposals", network
    detect(params, Name(seed=3), *files, tmp_path / "r.json", tmp_path / "found")
    module = loaded(tmp_path, "detect")
    assert isinstance(module, KeptDetector)
    _, _, test = open_voc(params, composed[1])
    boxes = load_proposals(tmp_path / "proposals" / "test.safetensors")
    names = [one.name for one in test.annotations]
    written = read_results(tmp_path / "found", names, test.classes)
    count = 0
    for row, name in enumerate(names):
        found = module.detect(jpeg(test.devkit, name), boxes[name])
        assert [each.score for each in found] == sorted((e.score for e in found), reverse=True)
        for label, one in zip(test.classes, written, strict=True):
            ours = [each for each in found if each.name == label]
            scores, places = one.scores[one.images == row], one.boxes[one.images == row]
            assert len(ours) == len(scores)
            np.testing.assert_allclose([each.score for each in ours], scores, atol=1e-4)
            if ours:
                np.testing.assert_allclose([each.box for each in ours], places, atol=0.06)
            count += len(ours)
    assert count > 100
    # which the module finds again by itself; in another order, which decides between equal scores
    image = jpeg(test.devkit, names[0])
    by_itself, given = (module.detect(image, given) for given in (None, boxes[names[0]]))
    for found in (by_itself, given):
        assert len(found) == pytest.approx(len(given), rel=0.1)
        assert [e.score for e in found[:10]] == pytest.approx(
            [e.score for e in given[:10]], abs=1e-4
        )


def test_nothing_is_kept_unless_asked_for(make_params: Any, manifest: Path, tmp_path: Path) -> None:
    network = network_file(tmp_path)
    probe(make_params(), Name(seed=3), manifest, network, None, tmp_path / "p.json")
    assert not (tmp_path / "kept").exists()


def test_other_settings_stand_beside_and_the_same_ones_replace(
    keeping: Any, manifest: Path, tmp_path: Path
) -> None:
    network, folder = network_file(tmp_path), tmp_path / "kept" / "probe"
    first = None
    for groups, count in (({}, 1), ({}, 1), ({"probe": {"lr": 0.2}}, 2)):
        probe(keeping(**groups), Name(seed=3), manifest, network, None, tmp_path / "p.json")
        assert len(list(folder.iterdir())) == count
        first = first or next(folder.iterdir()).read_bytes()
    assert sum(file.read_bytes() == first for file in folder.iterdir()) == 1


def test_the_numbers_are_those_without_keeping(
    keeping: Any, make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    network = network_file(tmp_path)
    for params, name in ((keeping(), "a"), (make_params(), "b")):
        probe(params, Name(seed=3), manifest, network, None, tmp_path / f"{name}.json")
    a, b = (json.loads((tmp_path / f"{name}.json").read_text()) for name in "ab")
    assert (a["measured"], a["history"]) == (b["measured"], b["history"])
    assert a["provenance"]["parameters"] == b["provenance"]["parameters"]


@pytest.fixture
def kept_file(keeping: Any, manifest: Path, tmp_path: Path) -> Path:
    network = network_file(tmp_path)
    probe(keeping(), Name(seed=3), manifest, network, None, tmp_path / "p.json")
    return next((tmp_path / "kept" / "probe").iterdir())


def test_probabilities_of_files(kept_file: Path, tmp_path: Path) -> None:
    write_image_folder(tmp_path / "images", 2)
    module = nat.load_kept(str(kept_file))
    assert isinstance(module, KeptProbe)
    files = sorted((tmp_path / "images").rglob("*.*g"))
    found = module.predict(files)
    assert found.shape == (6, 3)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
    assert module.predict([]).shape == (0, 3)
    with pytest.raises(UserError, match=r"none\.png: cannot be read"):
        module.predict(["none.png"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stage": "pretrain"}, "tag 'pretrain'"),
        ({"crop": 10**6}, "probe.crop: should be less than or equal to 4096"),
        ({"crop": 8, "trunk": {"name": "alexnet"}}, "trunk.preprocessing: Field required"),
        ({"hidden": 10**9}, "hidden: should be less"),
        ({"hidden": 9}, "classifiers.mlp.1.weight: float32"),
        ({"classes": []}, "probe.classes: List should have at least 1 item"),
    ],
)
def test_a_file_that_lies_is_refused(change: dict, said: str, kept_file: Path) -> None:
    weights, content = load_file(kept_file), about(kept_file)
    save_file(weights, kept_file, {"kept": json.dumps(content | change)})
    with pytest.raises(UserError, match=r"no kept probe, fine-tuned network or de") as caught:
        nat.load_kept(kept_file)
    assert said in str(caught.value)


def test_other_files_are_refused(kept_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"its metadata has no entry 'kept'"):
        nat.load_kept(tmp_path / "network.safetensors")
    with pytest.raises(UserError, match=r"none: not found; make one with machine\.keep"):
        nat.load_kept(tmp_path / "none")
    with pytest.raises(UserError, match=r"no network of this project"):
        nat.load_trunk(kept_file)
