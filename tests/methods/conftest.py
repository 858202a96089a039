"""What tests of single methods share."""

import json
from pathlib import Path
from typing import Any

import pytest
from trained import Run, Trained

from nat.methods import train
from nat.network.model import load_network
from nat.network.pretrained import NOT_RUN
from nat.runtime.naming import Name


@pytest.fixture
def run(make_params: Any, manifest: Path, tmp_path: Path) -> Run:
    """Trains a method on 96 small images, with changes of its tiny settings."""

    def trained(method: str, seed: int = 0, images: Path = manifest, **own: Any) -> Trained:
        params = make_params(baselines={method: own})
        folder = tmp_path / f"{method}-{seed}"
        result = folder.with_suffix(".json")
        train(params, Name(method, seed=seed), images, folder, result)
        file = folder / "network.safetensors"
        network = None if (folder / NOT_RUN).exists() else load_network(file)
        return Trained(json.loads(result.read_text()), folder, network)

    return trained
