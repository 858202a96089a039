"""What the figures show: right, chosen by rule, small."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import CLASSES, image_set

from nat.data.seeds import generator
from nat.data.store import UNLABELLED, Source, Split, Store, write_store
from nat.illustrate.features import (
    SECTORS,
    SIDE,
    gather_features,
    one_per_class,
    overview,
    small,
)
from nat.illustrate.illustration import load_illustration, save_illustration
from nat.network.model import Network, initialise, load_network, save_network
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Params
from nat.targets import Targets, sample_targets, save_targets


def test_one_query_per_class_by_seed() -> None:
    labels = torch.randint(0, 7, (200,), generator=generator(0, "labels"))
    rows = one_per_class(labels, 0)
    assert labels[rows].tolist() == list(range(7))
    assert one_per_class(labels, 0).tolist() == rows.tolist()
    assert one_per_class(labels, 1).tolist() != rows.tolist()
    many = torch.arange(1000).repeat(2)
    assert many[one_per_class(many, 0)].tolist() == list(range(0, 1000, 111))


def test_plane_shows_agreement_and_is_picked_by_targets_alone() -> None:
    draws = generator(0, "points")
    targets = F.normalize(torch.randn(500, 8, generator=draws))
    # features agree with their targets in the first two directions only
    features = torch.randn(500, 8, generator=draws)
    features[:, :2] = 3 * targets[:, :2]
    plane = overview(F.normalize(features), targets, 0)
    assert len(plane.chosen) == SECTORS
    angles = torch.atan2(plane.targets[:, 1], plane.targets[:, 0])[plane.chosen]
    assert (angles % (2 * np.pi) / (2 * np.pi) * SECTORS).long().tolist() == list(range(SECTORS))
    # the plane is that of the first two directions
    inside = targets[:, :2].norm(dim=1)
    torch.testing.assert_close(plane.targets.norm(dim=1), inside, atol=0.15, rtol=0)
    other = overview(F.normalize(features), targets, 1)
    assert plane.chosen.tolist() == other.chosen.tolist()
    assert plane.others.tolist() != other.others.tolist()


def test_plane_of_one_hot_targets() -> None:
    rows = torch.arange(60) % 3
    vectors = F.one_hot(rows, 3).float()
    plane = overview(vectors, vectors, 0)
    assert 0 < len(plane.chosen) <= SECTORS
    assert plane.features[plane.chosen].norm(dim=1).min() > 0


def test_images_are_reduced() -> None:
    large = torch.full((2, 3, 256, 256), 200, dtype=torch.uint8)
    assert small(large).shape == (2, 3, SIDE, SIDE)
    assert small(large).dtype == np.uint8
    assert (small(large) == 200).all()
    assert small(large[..., :28, :28]).shape == (2, 3, 28, 28)


class Inputs:
    """NAT's network, targets and assignment for a store of 96 images."""

    def __init__(self, folder: Path, params: Params, kind: str = "sphere") -> None:
        self.nat = folder / "nat"
        self.targets = folder / "targets.npy"
        targets = sample_targets(kind, 96, params.targets, seed=0)
        save_targets(targets, self.targets)
        network = Network(params.model, params.augment.crop, targets.dimension)
        initialise(network, generator(0, "weights"))
        save_network(network, self.nat / "network.safetensors")
        np.save(self.nat / "assignment.npy", np.random.default_rng(0).permutation(96))


def find(store: Store, image: np.ndarray) -> int:
    """The row of the store that holds the image."""
    same = (store.images == image).all((1, 2, 3))
    assert same.any()
    return int(same.argmax())


@pytest.mark.parametrize("kind", ["sphere", "onehot"])
def test_shows_this_runs_own(make_params: Any, manifest: Path, tmp_path: Path, kind: str) -> None:
    params = make_params(target_type=kind, targets={"k": 8})
    inputs, out = Inputs(tmp_path, params, kind), tmp_path / "0.npz"
    found = gather_features(params, 0, manifest, inputs.nat, inputs.targets)
    save_illustration(found, out)
    shown = load_illustration(out)
    assert out.stat().st_size < 300_000
    assert shown.facts["target_type"] == kind
    assert shown.facts["layers"] == [[32, 7], [64, 4], [96, 4], [96, 4], [64, 2]]
    assert (shown.facts["train"], shown.facts["test"], shown.facts["dimension"]) == (96, 48, 8)
    assert shown.query_labels.tolist() == [0, 1, 2]

    train = Store(manifest, params.machine.data, "train")
    rows = [find(train, image) for image in shown.images]
    network = load_network(inputs.nat / "network.safetensors").eval()
    with torch.no_grad():
        features = F.normalize(network(torch.from_numpy(train.images[rows])[..., 2:30, 2:30]))
    assignment = torch.from_numpy(np.load(inputs.nat / "assignment.npy"))
    targets = sample_targets(kind, 96, params.targets, seed=0).vectors(assignment[rows])
    np.testing.assert_allclose(shown.cosines, (features * targets).sum(1), atol=1e-5)

    # distances are those to the neighbours shown, the closest first, among all training images
    assert (np.diff(shown.distances) >= 0).all()
    every = torch.from_numpy(np.array(train.images))[..., 2:30, 2:30]
    queries = torch.from_numpy(shown.queries)[..., 2:30, 2:30]
    with torch.no_grad():
        distances = torch.cdist(F.normalize(network(queries)), F.normalize(network(every)))
    np.testing.assert_allclose(shown.distances, distances.topk(3, largest=False).values, atol=1e-3)
    for query in range(3):
        for place in range(3):
            row = find(train, shown.neighbours[query, place])
            assert shown.distances[query, place] == pytest.approx(
                float(distances[query, row]), abs=1e-3
            )
            assert shown.neighbour_labels[query, place] == train.labels[row]


def test_images_for_training_without_labels_are_those_with_targets(
    make_params: Any, tmp_path: Path
) -> None:
    """Figure 1 shows of them; Figure 3 looks for neighbours among those with labels."""
    params = make_params()
    inputs, path = Inputs(tmp_path, params), tmp_path / "images.json"
    (free, _), (train, labels), (val, val_labels) = (
        image_set(count, seed=seed) for count, seed in ((96, 2), (40, 0), (24, 1))
    )
    splits = {
        "train": Split(40, train, labels),
        "test": Split(24, val, val_labels),
        "unlabelled": Split(96, free, np.full(96, UNLABELLED)),
    }
    write_store(Source("test", CLASSES, splits), 32, 1, params.machine.data, path)
    shown = gather_features(params, 0, path, inputs.nat, inputs.targets)
    stores = {name: Store(path, params.machine.data, name) for name in splits}
    for image in shown.images:
        find(stores["unlabelled"], image)
    for image, label in zip(
        shown.neighbours.reshape(-1, 1, 32, 32), shown.neighbour_labels.flatten(), strict=True
    ):
        assert stores["train"].labels[find(stores["train"], image)] == label
    for image in shown.queries:
        find(stores["test"], image)
    assert (shown.facts["train"], shown.facts["test"], shown.facts["searched"]) == (40, 24, 40)


def test_refuses_another_runs_targets(make_params: Any, manifest: Path, tmp_path: Path) -> None:
    params = make_params()
    inputs = Inputs(tmp_path, params)
    save_targets(Targets(torch.eye(8)), inputs.targets)
    with pytest.raises(UserError, match="96 images, but 96 images and 8 targets"):
        gather_features(params, 0, manifest, inputs.nat, inputs.targets)
    (inputs.nat / "assignment.npy").unlink()
    with pytest.raises(UserError, match=r"assignment\.npy: not found"):
        gather_features(params, 0, manifest, inputs.nat, inputs.targets)


def test_refuses_no_illustration(tmp_path: Path) -> None:
    path = tmp_path / "0.npz"
    np.savez(path, something=np.zeros(3))
    with pytest.raises(UserError, match="no illustration of this project"):
        load_illustration(path)
