from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from trained import Run

from nat.data.store import Store
from nat.methods.exemplar import Exemplars, components
from nat.network.model import Trunk
from nat.pretext.distortions import distorted
from nat.runtime.errors import UserError


def test_the_loss_is_that_of_the_image_a_distorted_one_is_of() -> None:
    torch.manual_seed(0)
    colours = torch.rand(3), torch.linalg.qr(torch.randn(3, 3))[0]
    task = Exemplars(Trunk("small", channels=3), 28, 12, 8, colours).eval()
    images = torch.randint(0, 256, (5, 3, 28, 28), dtype=torch.uint8)
    rows = torch.tensor([3, 11, 0, 7, 5])
    torch.manual_seed(1)
    loss, measures = task(images, rows)
    torch.manual_seed(1)
    logits = task.top(task.trunk(distorted(images, *colours)))
    assert logits.shape == (5, 12)
    terms = [-F.log_softmax(line, 0)[row] for line, row in zip(logits, rows, strict=True)]
    assert torch.allclose(loss, torch.stack(terms).mean())
    right = (logits.argmax(1) == rows).double().mean()
    assert measures["accuracy"] == pytest.approx(100 * right.item(), abs=1e-3)


def test_components_are_those_of_pixels(make_params: Any, manifest: Path) -> None:
    store = Store(manifest, make_params().machine.data, "train")
    mean, axes = components(store)
    assert mean.item() == pytest.approx(np.asarray(store.images).mean() / 255)
    assert axes.abs().item() == 1

    class Coloured:
        """Some images of three channels."""

        pixels = torch.randint(0, 256, (50, 3, 8, 8), dtype=torch.uint8)
        pixels[:, 1] = pixels[:, 0] // 2 + pixels[:, 1] // 4

        def __len__(self) -> int:
            return 50

        def batch(self, rows: torch.Tensor) -> torch.Tensor:
            return self.pixels[rows]

    mean, axes = components(Coloured())  # type: ignore[arg-type]
    flat = Coloured.pixels.movedim(1, 3).reshape(-1, 3).double() / 255
    wanted = PCA().fit(flat.numpy())
    np.testing.assert_allclose(mean, wanted.mean_, rtol=1e-5)
    cosines = np.abs(wanted.components_[::-1] @ axes.numpy())
    np.testing.assert_allclose(cosines, np.eye(3), atol=1e-4)


def test_only_the_classes_images_are_looked_at(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[int, int] = {}
    original = Exemplars.forward

    def noted(task: Exemplars, images: torch.Tensor, rows: torch.Tensor) -> Any:
        for row in rows.tolist():
            seen[row] = seen.get(row, 0) + 1
        return original(task, images, rows)

    monkeypatch.setattr(Exemplars, "forward", noted)
    run("exemplar", classes=32, epochs=3)
    assert seen == dict.fromkeys(range(32), 3)


def test_more_classes_than_images_are_refused(run: Run) -> None:
    said = r"^baselines\.exemplar\.classes: 97 is larger than the 96 images to train on; use at"
    with pytest.raises(UserError, match=said):
        run("exemplar", classes=97)
