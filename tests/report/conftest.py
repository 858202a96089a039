"""Artifacts as the other stages would write them, small and made up."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nat.report.illustration import Illustration, save_illustration

CLASSES = ["across", "along", "a_disc|50%"]
# mlp, linear, knn; then mean average precision of fc6-8 and all
ACCURACIES = {"random": (50.0, 48.0, 49.0), "labels": (90.0, 89.0, 88.0), "nat": (70.0, 66.0, 67.0)}
PRECISIONS = {"random": (30.0, 40.0), "labels": (60.0, 65.0), "nat": (45.0, 55.0)}
EPOCHS = 6


def provenance(seed: int, data: str, **parameters: Any) -> dict[str, Any]:
    return {
        "data": data,
        "seed": seed,
        "seconds": 90.0,
        "device": "cpu",
        "threads": 1,
        "hardware": "2 x Some Processor",
        "python": "3.11.0",
        "versions": {"torch": "2.0", "numpy": "2.0"},
        "commit": "0123456789ab",
        "parameters": parameters,
    }


def illustration(data: str = "fashion-mnist", seed: int = 0) -> Illustration:
    draws = np.random.default_rng(0)

    def pictures(*shape: int) -> np.ndarray:
        return draws.integers(0, 256, (*shape, 1, 12, 12), dtype=np.uint8)

    def points(n: int) -> np.ndarray:
        return draws.uniform(-0.7, 0.7, (n, 2)).astype(np.float32)

    def filters() -> np.ndarray:
        return draws.normal(size=(8, 7, 7)).astype(np.float16)

    facts = {
        "source": data,
        "classes": CLASSES,
        "train": 1200,
        "val": 500,
        "size": 12,
        "channels": 1,
        "crop": 10,
        "target_type": "sphere",
        "dimension": 16,
        "trunk": "small",
        "layers": [[8, 5], [8, 3], [8, 3], [8, 3], [8, 2]],
        "hidden": 32,
        "searched": 1200,
        "cosine": 0.3,
    }
    return Illustration(
        facts=facts,
        provenance=provenance(seed, data),
        pictures=pictures(8),
        gradients=draws.normal(size=(2, 10, 10)).astype(np.float16),
        features=points(8),
        targets=points(8),
        cosines=draws.uniform(0, 1, 8).astype(np.float32),
        other_features=points(20),
        other_targets=points(20),
        queries=pictures(3),
        query_labels=np.array([0, 1, 2]),
        neighbours=pictures(3, 3),
        neighbour_labels=np.array([[0, 0, 1], [1, 1, 1], [2, 0, 2]]),
        distances=np.sort(draws.uniform(0, 1, (3, 3)).astype(np.float32)),
        labels_filters=filters(),
        nat_filters=filters(),
    )


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


Make = Callable[..., Path]


@pytest.fixture
def make_artifacts(tmp_path: Path) -> Make:
    """Write a whole artifacts folder and return it."""

    def make(
        seeds: tuple[int, ...] = (0,),
        accuracies: dict[str, tuple[float, ...]] = ACCURACIES,
        precisions: dict[str, tuple[float, ...]] = PRECISIONS,
        data: str = "fashion-mnist",
        voc: str = "fashion-mnist-voc",
        between: tuple[float, ...] = (60.0, 65.0),
        permute_every: int | str = 3,
    ) -> Path:
        folder = tmp_path / "artifacts"
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
                    pretrain={"epochs": EPOCHS, "batch_size": 64, "lr": 0.01},
                )
                write(
                    folder / f"pretrain/{method}-{seed}/record.json",
                    {"measured": {"loss": 1.5}, "provenance": where},
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
        save_illustration(illustration(data, seeds[0]), folder / f"illustrate/{seeds[0]}.npz")
        return folder

    return make
