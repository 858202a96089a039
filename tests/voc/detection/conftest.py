"""Proposals for the composed images: jittered objects, and boxes anywhere."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nat.runtime.settings.params import Params
from nat.voc.data.manifest import open_voc
from nat.voc.data.proposals import save_proposals
from nat.voc.data.reader import VocSplit


def near_objects(split: VocSplit, seed: int = 0) -> dict[str, np.ndarray]:
    """12 boxes near each object and 15 others, in mixed order."""
    draws = np.random.default_rng(seed)
    found = {}
    for one in split.annotations:
        boxes = []
        for thing in one.things:
            xmin, ymin, xmax, ymax = thing.box
            sides = np.array([xmax - xmin + 1, ymax - ymin + 1] * 2)
            boxes += [thing.box + draws.normal(0, 0.12, 4) * sides for _ in range(12)]
        for _ in range(15):
            low = draws.uniform(1, [one.width - 12, one.height - 12])
            boxes.append(np.concatenate([low, low + draws.uniform(8, 40, 2)]))
        limits = np.array([one.width, one.height] * 2)
        rounded = np.rint(boxes).clip(1, limits)
        found[one.name] = draws.permutation(rounded[(rounded[:, 2:] > rounded[:, :2]).all(1)])
    return found


@pytest.fixture
def proposals(tmp_path: Path, composed: tuple[Params, Path]) -> Any:
    """Folder of both splits' proposals."""
    folder = tmp_path / "proposals"
    _, *splits = open_voc(*composed)
    for name, split in zip(("trainval", "test"), splits, strict=True):
        save_proposals(folder / f"{name}.safetensors", near_objects(split))
    return folder
