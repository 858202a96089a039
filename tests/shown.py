"""What figures show, small and made up."""

from typing import Any

import numpy as np

from nat.illustrate.detected import Detected
from nat.illustrate.filters import Filters
from nat.illustrate.illustration import Illustration

CLASSES = ["across", "along", "a_disc|50%"]


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


def illustration(
    data: str = "fashion-mnist",
    seed: int = 0,
    target_type: str = "sphere",
    images_tested: int = 500,
) -> Illustration:
    draws = np.random.default_rng(0)

    def images(*shape: int) -> np.ndarray:
        return draws.integers(0, 256, (*shape, 1, 12, 12), dtype=np.uint8)

    def points(n: int) -> np.ndarray:
        return draws.uniform(-0.7, 0.7, (n, 2)).astype(np.float32)

    facts = {
        "source": data,
        "classes": CLASSES,
        "train": 1200,
        "test": images_tested,
        "size": 12,
        "channels": 1,
        "crop": 10,
        "preprocessing": "sobel",
        "target_type": target_type,
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
        images=images(8),
        gradients=draws.normal(size=(2, 10, 10)).astype(np.float16),
        features=points(8),
        targets=points(8),
        cosines=draws.uniform(0, 1, 8).astype(np.float32),
        other_features=points(20),
        other_targets=points(20),
        queries=images(3),
        query_labels=np.array([0, 1, 2]),
        neighbours=images(3, 3),
        neighbour_labels=np.array([[0, 0, 1], [1, 1, 1], [2, 0, 2]]),
        distances=np.sort(draws.uniform(0, 1, (3, 3)).astype(np.float32)),
    )


def filters(data: str = "fashion-mnist", seed: int = 0) -> Filters:
    labels, nat = np.random.default_rng(0).normal(size=(2, 8, 7, 7)).astype(np.float16)
    facts = {"source": data, "preprocessing": "sobel", "trunk": "small"}
    return Filters(facts, provenance(seed, data), labels, nat)


def detected(data: str = "fashion-mnist-voc", seed: int = 0) -> Detected:
    """Two images of the best and one of the worst class, with every kind of frame."""
    draws = np.random.default_rng(0)
    classes = [
        {"name": CLASSES[2], "ap": 71.5, "objects": 40, "score": 0.5},
        {"name": CLASSES[0], "ap": 12.25, "objects": 30, "score": 0.125},
    ]
    shares = {"precision": 80.0, "recall": 62.5}
    in_second = [(4, 4, 20, 30), (5, 4, 20, 31), (4, 6, 24, 30), (8, 30, 30, 38)]
    return Detected(
        facts={"source": data, "test": 200, "classes": [each | shares for each in classes]},
        provenance=provenance(seed, data),
        images=draws.integers(0, 256, (3, 40, 40), dtype=np.uint8),
        sizes=np.array([[30, 40], [40, 32], [30, 40]]),
        labels=np.array([0, 0, 1]),
        boxes=np.array([(2, 3, 12.5, 20), *in_second], np.float32),
        boxes_in=np.array([0, 1, 1, 1, 1]),
        scores=np.array([0.97, 0.9, 0.8, 0.7, 0.6], np.float32),
        right=np.array([True, True, False, False, False]),
        neither=np.array([False, False, False, False, True]),
        objects=np.array([(2, 2, 12, 20), (4, 4, 20, 30), (8, 30, 30, 37), (0, 0, 9, 9)], "f4"),
        objects_in=np.array([0, 1, 1, 2]),
        difficult=np.array([False, False, True, False]),
        missed=np.array([False, False, False, True]),
    )
