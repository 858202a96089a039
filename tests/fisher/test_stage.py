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
from nat.fisher.encoding import fit_mixture
from nat.fisher.sift import LENGTH, descriptors
from nat.fisher.stage import Encoder, VectorBatches, fisher
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


def test_the_mixture_is_of_descriptors_drawn_by_the_seed(
    make_params: Any, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[np.ndarray, int]] = []

    def noted(found: np.ndarray, *sizes: int, **_: Any) -> Any:
        told.append((found, sizes[2]))
        return fit_mixture(found, *sizes)

    monkeypatch.setattr("nat.fisher.stage.fit_mixture", noted)
    params = make_params(fisher={"step": 4})  # more than 25 descriptors of an image
    train = Store(manifest, params.machine.data, "train")
    every = [descriptors(np.asarray(one), params.fisher.patches, 4) for one in train.images]
    for seed in (0, 1):
        name = Name("sift_fisher", seed=seed)
        with Session(params, name, "probe", {}, tmp_path / "f.json", manifest=manifest) as session:
            Encoder(session, train)
        for one in told[seed][0].reshape(20, 25, LENGTH):  # 500, of 20 images
            (image,) = (each for each in every if (each == one[0]).all(1).any())
            places = [int((image == each).all(1).nonzero()[0][0]) for each in one]
            assert len(set(places)) == 25
            assert max(places) > 30  # not the first ones
    assert told[0][1] != told[1][1]  # of the mixture's first means


def test_vectors_come_once_in_an_epoch_and_in_another_order_in_the_next(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    vectors = torch.randn(32, 5)
    with Session(
        make_params(), NAME, "probe", {}, tmp_path / "f.json", manifest=manifest
    ) as session:
        batches = VectorBatches(vectors, session)
        orders = []
        for epoch in range(2):
            found = list(batches.epoch(epoch))
            assert all(torch.equal(seen, vectors[rows]) for rows, seen in found)
            orders.append(torch.cat([rows for rows, _ in found]))
    assert all(order.sort().values.equal(torch.arange(32)) for order in orders)
    assert not orders[0].equal(orders[1])


def test_each_number_is_of_its_own_classifier(
    make_params: Any, manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = make_params()
    train, test = (Store(manifest, params.machine.data, split) for split in ("train", "test"))
    wanted = iter([test.labels, train.labels[torch.linspace(0, 95, 48).long()]])
    neighbours: list[int] = []

    def only_the_mlp_is_right(*_: object) -> torch.Tensor:
        labels = next(wanted)
        return torch.stack([labels, -1 - labels])

    def quarter(*arguments: Any) -> float:
        neighbours.append(arguments[-1])
        return 25.0

    monkeypatch.setattr("nat.fisher.stage._outputs", only_the_mlp_is_right)
    monkeypatch.setattr("nat.fisher.stage.knn_accuracy", quarter)
    found = made(params, manifest, tmp_path / "f.json")["measured"]
    assert found == {"mlp": 100, "linear": 0, "knn": 25, "mlp_train": 100}
    assert neighbours == [params.probe.neighbours]


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
