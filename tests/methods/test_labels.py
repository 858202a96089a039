import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from nat.data.augment import fixed_crops
from nat.data.store import UNLABELLED, Source, Split, Store, write_store
from nat.methods import train
from nat.methods.labels import square
from nat.network.model import load_network
from nat.runtime.errors import UserError
from nat.runtime.naming import Name

LABELS = Name("labels")


@pytest.mark.parametrize(
    ("loss", "preprocessing"),
    [("softmax", "sobel"), ("square", "sobel"), ("softmax", "clean"), ("softmax", "high-pass")],
)
def test_learns_the_labels_and_states_its_own_accuracy(
    loss: str, preprocessing: str, make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    params = make_params(
        baselines={"labels": {"epochs": 12, "lr": 0.02, "loss": loss, "crops": 1}},
        model={"preprocessing": preprocessing},
    )
    train(params, LABELS, manifest, tmp_path / "labels", tmp_path / "r.json")
    network = load_network(tmp_path / "labels" / "network.safetensors").eval()
    val = Store(manifest, params.machine.data, "test")
    with torch.no_grad():
        guesses = network(fixed_crops(val.batch(torch.arange(48)), 28, 1)[0]).argmax(1)
    right = 100 * (guesses == val.labels).double().mean().item()
    assert right > 80  # by chance: 33
    result = json.loads((tmp_path / "r.json").read_text())
    assert result["measured"]["accuracy"] == pytest.approx(right, abs=0.01)
    used = result["provenance"]["parameters"]
    assert used.keys() == {"evaluate_on", "precision", "model", "augment", "baselines"}
    assert used["baselines"] == {"labels": params.baselines["labels"]}
    assert used["baselines"]["labels"]["crops"] == 1
    assert [row["epoch"] for row in result["history"]] == list(range(1, 13))
    assert [row["knn"] is None for row in result["history"]] == [True] * 11 + [False]


def test_square_loss_is_the_distance_to_the_classs_vector() -> None:
    outputs = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.tensor([2, 0, 1, 1])
    loss = square(outputs, labels)
    # |f - e_y|^2 = 2 - 2 f_y for unit f
    unit = F.normalize(outputs)
    expected = (2 - 2 * unit[torch.arange(4), labels]).mean()
    assert torch.allclose(loss, expected)
    loss.backward()
    assert torch.isfinite(outputs.grad).all()


def test_images_without_labels_are_refused(make_params: Any, tmp_path: Path) -> None:
    images = torch.zeros(96, 1, 32, 32, dtype=torch.uint8).numpy()
    split = Split(96, images, torch.full((96,), UNLABELLED).numpy())
    source = Source("unlabelled", [], {"train": split, "test": split})
    write_store(source, 32, 1, str(tmp_path / "data"), tmp_path / "u.json")
    with pytest.raises(UserError, match="training with labels needs"):
        train(make_params(), LABELS, tmp_path / "u.json", tmp_path / "n", tmp_path / "r.json")
