import dataclasses
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from nat.data.seeds import generator
from nat.network import session
from nat.network.model import Network, initialise, save_network
from nat.runtime import resume
from nat.runtime.distributed import Distributed
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.settings.params import Params
from nat.voc.data.manifest import open_voc
from nat.voc.data.prepare import prepare_voc
from nat.voc.data.proposals import save_proposals
from nat.voc.data.reader import Ground, VocSplit
from nat.voc.detection import detect as stage
from nat.voc.detection import train as training
from nat.voc.detection.detect import detect
from nat.voc.detection.evaluate import judged
from nat.voc.detection.model import Detector, Regions
from nat.voc.detection.results import read_results

NAT = Name("nat")


def result(file: Path) -> dict[str, Any]:
    content = json.loads(file.read_text())
    del content["provenance"]["seconds"]
    return content


def changed(params: Params, **settings: Any) -> Params:
    return Params.model_validate(
        params.model_dump() | {"detect": params.detect.model_dump() | settings}
    )


def own_boxes(split: VocSplit) -> dict[str, np.ndarray]:
    """The objects' own boxes as proposals."""
    names = [one.name for one in split.annotations]
    return {name: split.objects(row).boxes.numpy() for row, name in enumerate(names)}


@pytest.fixture
def inputs(composed: tuple[Params, Path], proposals: Path, network_file: Path) -> tuple:
    """Parameters; manifest, proposals and network."""
    return composed[0], (composed[1], proposals, network_file)


def outputs(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / f"{name}.json", folder / name


def test_result(inputs: tuple, tmp_path: Path) -> None:
    params, files = inputs
    detect(params, NAT, *files, *outputs(tmp_path, "one"))
    found = result(tmp_path / "one.json")
    measured, where = found["measured"], found["provenance"]
    _, _, test = open_voc(params, files[0])
    assert list(measured["ap"]) == test.classes
    known = [ap for ap in measured["ap"].values() if ap is not None]
    assert all(0 <= ap <= 100 for ap in known)
    assert measured["map"] == pytest.approx(sum(known) / len(known), abs=0.02)
    assert where["data"] == "fashion-mnist-voc"
    assert where["parameters"]["detect"] == params.detect.model_dump()
    assert where["parameters"]["evaluate_on"] == "test"
    assert where["parameters"]["finetune"] == {"input": params.finetune.input}
    assert not list(Path(params.machine.scratch).iterdir())
    # the files hold exactly what was measured
    names = [one.name for one in test.annotations]
    assert judged(read_results(tmp_path / "one", names, test.classes), test) == measured
    detect(params, NAT, *files, *outputs(tmp_path, "again"))
    assert result(tmp_path / "again.json") == found
    for file in (tmp_path / "one").iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes()


def test_history(inputs: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row every ``save_every`` iterations, its numbers those of each of them."""
    params, files = inputs
    shares: list[float] = []
    losses: list[float] = []
    loss_of = training.multi_task_loss

    def noted(network: Any, logits: Any, moves: Any, batch: Any) -> torch.Tensor:
        answers = zip(logits.tolist(), batch.labels.tolist(), strict=True)
        right = [row.index(max(row)) == label for row, label in answers]
        shares.append(100 * sum(right) / len(right))
        loss = loss_of(network, logits, moves, batch)
        losses.append(float(loss.detach()))
        return loss

    monkeypatch.setattr(training, "multi_task_loss", noted)
    settings = {"iterations": 5, "save_every": 2, "lr": 0.01, "lr_drop_at": [2]}
    detect(changed(params, **settings), NAT, *files, *outputs(tmp_path, "out"))
    rows = result(tmp_path / "out.json")["history"]
    assert [row["iteration"] for row in rows] == [2, 4, 5]
    assert [row["lr"] for row in rows] == pytest.approx([0.01, 0.001, 0.001])
    for row, part in zip(rows, (slice(0, 2), slice(2, 4), slice(4, 5)), strict=True):
        assert row["train"] == pytest.approx(np.mean(shares[part]))
        assert row["loss"] == pytest.approx(np.mean(losses[part]))
    assert len(set(shares)) > 1


def test_divergence_is_found_in_the_next_step(inputs: tuple, tmp_path: Path, poison: Any) -> None:
    params, files = inputs
    poison(3)
    with pytest.raises(UserError, match=r"^detect\.lr: the loss is nan \(epoch 2, step 2; "):
        detect(params, NAT, *files, *outputs(tmp_path, "out"))
    (file,) = tmp_path.glob("scratch/*/state.pt")
    assert torch.load(file, weights_only=True)["next"] == 1


def test_trains_in_bfloat16_and_tests_in_float32(
    inputs: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, files = inputs
    seen = set()
    original = Detector.forward

    def noted(network: Detector, regions: Regions) -> tuple[torch.Tensor, torch.Tensor]:
        outputs = original(network, regions)
        seen.update((network.training, output.dtype) for output in outputs)
        return outputs

    monkeypatch.setattr(Detector, "forward", noted)
    half = params.model_copy(update={"precision": "bfloat16"})
    detect(half, NAT, *files, *outputs(tmp_path, "out"))
    assert seen == {(True, torch.bfloat16), (False, torch.float32)}


def test_what_is_trained(inputs: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params, files = inputs
    networks, before = [], []
    original = stage.make_detector

    def make(*arguments: Any) -> Any:
        networks.append(original(*arguments))
        before.append({name: v.clone() for name, v in networks[0].state_dict().items()})
        return networks[0]

    monkeypatch.setattr(stage, "make_detector", make)
    detect(params, NAT, *files, *outputs(tmp_path, "one"))
    for name, value in networks[0].state_dict().items():
        fixed = "conv1" in name or name in ("mean", "std")
        assert torch.equal(value, before[0][name]) == fixed, name


@pytest.mark.parametrize("killed_in", ["training", "test"])
def test_killed_run_resumes_exactly(
    inputs: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    params, files = inputs
    params = changed(params, iterations=11, save_every=3, lr_drop_at=[7])  # 3 2/3 epochs
    detect(params, Name(seed=1), *files, *outputs(tmp_path, "whole"))
    calls = 0
    module, name = (training, "multi_task_loss") if killed_in == "training" else (stage, "judged")
    original = getattr(module, name)

    def dies(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == (8 if killed_in == "training" else 1):  # in the middle of the third epoch
            raise KeyboardInterrupt
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, name, dies)
        with pytest.raises(KeyboardInterrupt):
            detect(params, Name(seed=1), *files, *outputs(tmp_path, "killed"))
    assert not (tmp_path / "killed.json").exists()
    trained = []
    loss = training.multi_task_loss

    def counts(*arguments: Any) -> torch.Tensor:
        trained.append(1)
        return loss(*arguments)

    monkeypatch.setattr(training, "multi_task_loss", counts)
    detect(params, Name(seed=1), *files, *outputs(tmp_path, "killed"))
    assert len(trained) == (5 if killed_in == "training" else 0)  # two epochs were kept
    assert result(tmp_path / "killed.json") == result(tmp_path / "whole.json")


def test_finds_the_objects_it_is_trained_on(
    make_params: Any, objects: Any, network_file: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    """Given the objects' own boxes as proposals: the whole way to the measure is sound."""
    params, manifest = make_params(voc={"images": 12}), tmp_path / "voc.json"
    prepare_voc(params, manifest)
    source, trainval, _ = open_voc(params, manifest)
    monkeypatch.setattr(stage, "open_voc", lambda *_: (source, trainval, trainval))
    boxes = own_boxes(trainval)
    for name in ("trainval", "test"):
        save_proposals(tmp_path / "proposals" / f"{name}.safetensors", boxes)
    files = (manifest, tmp_path / "proposals", network_file)
    found = []
    for iterations in (1, 150):
        settings = changed(
            params,
            iterations=iterations,
            save_every=50,
            images=6,
            regions=48,
            hidden=64,
            lr=0.01,
            lr_drop_at=[120],
            foreground=0.9,
            dropout=0.0,
        )
        detect(settings, NAT, *files, *outputs(tmp_path, "out"))
        found.append(result(tmp_path / "out.json")["measured"]["map"])
    assert found[0] < 50
    assert found[1] > 90


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": 1e6}, r"detect\.lr: the loss is (nan|inf)"),
        ({"images": 25, "regions": 50}, r"detect\.images: 25 is larger than the 24 images"),
    ],
)
def test_refused_settings(
    inputs: tuple, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    params, files = inputs
    out, detections = outputs(tmp_path, "out")
    with pytest.raises(UserError, match=message):
        detect(changed(params, **settings), NAT, *files, out, detections)
    assert not out.exists()
    assert not detections.exists()


def test_refused_proposals(inputs: tuple, tmp_path: Path) -> None:
    params, (manifest, proposals, network) = inputs
    out = outputs(tmp_path, "out")

    def refused(message: str) -> None:
        with pytest.raises(UserError, match=message) as caught:
            detect(params, NAT, manifest, proposals, network, *out)
        assert "\n" not in str(caught.value)

    trainval, test = (proposals / f"{name}.safetensors" for name in ("trainval", "test"))
    shutil.copy(trainval, test)
    refused(r"test\.safetensors: no proposals for image '000025'")
    test.unlink()
    refused(r"test\.safetensors: not found")
    _, split, _ = open_voc(params, manifest)
    boxes = {
        one.name: split.objects(row).boxes.numpy() for row, one in enumerate(split.annotations)
    }
    boxes["000003"] = boxes["000003"] + 60
    save_proposals(trainval, boxes)
    refused(r"trainval\.safetensors: a proposal leaves image 000003 of \d+ x \d+")


def test_several_processes(inputs: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params, files = inputs
    monkeypatch.setattr(
        session, "init_distributed", lambda *_: Distributed(torch.device("cpu"), size=2)
    )
    with pytest.raises(UserError, match="launcher: detect is one process"):
        detect(params, NAT, *files, *outputs(tmp_path, "out"))
    assert not (tmp_path / "out.json").exists()


def test_damaged_network(inputs: tuple, tmp_path: Path) -> None:
    params, (manifest, proposals, network) = inputs
    network.write_bytes(network.read_bytes()[:1000])
    with pytest.raises(UserError, match="no network of this project"):
        detect(params, NAT, manifest, proposals, network, *outputs(tmp_path, "out"))


def test_a_trunk_of_colours_sees_colours(
    inputs: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_params: Any
) -> None:
    params, (manifest, proposals, _) = inputs
    network = tmp_path / "colours.safetensors"
    model = make_params(model={"preprocessing": "clean"}).model
    untrained = Network(model, 28, 8, 3)
    initialise(untrained, generator(0, "network"))
    save_network(untrained, network)
    seen = set()
    original = Detector.forward

    def noted(network: Detector, regions: Regions) -> tuple[torch.Tensor, torch.Tensor]:
        seen.update((network.training, image.shape[:2]) for image in regions.images)
        return original(network, regions)

    monkeypatch.setattr(Detector, "forward", noted)
    detect(params, NAT, manifest, proposals, network, *outputs(tmp_path, "out"))
    assert seen == {(True, (1, 3)), (False, (1, 3))}


def test_a_dense_trunk_is_pooled_to_its_own_cells(
    inputs: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_params: Any
) -> None:
    """As many as classification's squares have, which lie half as far from each other."""
    params, (manifest, proposals, _) = inputs
    network = tmp_path / "dense.safetensors"
    dense = Network(make_params(model={"trunk": "small-dense"}).model, 28, 8)
    initialise(dense, generator(0, "network"))
    save_network(dense, network)
    seen = set()
    original = Detector.fc7

    def noted(network: Detector, regions: Regions) -> torch.Tensor:
        seen.add((network.scale, network.side, network.hidden.fc6.in_features))
        return original(network, regions)

    monkeypatch.setattr(Detector, "fc7", noted)
    detect(params, NAT, manifest, proposals, network, *outputs(tmp_path, "out"))
    assert params.finetune.input == 40
    assert seen == {(1 / 4, 5, 64 * 5 * 5)}


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ({}, r"detect\.short_sides: makes a side of 60 px, too short"),
        ({"short_sides": [120]}, r"detect\.test_short_side: makes a side of 60 px, too short"),
        ({"test_short_side": 120}, r"detect\.short_sides: makes a side of 60 px, too short"),
        ({"short_sides": [120, 61]}, r"detect\.short_sides: makes a side of 61 px, too short"),
        (
            {"short_sides": [120], "test_short_side": 120, "long_side": 76},
            r"detect\.long_side: makes a side of 60 px, too short",
        ),
        (
            {"short_sides": [120], "test_short_side": 120, "long_side": 200},
            r"finetune\.input: 40 px is too small",
        ),
    ],
)
def test_images_and_cells_too_small_for_the_trunk(
    inputs: tuple,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_params: Any,
    sides: dict[str, Any],
    message: str,
) -> None:
    _, files = inputs
    large = make_params(model={"trunk": "alexnet"})
    monkeypatch.setattr(stage, "load_trunk", lambda _: big)
    big = stage.Trunk("alexnet")
    with pytest.raises(UserError, match=message):
        detect(changed(large, **sides), NAT, *files, *outputs(tmp_path, "out"))


def test_the_seconds_are_those_of_all_work(
    inputs: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of preparation, rescaling included, of training and of the test."""
    params, files = inputs
    clock = [1000.0]
    for module in (session, resume):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: clock[0]))

    def takes(module: Any, name: str, seconds: float) -> None:
        original = getattr(module, name)

        def slow(*arguments: Any) -> Any:
            clock[0] += seconds
            return original(*arguments)

        monkeypatch.setattr(module, name, slow)

    takes(stage, "make_detector", 50)
    takes(training, "multi_task_loss", 2)
    takes(stage, "detected", 300)
    takes(stage, "open_voc", 7)
    detect(params, NAT, *files, *outputs(tmp_path, "one"))
    seconds = json.loads((tmp_path / "one.json").read_text())["provenance"]["seconds"]
    assert seconds == pytest.approx(50 + 4 * 2 + 300 + 7)


def test_only_difficult_objects(
    inputs: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, files = inputs
    objects = VocSplit.objects

    def difficult(split: VocSplit, row: int) -> Ground:
        found = objects(split, row)
        return dataclasses.replace(found, difficult=torch.ones_like(found.difficult))

    monkeypatch.setattr(VocSplit, "objects", difficult)
    with pytest.raises(
        UserError, match=r"detect\.images: 2 a batch, but 0 of trainval's 24 images"
    ):
        detect(params, NAT, *files, *outputs(tmp_path, "out"))


def test_settings_are_chosen_on_val_with_trainvals_regions(inputs: tuple, tmp_path: Path) -> None:
    params, files = inputs
    changed = params.model_copy(update={"evaluate_on": "validation"})
    detect(changed, NAT, *files, *outputs(tmp_path, "one"))
    assert result(tmp_path / "one.json")["provenance"]["images"] == {"train": 12, "val": 12}
    _, _, val = open_voc(params, files[0], "validation")
    lines = [
        line for file in (tmp_path / "one").iterdir() for line in file.read_text().splitlines()
    ]
    assert {line.split()[0] for line in lines} <= {one.name for one in val.annotations}
