import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import CLASSES, image_set
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sklearn.neighbors import KNeighborsClassifier

from nat.data.loader import Loader
from nat.data.store import UNLABELLED, Source, Split, Store, write_store
from nat.evaluation.knn import knn_accuracy, nearest
from nat.methods import train
from nat.network.model import Network, load_network, save_network
from nat.network.session import Session
from nat.probe import Classifiers, find_checkpoints, probe
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.settings.params import ModelSettings

NAT = Name("nat")


@pytest.fixture
def random_network(make_params: Any, manifest: Path, tmp_path: Path) -> Path:
    train(make_params(), Name("random"), manifest, tmp_path / "random", tmp_path / "random.json")
    return tmp_path / "random" / "network.safetensors"


def result(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text())


def meta(file: Path) -> dict[str, str]:
    with safe_open(file, "pt") as content:
        return content.metadata()


def test_classifiers_learn_easy_classes(
    make_params: Any, manifest: Path, random_network: Path, tmp_path: Path
) -> None:
    params = make_params(probe={"epochs": 15, "lr_hold": 15})
    probe(params, NAT, manifest, random_network, None, tmp_path / "p.json")
    found = result(tmp_path / "p.json")
    assert all(found["measured"][name] > 80 for name in ("mlp", "linear", "knn", "mlp_train"))
    assert found["provenance"]["data"] == "test"
    assert found["provenance"]["seconds"] > 0
    used = {"precision": "float32", "evaluate_on": "test", "probe": params.probe.model_dump()}
    assert found["provenance"]["parameters"] == used


@pytest.mark.parametrize("preprocessing", ["sobel", "clean"])
@pytest.mark.parametrize(("trained", "given"), [(1, 3), (3, 1)])
def test_a_network_for_other_channels_is_one_line(
    trained: int, given: int, preprocessing: str, make_params: Any, tmp_path: Path
) -> None:
    params = make_params(model={"preprocessing": preprocessing})
    manifests = {}
    for channels in (trained, given):
        images, labels = image_set(96)
        images = np.repeat(images[:, :1], channels, 1)
        splits = {name: Split(96, images, labels) for name in ("train", "test")}
        manifests[channels] = tmp_path / f"{channels}.json"
        source = Source(f"of-{channels}", CLASSES, splits)
        write_store(source, 32, channels, params.machine.data, manifests[channels])
    train(params, Name("untrained"), manifests[trained], tmp_path / "n", tmp_path / "t.json")
    network = tmp_path / "n/network.safetensors"
    with pytest.raises(
        UserError, match=rf"network\.safetensors: was .*channels: {given}\)"
    ) as told:
        probe(params, NAT, manifests[given], network, None, tmp_path / "p.json")
    assert "\n" not in str(told.value)
    assert not (tmp_path / "p.json").exists()


def test_trunk_is_frozen_and_numbers_repeat(
    make_params: Any, manifest: Path, random_network: Path, tmp_path: Path
) -> None:
    before, seed = random_network.read_bytes(), Name(seed=3)
    for name in "ab":
        probe(make_params(), seed, manifest, random_network, None, tmp_path / f"{name}.json")
    a, b = (result(tmp_path / f"{name}.json") for name in "ab")
    assert a["measured"] == b["measured"]
    assert random_network.read_bytes() == before


def test_random_is_where_nat_starts(make_params: Any, manifest: Path, random_network: Path) -> None:
    network = load_network(random_network)
    norm = network.trunk.layers.get_submodule("bn1")
    assert norm.running_var.max() != 1  # gathered, not left as initialised
    assert all(p.min() >= 0 for n, p in network.trunk.named_parameters() if "bn" in n)


def test_each_checkpoint_is_probed_as_it_would_be_alone(
    make_params: Any, manifest: Path, random_network: Path, tmp_path: Path
) -> None:
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    for epoch in (2, 10):
        (checkpoints / f"epoch-{epoch:04d}.safetensors").write_bytes(random_network.read_bytes())
    probe(make_params(), NAT, manifest, random_network, checkpoints, tmp_path / "e.json")
    found = result(tmp_path / "e.json")
    probe(make_params(), NAT, manifest, random_network, None, tmp_path / "p.json")
    alone = result(tmp_path / "p.json")
    assert found["checkpoints"] == [{"epoch": e, **alone["measured"]} for e in (2, 10)]
    assert found["measured"] == alone["measured"]
    assert "checkpoints" not in alone


def test_an_interrupted_probe_trains_no_checkpoint_again(
    make_params: Any, manifest: Path, random_network: Path, tmp_path: Path
) -> None:
    params, checkpoints = make_params(), tmp_path / "checkpoints"
    checkpoints.mkdir()
    for epoch in (2, 10):
        # other bytes, or both would be one training
        weights = load_file(random_network)
        weights[min(weights)] += epoch
        save_file(weights, checkpoints / f"epoch-{epoch:04d}.safetensors", meta(random_network))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            probe(params, NAT, manifest, random_network, checkpoints, tmp_path / "e.json")
    assert len(list(Path(params.machine.scratch).glob("probe-*/state.pt"))) == 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Loader, "epoch", killed)
        probe(params, NAT, manifest, random_network, checkpoints, tmp_path / "e.json")
    rows = result(tmp_path / "e.json")["checkpoints"]
    assert [row["epoch"] for row in rows] == [2, 10]
    assert not list(Path(params.machine.scratch).glob("probe-*"))


def test_the_loss_is_float32_whatever_the_features(
    make_params: Any, manifest: Path, random_network: Path, tmp_path: Path
) -> None:
    seen = set()
    with pytest.MonkeyPatch.context() as patch:
        real = F.cross_entropy
        patch.setattr(F, "cross_entropy", lambda x, y: seen.add(x.dtype) or real(x, y))
        params = make_params(precision="bfloat16")
        probe(params, NAT, manifest, random_network, None, tmp_path / "p.json")
    assert seen == {torch.float32}


def test_a_short_training_has_no_checkpoints(
    make_params: Any, manifest: Path, random_network: Path, tmp_path: Path
) -> None:
    job, out = (make_params(), NAT, manifest, random_network), tmp_path / "e.json"
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match="no such folder"):
        probe(*job, tmp_path / "nowhere", out)
    assert not out.exists()
    probe(*job, tmp_path / "none", out)
    found = result(out)
    assert found["checkpoints"] == []
    assert found["measured"].keys() == {"mlp", "linear", "knn", "mlp_train"}


def test_images_without_labels_are_refused(
    make_params: Any, random_network: Path, tmp_path: Path
) -> None:
    images, labels = image_set(32)
    labels[3] = UNLABELLED
    split = Split(32, images, labels)
    source = Source("test", CLASSES, {"train": split, "test": split})
    write_store(source, 32, 1, str(tmp_path / "data"), tmp_path / "u.json")
    with pytest.raises(UserError, match="1 of 32 test images have no label"):
        probe(make_params(), NAT, tmp_path / "u.json", random_network, None, tmp_path / "p.json")
    assert not (tmp_path / "p.json").exists()


def test_knn_is_scikit_learns() -> None:
    draws = np.random.default_rng(0)
    train, val = draws.normal(size=(80, 6)), draws.normal(size=(50, 6))
    labels, val_labels = draws.integers(0, 4, 80), draws.integers(0, 4, 50)

    def unit(x: np.ndarray) -> np.ndarray:
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    oracle = KNeighborsClassifier(7).fit(unit(train), labels)
    expected = 100 * oracle.score(unit(val), val_labels)
    tensors = map(torch.from_numpy, (train, labels, val, val_labels))
    assert knn_accuracy(*tensors, k=7) == pytest.approx(expected)


def test_nearest_is_sorted_and_exact() -> None:
    bank = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    distances, rows = nearest(bank[:5], bank, 4)
    exact = torch.cdist(bank[:5], bank).sort(dim=1)
    assert torch.equal(rows, exact.indices[:, :4])
    assert torch.allclose(distances, exact.values[:, :4], atol=1e-6)


def test_linear_classifier_ignores_the_scale_of_features() -> None:
    x = torch.randn(32, 4, 2, 2)
    classifiers = Classifiers(16, 8, 3, dropout=0.0)
    assert torch.allclose(classifiers(x)[1], classifiers(1000 * x)[1], atol=1e-3)


def test_foreign_files_among_the_checkpoints_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    settings = ModelSettings(preprocessing="sobel", trunk="small", hidden=16, dropout=0.0)
    for epoch in (3, 10_000, 1):
        save_network(Network(settings, 28, 8), folder / f"epoch-{epoch:04d}.safetensors")
    (folder / ".DS_Store").touch()
    assert list(find_checkpoints(folder)) == [1, 3, 10_000]
    right = (folder / "epoch-0001.safetensors").read_bytes()
    for name in (
        "epoch-0001 (1).safetensors",
        "epoch-last.safetensors",
        "epoch-1.safetensors",
        "a",
    ):
        (folder / name).write_bytes(right)
        with pytest.raises(UserError, match=r"no checkpoint, named epoch-EEEE") as caught:
            find_checkpoints(folder)
        assert name in str(caught.value)
        (folder / name).unlink()
    save_network(Network(settings, 28, 9), folder / "epoch-0002.safetensors")
    with pytest.raises(
        UserError, match=r"epoch-0002\.safetensors: of another network than the oth"
    ):
        find_checkpoints(folder)
    (folder / "epoch-0002.safetensors").write_bytes(right[:-1])
    with pytest.raises(UserError, match=r"epoch-0002\.safetensors: no network of this project"):
        find_checkpoints(folder)


def test_a_damaged_checkpoint_is_found_before_any_is_probed(
    make_params: Any, manifest: Path, random_network: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "epoch-0001.safetensors").write_bytes(random_network.read_bytes())
    weights = load_file(random_network)
    weights["trunk.layers.conv1.weight"][0] = float("nan")
    save_file(weights, folder / "epoch-0002.safetensors", meta(random_network))
    with pytest.raises(UserError, match=r"epoch-0002\.safetensors: .*conv1\.weight holds a number"):
        probe(make_params(), NAT, manifest, random_network, folder, tmp_path / "e.json")
    assert not list((tmp_path / "scratch").glob("*"))


def test_settings_are_chosen_on_validation_images(
    make_params: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which the tables do not show, and no test image is read."""
    images, labels = image_set(96)
    held, held_labels = image_set(48, seed=1)
    splits = {
        "train": Split(96, images, labels),
        "validation": Split(48, held, held_labels),
        "test": Split(2, images[:2], labels[:2]),
    }
    manifest = tmp_path / "images.json"
    write_store(Source("test", CLASSES, splits), 32, 1, str(tmp_path / "data"), manifest)
    opened = []
    before = Store.__init__
    monkeypatch.setattr(
        Store, "__init__", lambda store, *words: (opened.append(words[2]), before(store, *words))[1]
    )
    params = make_params(evaluate_on="validation")
    train(params, Name("labels"), manifest, tmp_path / "labels", tmp_path / "r.json")
    network = tmp_path / "labels" / "network.safetensors"
    probe(params, Name("labels"), manifest, network, None, tmp_path / "p.json")
    assert set(opened) == {"train", "validation"}
    for file in ("r.json", "p.json"):
        where = json.loads((tmp_path / file).read_text())["provenance"]
        assert where["images"] == {"train": 96, "validation": 48}
        assert where["parameters"]["evaluate_on"] == "validation"
