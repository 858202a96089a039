"""A small kit written by hand, and a network to start from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nat.data.seeds import generator
from nat.network.model import Network, initialise, save_network
from nat.voc.data.devkit import (
    Box,
    Thing,
    annotation,
    annotation_xml,
    jpeg,
    make_folders,
    write_image_set,
)

CLASSES = ["cat", "dog"]
THINGS = {
    "000001": [Thing("cat", Box(1, 1, 20, 16), False, False)],
    "000002": [
        Thing("dog", Box(3, 4, 9, 9), True, False),
        Thing("cat", Box(10, 4, 24, 20), False, True),
        Thing("cat", Box(2, 2, 5, 5), True, False),
    ],
    "000003": [Thing("dog", Box(2, 3, 12, 20), False, False)],
}


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A VOCdevkit folder: three colour images of 24 x 20 px, the last one also in test."""
    devkit = tmp_path / "VOCdevkit"
    make_folders(devkit)
    draws = np.random.default_rng(0)
    for name, things in THINGS.items():
        pixels = draws.integers(0, 255, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(jpeg(devkit, name))
        annotation(devkit, name).write_bytes(annotation_xml(name, 24, 20, 3, things))
    write_image_set(devkit, "trainval", THINGS, CLASSES)
    write_image_set(devkit, "test", {"000003": THINGS["000003"]}, CLASSES)
    return devkit


@pytest.fixture
def network_file(tmp_path: Path, make_params: Any, objects: Any) -> Path:
    """An untrained network with batch norm statistics of real activations, as any method has."""
    network = Network(make_params().model, 28, 8)
    initialise(network, generator(0, "network"))
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the statistics of the one batch below
    images, _ = objects
    network(torch.from_numpy(images[:100, None]))
    save_network(network, tmp_path / "network.safetensors")
    return tmp_path / "network.safetensors"
