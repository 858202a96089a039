"""The embedded profile made so small that a stage takes seconds; its numbers mean nothing.

python tests/tiny.py > params.yaml
"""

import os
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from nat.runtime.settings.params import Machine

PROJECT = Path(__file__).parents[1]
KEPT = PROJECT / "params.embedded.yaml"  # where a switch to another profile keeps it
EMBEDDED = KEPT if KEPT.exists() else PROJECT / "params.yaml"
ALL = {"train": None, "validation": 0, "test": None}  # images of a source
TINY_PAIRS: dict[str, Any] = {"epochs": 4, "batch_size": 16, "hidden": 32, "outputs": 16}
TINY: dict[str, Any] = {
    "profile": "tiny",
    "seeds": [0],
    "methods": ["random", "labels", "nat", "autoencoder"],
    "compared": ["random", "labels", "autoencoder"],
    "machine": {"device": os.environ.get("NAT_TEST_DEVICE", "cpu"), "threads": 1, "lanes": 2},
    "images": {"train": 96, "validation": 48, "test": 48, "size": 32},
    "voc": {"images": 24},
    "targets": {"dimension": 8, "k": 4},
    "model": {"hidden": 16},
    "pretrain": {"epochs": 3, "batch_size": 16, "save_every": 1, "knn_every": 1},
    "baselines": {
        "random": {"batch_size": 16},
        "labels": {"epochs": 2, "batch_size": 16, "crops": 2},
        "autoencoder": {"epochs": 4, "batch_size": 16},
        "bigan": {
            "epochs": 14,
            "batch_size": 16,
            "lr": 0.0005,
            "lr_discriminator": 0.002,
            "code": 16,
            "hidden": 64,
        },
        "context_encoder": {"epochs": 4, "batch_size": 16},
        "context_encoder_adversarial": {"epochs": 4, "batch_size": 16},
        "denoising": {"epochs": 4, "batch_size": 16},
        "gan": {"epochs": 16, "batch_size": 16, "lr": 0.01, "lr_discriminator": 0.0002},
        "vae": {"epochs": 4, "batch_size": 16},
        "egomotion": {"epochs": 8, "batch_size": 16, "lr": 0.02, "bins": 2},
        "tracking": {"epochs": 4, "batch_size": 16, "dimension": 8, "random_epochs": 2},
        "barlow_twins": TINY_PAIRS,
        "byol": TINY_PAIRS,
        "dino": TINY_PAIRS | {"prototypes": 32, "lr": 0.1},
        "simclr": TINY_PAIRS,
        "simsiam": TINY_PAIRS,
        "vicreg": TINY_PAIRS,
        "colorization": {"epochs": 4, "batch_size": 16},
        "context_prediction": {"epochs": 4, "batch_size": 16},
        "exemplar": {"classes": 32, "units": 32, "epochs": 12, "batch_size": 16},
        "jigsaw": {"permutations": 4, "units": 16, "epochs": 4, "batch_size": 16},
        "jigsaw_dense": {"permutations": 4, "units": 16, "epochs": 4, "batch_size": 16},
        "rotnet": {"epochs": 4, "batch_size": 16},
        "dec": {"epochs": 4, "batch_size": 16, "k": 3},
        "deepcluster": {"epochs": 4, "batch_size": 16, "k": 4, "dimension": 4},
        "diffrac": {"epochs": 4, "batch_size": 16, "k": 4, "dimension": 8},
        "kmeans_layers": {"epochs": 3, "batch_size": 16},
        "neural_gas": {"epochs": 3, "batch_size": 16},
        "sela": {"epochs": 4, "batch_size": 16, "k": 4},
        "spherical_kmeans": {"epochs": 4, "batch_size": 16, "k": 4, "dimension": 8},
    },
    "probe": {"hidden": 16, "epochs": 2, "batch_size": 16, "crops": 2, "neighbours": 3},
    "fisher": {
        "patches": [8, 16],
        "step": 8,
        "sift": 8,
        "gaussians": 3,
        "samples": 500,
        "dimension": 12,
        "hidden": 16,
    },
    "ablations": {
        "nat": [
            "permute_every=never",
            "target_type=onehot,targets.k=4",
            "targets.dimension=4",
            "target_type=mixture",
            "alignment=greedy",
        ],
        "labels": ["model.preprocessing=clean", "baselines.labels.loss=square"],
    },
    "finetune": {"hidden": 16, "iterations": 4, "batch_size": 4, "crops": 2},
    "detect": {
        "hidden": 16,
        "iterations": 4,
        "save_every": 2,
        "images": 2,
        "regions": 16,
        "lr_drop_at": [3],
    },
}


def merge(content: dict[str, Any], changes: dict[str, Any]) -> None:
    """Set ``changes`` in ``content``, groups setting by setting."""
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(content.get(name), dict):
            merge(content[name], value)
        else:
            content[name] = value


def settings(**groups: Any) -> dict[str, Any]:
    """The embedded profile's content, made tiny, with ``groups`` merged in."""
    content = YAML(typ="safe").load(EMBEDDED.read_text())
    merge(content, TINY)
    merge(content, groups)
    return content


def machine(data: object = "data", scratch: object = "scratch") -> Machine:
    """The group ``machine`` with these folders."""
    places = {"data": str(data), "scratch": str(scratch)}
    return Machine.model_validate(settings()["machine"] | places)


if __name__ == "__main__":
    YAML().dump(settings(), sys.stdout)
