"""One folder of all that the figures show, with or without detections."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nat.data.seeds import generator
from nat.illustrate.detected import load_detected
from nat.illustrate.detections import gather_detections
from nat.illustrate.features import gather_features
from nat.illustrate.filters import load_filters
from nat.illustrate.first_layer import gather_filters
from nat.illustrate.illustration import load_illustration
from nat.illustrate.stage import Inputs, illustrate
from nat.network.model import Network, initialise, save_network
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.results import write_result
from nat.runtime.settings.params import Params
from nat.targets import sample_targets, save_targets
from nat.voc.data.manifest import open_voc
from nat.voc.detection.average_precision import Detections
from nat.voc.detection.evaluate import judged, truth_of
from nat.voc.detection.results import read_results, write_results


@pytest.fixture
def given(manifest: Path, composed: tuple[Params, Path], tmp_path: Path) -> Inputs:
    """What the stages before would have written, of untrained networks and a detector that finds
    every second object."""
    params, voc = composed
    found = Inputs(
        manifest, tmp_path / "nat", tmp_path / "labels", tmp_path / "targets.npy", voc,
        tmp_path / "detect.json", tmp_path / "detections",
    )  # fmt: skip
    save_targets(sample_targets("sphere", 96, params.targets, seed=0), found.targets)
    for folder, outputs, seed in ((found.nat, 8, 0), (found.labels, 3, 1)):
        network = Network(params.model, params.augment.crop, outputs)
        initialise(network, generator(seed, "weights"))
        save_network(network, folder / "network.safetensors")
    np.save(found.nat / "assignment.npy", np.random.default_rng(0).permutation(96))
    _, _, test = open_voc(params, voc)
    names = [one.name for one in test.annotations]
    every = []
    for truth in truth_of(test):
        rows = [(image, *box) for image, one in enumerate(truth) for box in one.boxes][::2]
        table = np.array(rows, float).reshape(-1, 5)
        scores = np.linspace(0.9, 0.5, len(table)).round(2)
        every.append(Detections(table[:, 0].astype(int), scores, table[:, 1:]))
    write_results(found.detections, names, test.classes, every)
    measured = judged(read_results(found.detections, names, test.classes), test)
    write_result(found.result, "detect", Name(), measured, {"data": "fashion-mnist-voc"})
    return found


def equal(one: Any, other: Any) -> bool:
    """Whether two hold the same arrays and facts."""
    arrays = {name: value for name, value in vars(one).items() if isinstance(value, np.ndarray)}
    assert len(arrays) > 1
    return one.facts == other.facts and all(
        np.array_equal(value, vars(other)[name]) for name, value in arrays.items()
    )


def test_holds_what_is_gathered_of_features_and_detections(
    given: Inputs, composed: tuple[Params, Path], tmp_path: Path
) -> None:
    params, out = composed[0], tmp_path / "out" / "0"
    illustrate(params, 0, given, out)
    assert sorted(path.name for path in out.iterdir()) == [
        "detections.npz",
        "features.npz",
        "filters.npz",
    ]
    features = gather_features(params, 0, given.images, given.nat, given.targets)
    filters = gather_filters(params, 0, given.images, given.nat, given.labels)
    detected = gather_detections(params, 0, given.voc, given.result, given.detections)
    assert equal(load_illustration(out / "features.npz"), features)
    assert equal(load_filters(out / "filters.npz"), filters)
    assert equal(load_detected(out / "detections.npz"), detected)
    illustrate(params, 1, given, out)  # over what it wrote itself
    assert not equal(load_illustration(out / "features.npz"), features)


def test_without_detections_none_are_shown_nor_left_of_before(
    given: Inputs, composed: tuple[Params, Path], tmp_path: Path
) -> None:
    params, out = composed[0], tmp_path / "out"
    illustrate(params, 0, given, out)
    for file in given.detections.iterdir():
        file.unlink()
    given.detections.rmdir()
    given.result.unlink()
    illustrate(params, 0, given, out)
    assert {path.name for path in out.iterdir()} == {"features.npz", "filters.npz"}


def test_what_is_no_illustration_is_left_alone(
    given: Inputs, composed: tuple[Params, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"out: .*illustrations that `nat illustrate` wrote"):
        illustrate(composed[0], 0, given, out)
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


def test_a_fault_of_either_leaves_no_half(
    given: Inputs, composed: tuple[Params, Path], tmp_path: Path
) -> None:
    params, out = composed[0], tmp_path / "out"
    measured = given.result.read_text()
    given.result.write_text("{}")
    with pytest.raises(UserError, match=r"detect\.json: .*`python -m nat detect`"):
        illustrate(params, 0, given, out)
    assert not out.exists()
    given.result.write_text(measured)
    (given.nat / "assignment.npy").unlink()
    with pytest.raises(UserError, match=r"assignment\.npy: not found"):
        illustrate(params, 0, given, out)
    assert not out.exists()
