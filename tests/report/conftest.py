"""Results as the other stages would write them, small and made up."""

import copy
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from shown import CLASSES, detected, filters, illustration

from nat.illustrate.detected import save_detected
from nat.illustrate.filters import save_filters
from nat.illustrate.illustration import save_illustration
from nat.report.settings import Settings, with_override

EPOCHS = 6
# Params.model_dump() in short: what the report reads, and what the stages record
SETTINGS: Settings = {
    "profile": "embedded",
    "methods": ["nat", "random", "labels"],
    "permute_every": 3,
    "target_type": "sphere",
    "alignment": "exact",
    "targets": {"dimension": 16, "k": 100},
    "model": {"preprocessing": "sobel", "trunk": "small", "hidden": 32},
    "augment": {"crop": 10},
    "pretrain": {"epochs": EPOCHS, "batch_size": 64, "lr": 0.01},
    "baselines": {"labels": {"loss": "softmax", "epochs": 4}},
    "probe": {"epochs": 5},
    "finetune": {"input": 40, "hidden": 32},
    "detect": {"iterations": 8},
    "ablations": {
        "nat": [
            "permute_every=1",
            "permute_every=2",
            "permute_every=6",
            "permute_every=never",
            "target_type=onehot,targets.k=10",
            "target_type=onehot,targets.k=100",
            "target_type=onehot,targets.k=1000",
            "targets.dimension=8",
            "targets.dimension=64",
            "target_type=lowdiscrepancy",
            "target_type=mixture",
            "alignment=greedy",
            "alignment=sinkhorn",
        ],
        "labels": [
            "baselines.labels.loss=square",
            "model.preprocessing=clean",
            "model.preprocessing=high-pass",
        ],
    },
}
# mlp, linear, knn; then mean average precision of fc6-8, all and detection
ACCURACIES = {"random": (50.0, 48.0, 49.0), "labels": (90.0, 89.0, 88.0), "nat": (70.0, 66.0, 67.0)}
PRECISIONS = {"random": (30.0, 40.0, 20.0), "labels": (60.0, 65.0, 50.0), "nat": (45.0, 55.0, 40.0)}
# what the MLP reaches with an ablation, or the accuracy of a network trained with labels
CHANGED = {
    "permute_every=1": 62.0,
    "permute_every=2": 66.0,
    "permute_every=6": 63.0,
    "permute_every=never": 54.0,
    "target_type=onehot,targets.k=10": 56.0,
    "target_type=onehot,targets.k=100": 60.0,
    "target_type=onehot,targets.k=1000": 58.0,
    "model.preprocessing=clean": 91.0,
    "model.preprocessing=high-pass": 90.5,
    "baselines.labels.loss=square": 89.5,
}
RECORDED = {
    "train": ("permute_every", "alignment", "target_type", "targets", "model", "pretrain"),
    "labels": ("model", "augment", "baselines"),
    "random": ("model",),
    "probe": ("probe",),
    "finetune-fc6-8": ("finetune",),
    "finetune-all": ("finetune",),
    "detect": ("detect",),
}
VOC_STAGES = ("finetune-fc6-8", "finetune-all", "detect")


def write(folder: Path, content: dict[str, Any]) -> Path:
    """A result in its place."""
    name = ",".join(filter(None, (content["method"], content["override"])))
    path = folder / content["stage"] / f"{name}-{content['seed']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def result(
    stage: str,
    method: str,
    measured: dict[str, Any],
    override: str = "",
    seed: int = 0,
    settings: Settings = SETTINGS,
    data: str = "fashion-mnist",
    **more: Any,
) -> dict[str, Any]:
    """What a stage writes."""
    used = with_override(settings, override)
    groups = RECORDED[method if stage == "train" and method in RECORDED else stage]
    images = {"trainval": 100, "test": 200} if stage in VOC_STAGES else {"train": 1200, "test": 500}
    provenance = {
        "data": data,
        "store": f"{data}-0123456789ab",
        "images": images,
        "seconds": 90.0,
        "device": "cpu",
        "threads": 1,
        "processes": 1,
        "hardware": "2 x Some Processor",
        "python": "3.11.0",
        "versions": {"torch": "2.0", "numpy": "2.0"},
        "commit": "0123456789ab",
        "parameters": {name: used[name] for name in groups},
    }
    named = {"schema": 1, "stage": stage, "method": method, "override": override, "seed": seed}
    provenance |= more.pop("provenance", {})
    return named | {"measured": measured} | more | {"provenance": provenance}


def history() -> list[dict[str, float | None]]:
    return [
        {
            "epoch": epoch,
            "lr": 0.01,
            "loss": 1.9 - 0.1 * epoch,
            "reassigned": 80.0 if epoch % 3 == 1 else 0.0,
            "knn": 50.0 + epoch if epoch % 2 == 0 else None,
        }
        for epoch in range(1, EPOCHS + 1)
    ]


def trained(method: str, accuracy: float, never: bool = False) -> dict[str, Any]:
    if method == "random":
        return {}
    measured: dict[str, Any] = {"loss": 1.5, "images_per_second": 4000}
    own = {"accuracy": accuracy} if method == "labels" else {"alignment_ms": None if never else 2.5}
    return measured | own


def transferred(stage: str, last: float) -> list[dict[str, float]]:
    """How a stage's own training went: ``last`` in test, or on what it was trained on."""
    rows = [
        {"epoch": n, "iteration": 10 * n, "lr": 0.1, "loss": 2 / n, "train": last - 6 + 2 * n}
        for n in range(1, 4)
    ]
    return [row | {"test": row["train"] - 3} for row in rows] if stage == "probe" else rows


Make = Callable[..., Path]


def make_folder(
    folder: Path,
    seeds: tuple[int, ...] = (0,),
    accuracies: dict[str, tuple[float, ...]] = ACCURACIES,
    precisions: dict[str, tuple[float, ...]] = PRECISIONS,
    data: str = "fashion-mnist",
    voc: str = "fashion-mnist-voc",
    between: tuple[float, ...] = (60.0, 65.0),
    settings: Settings = SETTINGS,
    changed: dict[str, float] = CHANGED,
    images: int = 500,
    illustrated: bool = True,
) -> Path:
    """Write a whole folder of results and return it."""
    counts = {"images": {"train": 1200, "test": images}}
    for shift, seed in enumerate(seeds):
        make = partial(result, seed=seed, settings=settings)
        for method, probes in accuracies.items():
            more: dict[str, Any] = {}
            if method == "nat":
                more["checkpoints"] = [
                    {"epoch": 2 * (i + 1), "mlp": x + shift, "linear": x - 4, "knn": x - 3}
                    for i, x in enumerate(between)
                ]
            measured = dict(zip(("mlp", "linear", "knn"), probes, strict=True))
            measured = {name: value + shift for name, value in measured.items()}
            more["history"] = transferred("probe", measured["mlp"])
            write(folder, make("probe", method, measured, data=data, provenance=counts, **more))
            more = {} if method == "random" else {"history": history()}
            numbers = trained(method, 90.0 + shift, settings["permute_every"] == "never")
            write(folder, make("train", method, numbers, data=data, provenance=counts, **more))
        for method, overrides in settings["ablations"].items():
            for override in overrides:
                accuracy = changed.get(override, 64.0) + shift
                numbers = trained(method, accuracy, override == "permute_every=never")
                how: dict[str, Any] = {"override": override, "data": data, "provenance": counts}
                write(folder, make("train", method, numbers, history=history(), **how))
                if method == "nat":
                    measured = {"mlp": accuracy, "linear": accuracy - 4, "knn": accuracy - 3}
                    write(folder, make("probe", method, measured, **how))
        for method, means in precisions.items():
            for stage, mean in zip(VOC_STAGES, means, strict=False):
                each = {name: mean + i - 1 + shift for i, name in enumerate(CLASSES)}
                measured = {"map": mean + shift, "ap": {**each, "absent": None}}
                rows = transferred(stage, mean)
                write(folder, make(stage, method, measured, data=voc, history=rows))
        if illustrated:
            place = folder / f"illustrate/{seed}"
            place.mkdir(parents=True, exist_ok=True)
            save_illustration(illustration(data, seed), place / "features.npz")
            save_filters(filters(data, seed), place / "filters.npz")
            if any(len(means) == 3 for means in precisions.values()):
                save_detected(detected(voc, seed), place / "detections.npz")
    return folder


@pytest.fixture
def settings() -> Settings:
    """Settings of which a test may change its own copy."""
    return copy.deepcopy(SETTINGS)


@pytest.fixture
def make_results(tmp_path: Path) -> Make:
    """``make_folder`` in the test's own folder."""
    return partial(make_folder, tmp_path / "results/embedded")


@pytest.fixture(scope="module")
def make_module_results(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """``make_folder`` in a folder of the tests' module."""
    return partial(make_folder, tmp_path_factory.mktemp("module") / "results/embedded")
