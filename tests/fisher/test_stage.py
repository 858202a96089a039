import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import CLASSES, image_set
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

from nat.data.store import UNLABELLED, Source, Split, Store, write_store
from nat.fisher.sift import descriptors
from nat.fisher.stage import Encoder, fisher
from nat.network.session import Session
from nat.runtime.code import code_of
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.settings.params import Params

NAME = Name("sift_fisher")


def made(params: Params, manifest: Path, out: Path, seed: int = 0) -> dict[str, Any]:
    fisher(params, Name("sift_fisher", seed=seed), manifest, out)
    return json.loads(out.read_text())


def test_easy_classes_are_told_apart(make_params: Any, manifest: Path, tmp_path: Path) -> None:
    params = make_params(probe={"epochs": 15, "lr_hold": 15})
    found = made(params, manifest, tmp_path / "f.json")
    assert (found["stage"], found["method"], found["override"]) == ("probe", "sift_fisher", "")
    assert list(found["measured"]) == ["mlp", "linear", "knn", "mlp_train"]
    assert all(value > 80 for value in found["measured"].values())
    where = found["provenance"]
    assert (where["data"], where["images"]) == ("test", {"train": 96, "test": 48})
    used = params.model_dump(include={"evaluate_on", "precision", "probe", "fisher"})
    assert where["parameters"] == used


def test_the_same_seed_gives_the_same_numbers_with_any_threads(
    make_params: Any, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bytes] = []
    real = Encoder.reduced

    def noted(encoder: Encoder, store: Store) -> torch.Tensor:
        found = real(encoder, store)
        seen.append(found.numpy().tobytes())
        return found

    monkeypatch.setattr(Encoder, "reduced", noted)
    a = made(make_params(), manifest, tmp_path / "a.json")
    b = made(make_params(machine={"threads": 2}), manifest, tmp_path / "b.json")
    other = made(make_params(), manifest, tmp_path / "c.json", seed=1)
    assert a["measured"] == b["measured"]
    assert seen[:2] == seen[2:4]
    assert seen[4] not in seen[:4]
    assert other["seed"] == 1


def test_features_are_reduced_fisher_vectors_of_whole_images(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    params = make_params()
    with Session(params, NAME, "probe", {}, tmp_path / "f.json", manifest=manifest) as session:
        train = Store(manifest, params.machine.data, "train")
        encoder = Encoder(session, train)
        found = encoder.reduced(train)
    settings = params.fisher
    images = [train.images[row] for row in range(len(train))]
    described = [descriptors(np.asarray(one), settings.patches, settings.step) for one in images]
    vectors = encoder.mixture.fisher_vectors(described).numpy().astype(np.float64)
    exact = PCA(settings.dimension, svd_solver="full").fit_transform(vectors)
    assert found.shape == (96, settings.dimension)
    # the same up to the signs of axes, of which the leading ones are well apart
    assert np.allclose(np.abs(found.numpy()[:, :3]), np.abs(exact[:, :3]), atol=1e-3)
    score = LogisticRegression(max_iter=500).fit(found, train.labels).score(found, train.labels)
    assert score > 0.9


def test_an_interrupted_training_of_the_classifiers_goes_on(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    params = make_params()
    whole = made(params, manifest, tmp_path / "a.json")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            made(params, manifest, tmp_path / "b.json")
    states = list(Path(params.machine.scratch).glob("probe-*/state.pt"))
    assert len(states) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nat.fisher.stage.VectorBatches.epoch", killed)  # nothing is trained again
        assert made(params, manifest, tmp_path / "b.json")["measured"] == whole["measured"]


def test_its_own_code_keys_its_state(make_params: Any) -> None:
    files = code_of("probe", "sift_fisher", make_params()).keys()
    assert {"fisher/sift.py", "fisher/encoding.py", "fisher/stage.py", "probe.py"} <= files
    assert not [f for f in code_of("probe", "nat", make_params()) if f.startswith("fisher")]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dimension": 49}, "dimension 49 is larger than 2 x gaussians x sift, 48"),
        ({"patches": [8, 40]}, r"fisher\.patches: 40 is larger than images\.size 32"),
        ({"patches": []}, "empty; name at least one"),
        ({"sift": 129}, "fisher.sift"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    make_params: Any, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        make_params(fisher=settings)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"dimension": 40, "images": 30}, r"fisher\.dimension: 40 is larger than the 30 images"),
        ({"gaussians": 60, "samples": 50}, r"fisher\.gaussians: 60 is larger than the 50 patches"),
        ({"sift": 60, "samples": 50}, r"fisher\.sift: 60 is larger than the 50 patches"),
    ],
)
def test_too_little_to_fit_on_is_told(
    make_params: Any, manifest: Path, tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        fisher(make_params(fisher=settings), NAME, manifest, tmp_path / "f.json")
    assert not (tmp_path / "f.json").exists()


def test_images_without_labels_are_refused(make_params: Any, tmp_path: Path) -> None:
    images, labels = image_set(32)
    labels[3] = UNLABELLED
    split = Split(32, images, labels)
    source = Source("test", CLASSES, {"train": split, "test": split})
    write_store(source, 32, 1, str(tmp_path / "data"), tmp_path / "u.json")
    with pytest.raises(UserError, match="1 of 32 test images have no label"):
        fisher(make_params(), NAME, tmp_path / "u.json", tmp_path / "f.json")


def test_colour_images_are_served(make_params: Any, tmp_path: Path) -> None:
    images, labels = image_set(96)
    split = Split(96, np.repeat(images, 3, axis=1), labels)
    source = Source("test", CLASSES, {"train": split, "test": split})
    write_store(source, 32, 3, str(tmp_path / "data"), tmp_path / "c.json")
    found = made(make_params(), tmp_path / "c.json", tmp_path / "f.json")
    assert found["measured"]["knn"] > 80
    assert torch.isfinite(torch.tensor(list(found["measured"].values()))).all()
