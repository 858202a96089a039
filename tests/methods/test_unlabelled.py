"""A store with images that are for training without labels alone: who looks at which.

Two stores that differ in one split give the same where that split is not looked at.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from conftest import CLASSES, image_set
from ruamel.yaml import YAML

from nat.cli import main
from nat.data.manifest import pretraining_split
from nat.data.store import UNLABELLED, Source, Split, write_store
from nat.methods import train
from nat.methods.nat import pretrain
from nat.probe import probe
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.targets import load_targets, sample_targets, save_targets

LABELLED, VAL, FREE = 64, 48, 96
Stored = Callable[..., Path]


@pytest.fixture
def stored(tmp_path: Path) -> Stored:
    """Write a store whose splits are drawn from seeds; the free one has no labels.

    Labels to train on can be ``turned``, each to another class.
    """

    def write(labelled: int = 0, free: int | None = 2, turned: int = 0) -> Path:
        images, labels = image_set(LABELLED, seed=labelled)
        splits = {
            "train": Split(LABELLED, images, (labels + turned) % len(CLASSES)),
            "validation": Split(VAL, *image_set(VAL, seed=1)),
            "test": Split(VAL, *image_set(VAL, seed=1)),
        }
        if free is not None:
            images, _ = image_set(FREE, seed=free)
            splits["unlabelled"] = Split(FREE, images, np.full(FREE, UNLABELLED))
        path = tmp_path / f"images-{labelled}-{free}-{turned}.json"
        write_store(Source("test", CLASSES, splits), 32, 1, str(tmp_path / "data"), path)
        return path

    return write


Trained = Callable[..., tuple[bytes, dict[str, Any]]]


@pytest.fixture
def trained(make_params: Any, tmp_path: Path) -> Trained:
    """Train a method; the network's bytes, and the result."""

    def run(method: str, manifest: Path, **groups: Any) -> tuple[bytes, dict[str, Any]]:
        params, name = make_params(**groups), Name(method)
        out, result = tmp_path / f"{method}-net", tmp_path / f"{method}.json"
        if method == "nat":
            pretrain(params, name, manifest, None, out, result)
        else:
            train(params, name, manifest, out, result)
        return (out / "network.safetensors").read_bytes(), json.loads(result.read_text())

    return run


def test_the_split_to_train_on_without_labels(stored: Stored) -> None:
    assert pretraining_split(stored()) == "unlabelled"
    assert pretraining_split(stored(free=None)) == "train"


@pytest.mark.parametrize(("free", "count"), [(2, FREE), (None, LABELLED)])
def test_targets_are_as_many_as_images_to_train_on_without_labels(
    free: int | None, count: int, stored: Stored, make_params: Any, tmp_path: Path
) -> None:
    YAML().dump(make_params().model_dump(), tmp_path / "params.yaml")
    words = ["targets", "--params", f"{tmp_path}/params.yaml", "--images", f"{stored(free=free)}"]
    done = CliRunner().invoke(main, [*words, "--out", f"{tmp_path}/t.npy"])
    assert done.exit_code == 0, done.output
    assert len(load_targets(tmp_path / "t.npy")) == count


@pytest.mark.parametrize("method", ["nat", "random", "autoencoder"])
def test_a_trunk_without_labels_comes_of_the_free_images_alone(
    method: str, stored: Stored, trained: Trained
) -> None:
    network, result = trained(method, stored())
    assert trained(method, stored(labelled=5))[0] == network
    assert trained(method, stored(free=6))[0] != network
    assert result["provenance"]["images"] == {"unlabelled": FREE, "train": LABELLED, "test": VAL}


def test_a_trunk_with_labels_comes_of_the_labelled_images_alone(
    stored: Stored, trained: Trained
) -> None:
    network, result = trained("labels", stored())
    again, same = trained("labels", stored(free=6))
    assert again == network
    assert same["measured"]["accuracy"] == result["measured"]["accuracy"]
    assert trained("labels", stored(free=None))[0] == network
    assert trained("labels", stored(labelled=5))[0] != network


def test_nat_looks_at_labels_only_to_show_how_far_it_is(
    stored: Stored, trained: Trained, tmp_path: Path
) -> None:
    _, result = trained("nat", stored())
    assert sorted(np.load(tmp_path / "nat-net/assignment.npy")) == list(range(FREE))
    # with the labels of another class, what is seen is wrong, and what is done the same
    _, other = trained("nat", stored(turned=1))
    right, wrong = ([row.pop("knn") for row in one["history"]] for one in (result, other))
    assert min(right) > 80
    assert max(wrong) < 20
    assert result["history"] == other["history"]


def test_the_probe_reads_the_labelled_images_alone(
    stored: Stored, trained: Trained, make_params: Any, tmp_path: Path
) -> None:
    trained("random", stored())
    network = tmp_path / "random-net/network.safetensors"

    def probed(manifest: Path) -> dict[str, Any]:
        params = make_params(probe={"epochs": 4, "lr_hold": 4})
        probe(params, Name("random"), manifest, network, None, tmp_path / "p.json")
        return json.loads((tmp_path / "p.json").read_text())

    found = probed(stored())
    assert found["provenance"]["images"] == {"train": LABELLED, "test": VAL}
    for same in (stored(free=6), stored(free=None)):
        assert probed(same)["measured"] == found["measured"]
    assert probed(stored(labelled=5))["measured"] != found["measured"]


def test_targets_of_the_labelled_images_are_refused(
    stored: Stored, make_params: Any, tmp_path: Path
) -> None:
    params, file = make_params(), tmp_path / "t.npy"
    save_targets(sample_targets("sphere", LABELLED, params.targets, 0), file)
    with pytest.raises(UserError, match=rf"t\.npy: {LABELLED} targets for {FREE} images"):
        pretrain(params, Name(), stored(), file, tmp_path / "net", tmp_path / "r.json")


def test_a_batch_is_of_the_images_that_are_trained_on(stored: Stored, trained: Trained) -> None:
    large = {"batch_size": LABELLED + 2}
    trained("nat", stored(), pretrain=large)
    trained("random", stored(), baselines={"random": large})
    said = rf"batch_size: {LABELLED + 2} is larger than the {LABELLED} images"
    with pytest.raises(UserError, match=rf"^baselines\.labels\.{said}"):
        trained("labels", stored(), baselines={"labels": large})
