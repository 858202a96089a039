from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from trained import Run

from nat.methods import TrunkSession
from nat.methods.dec import Embedding, Settings, sharpened, soft_assignment
from nat.pretext.clusters import outputs_of_all
from nat.runtime.errors import UserError
from nat.runtime.naming import Name


def test_assignment_target_and_gradient_are_the_papers() -> None:
    draws = torch.Generator().manual_seed(0)
    z = torch.randn(7, 3, generator=draws, dtype=torch.float64, requires_grad=True)
    mu = torch.randn(4, 3, generator=draws, dtype=torch.float64, requires_grad=True)
    q = soft_assignment(z, mu)
    kernel = 1 / (1 + ((z.detach().numpy()[:, None] - mu.detach().numpy()) ** 2).sum(2))
    np.testing.assert_allclose(q.detach(), kernel / kernel.sum(1, keepdims=True))
    p = sharpened(q.detach())
    weight = q.detach().numpy() ** 2 / q.detach().numpy().sum(0)
    np.testing.assert_allclose(p, weight / weight.sum(1, keepdims=True))
    torch.nn.functional.kl_div(q.log(), p, reduction="sum").backward()
    # eq. 4 and 5 for one degree of freedom
    apart = z.detach()[:, None] - mu.detach()
    pull = 2 * torch.from_numpy(kernel)[:, :, None] * (p - q.detach())[:, :, None] * apart
    assert torch.allclose(z.grad, pull.sum(1))
    assert torch.allclose(mu.grad, -pull.sum(0))


@pytest.fixture
def task(make_params: Any, manifest: Path, tmp_path: Path) -> Any:
    params = make_params()
    settings = Settings.model_validate(params.baselines["dec"])
    with TrunkSession(
        params, Name("dec"), {}, manifest, tmp_path / "n", tmp_path / "r.json"
    ) as session:
        yield Embedding(session, session.network(2).trunk, settings)


def test_each_phase_trains_its_own_part_and_has_a_gradient_of_all(task: Embedding) -> None:
    images = torch.randint(0, 256, (6, 1, 28, 28), dtype=torch.uint8)
    for epoch, phase in ((1, 0), (2, 1)):  # 2 of 4 epochs are the autoencoder's
        task.begin(epoch)
        task.zero_grad()
        loss, measures = task(images, torch.arange(6))
        loss.backward()
        assert all(weight.grad is not None for weight in task.parameters())
        assert loss.equal(measures["kl" if phase else "error"])
        assert bool(task.centres.grad.any()) == bool(phase)
        assert bool(task.decode.weight.grad.any()) != bool(phase)
        assert task.encode.weight.grad.any()
        assert task.trunk.layers.conv1.weight.grad.any()
        assert bool(list(task.renewed())) == bool(phase)


def test_the_divergence_is_that_of_images_from_their_own_targets(task: Embedding) -> None:
    task.begin(2)
    codes = outputs_of_all(task.session, task, task.code)
    everything = sharpened(soft_assignment(codes, task.centres.detach()))
    assert torch.allclose(task.p, everything, atol=1e-6)
    rows = torch.tensor([5, 40, 90, 91])
    images = task.session.images.batch(rows)[:, :, 2:30, 2:30]
    loss, measures = task(images, rows)
    p = task.p[rows].double().numpy()
    q = soft_assignment(task.code(images), task.centres).detach().double().numpy()
    assert loss.item() == pytest.approx((p * np.log(p / q)).sum(1).mean(), rel=1e-4)
    assert measures["certainty"].item() == pytest.approx(q.max(1).mean(), rel=1e-4)


def test_centres_are_found_anew_only_while_the_code_is_learned(task: Embedding) -> None:
    task.begin(2)
    found = task.centres.clone()
    with torch.no_grad():
        task.centres += 1
    task.begin(3)
    assert torch.equal(task.centres, found + 1)
    task.begin(2)
    assert torch.equal(task.centres, found)
    assert task.p.shape == (96, 3)


def test_phases_follow_each_other(run: Run) -> None:
    rows = run("dec").result["history"]
    assert ["error" in row for row in rows] == [True, True, False, False]
    assert rows[1]["error"] < rows[0]["error"]


def test_more_clusters_than_images_are_refused(run: Run) -> None:
    with pytest.raises(UserError, match=r"dec\.k: 97 clusters of 96 images"):
        run("dec", k=97)
