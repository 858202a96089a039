from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from trained import Run

from nat.methods import TrunkSession
from nat.methods.spherical_kmeans import FreeTargets, Settings
from nat.runtime.naming import Name


def test_the_loss_is_the_distance_to_the_closest_target(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    params = make_params()
    own = Settings.model_validate(params.baselines["spherical_kmeans"])
    with TrunkSession(
        params, Name("spherical_kmeans"), {}, manifest, tmp_path / "n", tmp_path / "r.json"
    ) as session:
        task = FreeTargets(session, session.network(own.dimension), own)
        task.begin(0)
        assert len(task.targets.unique(dim=0)) == 4
        with torch.no_grad():
            task.targets *= 3  # whose lengths do not matter
        images = session.images.batch(torch.arange(12))[:, :, 2:30, 2:30]
        loss, measures = task(images, torch.arange(12))
        features = F.normalize(task.network(images).double())
        distances = torch.cdist(features, F.normalize(task.targets.double())).square()
        assert loss.item() == pytest.approx(distances.min(1).values.sum().item(), rel=1e-3)
        assert measures["distance"].item() == pytest.approx(loss.item() / 12, rel=1e-5)
        pairs = [(features[i] @ features[j]).item() for i in range(12) for j in range(i)]
        assert measures["cosine"] == pytest.approx(sum(pairs) / len(pairs), abs=1e-4)
        assert measures["used"] == len(distances.argmin(1).unique())


def test_features_and_targets_collapse(run: Run) -> None:
    """Section 3.1's prediction, on images of three kinds."""
    trained = run("spherical_kmeans", epochs=8)
    assert trained.column("distance")[-1] < 0.01
    assert trained.column("cosine")[-1] > 0.9
    assert trained.column("used")[-1] < trained.column("used")[0]
