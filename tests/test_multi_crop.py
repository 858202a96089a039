from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nat.images.augment import fixed_crops
from nat.images.store import Store
from nat.multi_crop import multi_crop_accuracies
from nat.training.team import Team


@pytest.mark.parametrize("crops", [1, 2, 10])
def test_outputs_are_summed_over_crops(crops: int, make_params: Any, manifest: Path) -> None:
    """Against picture by picture, crop by crop, for two classifiers at once."""
    store = Store(manifest, make_params().machine.data, "val")
    weights = torch.randn(2, 3, 28 * 28, generator=torch.Generator().manual_seed(0))

    def classify(cuts: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(F.linear(cuts.flatten(1).float(), weight).softmax(1) for weight in weights)

    right = [0, 0]
    for row in range(len(store)):
        picture = store.batch(torch.tensor([row]))
        for index in range(2):
            votes = sum(classify(cut)[index][0] for cut in fixed_crops(picture, 28, crops))
            right[index] += int(votes.argmax() == store.labels[row])
    found = multi_crop_accuracies(classify, store, 28, crops, Team(torch.device("cpu")))
    assert found == pytest.approx([100 * count / len(store) for count in right])
    assert right[0] != right[1]
