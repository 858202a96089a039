"""Artifacts as the other stages would write them, small and made up."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from shown import CLASSES, detected, illustration, provenance

from nat.illustrate.detected import save_detected
from nat.illustrate.illustration import save_illustration

# mlp, linear, knn; then mean average precision of fc6-8 and all
ACCURACIES = {"random": (50.0, 48.0, 49.0), "labels": (90.0, 89.0, 88.0), "nat": (70.0, 66.0, 67.0)}
PRECISIONS = {"random": (30.0, 40.0), "labels": (60.0, 65.0), "nat": (45.0, 55.0)}
EPOCHS = 6
# of section 4.1; the spine's own are period 3, sphere, dimension 16, exact, sobel, softmax
VALUES: dict[str, list[int | str]] = {
    "permute_every": [1, 2, 6, "never"],
    "k": [10, 100, 1000],
    "dimension": [8, 64],
    "target_type": ["lowdiscrepancy", "mixture"],
    "alignment": ["greedy", "sinkhorn"],
    "preprocessing": ["clean", "high-pass"],
    "loss": ["square"],
}
# what the MLP reads of each variant, or the network's own accuracy; linear and kNN are below
READ: dict[tuple[str, int | str], float] = {
    ("permute_every", 1): 62.0,
    ("permute_every", 2): 66.0,
    ("permute_every", 6): 63.0,
    ("permute_every", "never"): 54.0,
    ("k", 10): 56.0,
    ("k", 100): 60.0,
    ("k", 1000): 58.0,
    ("preprocessing", "clean"): 91.0,
    ("preprocessing", "high-pass"): 90.5,
    ("loss", "square"): 89.5,
}


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def trained(method: str, accuracy: float, cost: float | None = 2.5) -> dict[str, Any]:
    """What a record of a training holds."""
    if method == "random":
        return {}
    measured: dict[str, Any] = {"loss": 1.5, "images_per_second": 4000}
    return measured | ({"accuracy": accuracy} if method == "labels" else {"alignment_ms": cost})


def write_variant(
    folder: Path,
    factor: str,
    value: int | str,
    seed: int,
    read: dict[tuple[str, int | str], float],
    shift: int,
    data: str,
) -> None:
    """The files of one value of section 4.1."""
    name, where = f"{factor}-{value}-{seed}", provenance(seed, data, **{factor: value})
    accuracy = read.get((factor, value), 64.0) + shift
    supervised = factor in ("loss", "preprocessing")
    measured = trained("labels" if supervised else "nat", accuracy, None if value == "never" else 3)
    content = {"measured": measured, "provenance": where}
    write(folder / f"ablations/records/{name}/record.json", content)
    if not supervised:
        readings = {"mlp": accuracy, "linear": accuracy - 4, "knn": accuracy - 3}
        content = {"measured": readings, "provenance": where}
        write(folder / f"ablations/probe/{name}.json", content)


Make = Callable[..., Path]


def make_folder(
    folder: Path,
    seeds: tuple[int, ...] = (0,),
    accuracies: dict[str, tuple[float, ...]] = ACCURACIES,
    precisions: dict[str, tuple[float, ...]] = PRECISIONS,
    data: str = "fashion-mnist",
    voc: str = "fashion-mnist-voc",
    between: tuple[float, ...] = (60.0, 65.0),
    permute_every: int | str = 3,
    alignment: str = "exact",
    target_type: str = "sphere",
    values: dict[str, list[int | str]] = VALUES,
    read: dict[tuple[str, int | str], float] = READ,
    detections: dict[str, float] | None = None,
    pictures: int = 500,
) -> Path:
    """Write a whole artifacts folder and return it."""
    for shift, seed in enumerate(seeds):
        for method, readings in accuracies.items():
            measured = dict(zip(("mlp", "linear", "knn"), readings, strict=True))
            measured = {name: value + shift for name, value in measured.items()}
            where = provenance(seed, data)
            write(
                folder / f"probe/{method}-{seed}.json",
                {"measured": measured, "provenance": where},
            )
            where = provenance(
                seed,
                data,
                permute_every=permute_every,
                alignment=alignment,
                model={"preprocessing": "sobel"},
                pretrain={"epochs": EPOCHS, "batch_size": 64, "lr": 0.01},
                labels={"loss": "softmax"},
            )
            loss = trained(method, 90.0 + shift)
            write(
                folder / f"pretrain/{method}-{seed}/record.json",
                {"measured": loss, "provenance": where},
            )
        for factor, listed in values.items():
            for value in listed:
                write_variant(folder, factor, value, seed, read, shift, data)
        for method, mean in (detections or {}).items():
            each = {name: mean + i - 1 + shift for i, name in enumerate(CLASSES)}
            write(
                folder / f"detect/{method}-{seed}.json",
                {
                    "measured": {"map": mean + shift, "ap": each, "ap_area": each},
                    "provenance": provenance(seed, voc),
                },
            )
        for method, both in precisions.items():
            for layers, mean in zip(("fc6-8", "all"), both, strict=True):
                each = {name: mean + i - 1 + shift for i, name in enumerate(CLASSES)}
                write(
                    folder / f"finetune/{method}-{layers}-{seed}.json",
                    {
                        "measured": {"map": mean + shift, "ap": {**each, "absent": None}},
                        "provenance": provenance(seed, voc),
                    },
                )
        rows = ["epoch,lr,loss,reassigned,knn"]
        for epoch in range(1, EPOCHS + 1):
            knn = 50 + epoch if epoch % 2 == 0 else ""
            rows.append(f"{epoch},0.01,{1.9 - 0.1 * epoch},{80 if epoch % 3 == 1 else 0},{knn}")
        (folder / f"pretrain/nat-{seed}/history.csv").write_text("\n".join(rows) + "\n")
        curve = [
            {"epoch": 2 * (i + 1), "mlp": x + shift, "linear": x - 4, "knn": x - 3}
            for i, x in enumerate(between)
        ]
        write(
            folder / f"evolution/nat-{seed}.json",
            {"measured": curve, "provenance": provenance(seed, data)},
        )
    shown = illustration(data, seeds[0], target_type, pictures)
    save_illustration(shown, folder / f"illustrate/{seeds[0]}.npz")
    if detections:
        boxes = detected(voc, seeds[0])
        save_detected(boxes, folder / f"illustrate-detections/{seeds[0]}.npz")
    return folder


@pytest.fixture
def listed() -> dict[str, list[int | str]]:
    """The values that ``make_folder`` writes, as params.yaml lists them."""
    return VALUES


@pytest.fixture(scope="session")
def overrides() -> tuple[str, ...]:
    """What makes params.yaml list them, with seeds 0 and 1."""
    values = (f"ablations.{factor}={json.dumps(listed)}" for factor, listed in VALUES.items())
    return ("seeds=[0,1]", *values)


@pytest.fixture
def read() -> dict[tuple[str, int | str], float]:
    """What ``make_folder`` has the MLP read of them."""
    return READ


@pytest.fixture
def make_artifacts(tmp_path: Path) -> Make:
    """``make_folder`` in the test's own folder."""
    return partial(make_folder, tmp_path / "artifacts")


@pytest.fixture(scope="module")
def make_module_artifacts(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """``make_folder`` in a folder of the tests' module."""
    return partial(make_folder, tmp_path_factory.mktemp("module") / "artifacts")
