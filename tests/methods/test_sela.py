from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trained import Run

from nat.methods import TrunkSession
from nat.methods.sela import SelfLabelling, Settings
from nat.pretext.clusters import outputs_of_all
from nat.runtime.errors import UserError
from nat.runtime.naming import Name


def test_labels_are_shared_out_by_scaling_the_outputs(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    params = make_params()
    settings = Settings.model_validate(params.baselines["sela"])
    with TrunkSession(
        params, Name("sela"), {}, manifest, tmp_path / "n", tmp_path / "r.json"
    ) as session:
        task = SelfLabelling(session, session.network(4), settings)
        with torch.no_grad():
            task.network.head[-1].bias[2] += 1  # which all images would have
        outputs = outputs_of_all(session, task, task.network).double().numpy()
        task.begin(0)
        assert (outputs.argmax(1) == 2).sum() > 90
        # Sinkhorn and Knopp's scaling of p^lambda, as the paper's algorithm has it
        p = (np.exp(outputs) / np.exp(outputs).sum(1, keepdims=True)) ** settings.strength
        beta = np.ones(4)
        for _ in range(5000):
            alpha = 1 / (p @ beta)
            beta = 96 / 4 / (p.T @ alpha)
        wanted = (p * beta).argmax(1)
        assert (task.labels.numpy() == wanted).mean() > 0.97
        assert np.bincount(task.labels, minlength=4).min() > 12
        rows = torch.arange(5) * 19
        images = session.images.batch(rows)[:, :, :28, :28]
        loss, _ = task(images, rows)
        each = task.network(images).log_softmax(1)[torch.arange(5), task.labels[rows]]
        assert loss.item() == pytest.approx(-each.mean().item(), rel=1e-5)


def test_labels_stay_even_while_the_network_learns_them(run: Run) -> None:
    assert min(run("sela").column("evenness")) > 0.9


def test_more_labels_than_images_are_refused(run: Run) -> None:
    with pytest.raises(UserError, match=r"sela\.k: 97 clusters of 96 images"):
        run("sela", k=97)
