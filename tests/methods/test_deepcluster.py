from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from trained import Run

from nat.methods import TrunkSession
from nat.methods.deepcluster import DeepCluster, Settings
from nat.pretext.clusters import outputs_of_all
from nat.runtime.errors import UserError
from nat.runtime.naming import Name


@pytest.fixture
def task(make_params: Any, manifest: Any, tmp_path: Any) -> Any:
    params = make_params()
    name = Name("deepcluster")
    settings = Settings.model_validate(params.baselines["deepcluster"])
    with TrunkSession(params, name, {}, manifest, tmp_path / "n", tmp_path / "r.json") as session:
        yield DeepCluster(session, session.network(settings.k), settings)


def test_features_are_those_before_the_last_relu(task: DeepCluster) -> None:
    task.eval()
    images = torch.randint(0, 256, (6, 1, 28, 28), dtype=torch.uint8)
    found = task.hidden(images)
    assert found.min() < 0
    outputs = task.network.head[-1](F.relu(found))
    assert torch.allclose(outputs, task.network(images), atol=1e-6)


def test_features_are_whitened_components_of_unit_length(task: DeepCluster) -> None:
    with torch.no_grad():
        task.network.head[-3].bias.uniform_(-1, 1)  # batch norm's: their mean is not 0
    hidden = outputs_of_all(task.session, task, task.hidden).numpy()
    wanted = PCA(4, whiten=True, svd_solver="full").fit_transform(hidden)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    found = task.reduced().numpy()
    products = (found * wanted).sum(1)  # alike but for the components' signs
    assert np.allclose(np.abs(found), np.abs(wanted), atol=1e-3), products


def test_a_cluster_counts_the_same_however_large(task: DeepCluster) -> None:
    task.begin(0)
    assert task.sizes.equal(torch.bincount(task.labels, minlength=4))
    images = torch.randint(0, 256, (6, 1, 28, 28), dtype=torch.uint8)
    rows = torch.arange(6) * 16
    loss, measures = task.eval()(images, rows)
    labels, outputs = task.labels[rows], task.network(images)
    weights = 1 / task.sizes[labels]
    each = -F.log_softmax(outputs, 1)[torch.arange(6), labels]
    expected = ((weights * each).sum() / weights.sum()).item()
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    right = 100 * (outputs.argmax(1) == labels).double().mean()
    assert measures["accuracy"] == pytest.approx(float(right), abs=1e-3)


def test_the_last_layer_is_new_in_each_epoch_and_the_trunk_is_not(task: DeepCluster) -> None:
    last, trunk = task.network.head[-1], task.network.trunk.layers.conv1.weight.clone()
    seen = []
    for epoch in (0, 1, 0):
        task.begin(epoch)
        assert not last.bias.any()
        assert last.weight.std().item() == pytest.approx(0.01, rel=0.3)
        seen.append((last.weight.clone(), task.labels.clone()))
    assert not seen[0][0].equal(seen[1][0])
    assert all(a.equal(b) for a, b in zip(seen[0], seen[2], strict=True))
    assert task.network.trunk.layers.conv1.weight.equal(trunk)
    assert set(task.renewed()) == set(last.parameters())


@pytest.mark.parametrize("fused", [False, True])  # as on a GPU
def test_the_optimizer_forgets_the_last_layers_steps(
    fused: bool, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[bool] = []
    step = torch.optim.SGD.step

    def watched(optimizer: torch.optim.SGD, closure: Any = None) -> None:
        optimizer.param_groups[0]["fused"] = fused
        *_, last = optimizer.param_groups[0]["params"]
        past = optimizer.state[last].get("momentum_buffer")
        known.append(past is not None and bool(past.any()))
        step(optimizer, closure)

    monkeypatch.setattr(torch.optim.SGD, "step", watched)
    run("deepcluster", epochs=2)
    assert known == ([False] + [True] * 5) * 2  # 96 images in batches of 16


def test_an_interrupted_training_ends_in_the_same_bytes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("deepcluster")
    expected = (whole.folder / "network.safetensors").read_bytes()
    (whole.folder / "network.safetensors").unlink()
    begin = DeepCluster.begin

    def interrupted(task: DeepCluster, epoch: int) -> None:
        begin(task, epoch)
        if epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(DeepCluster, "begin", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("deepcluster")
    monkeypatch.undo()
    again = run("deepcluster")
    assert (again.folder / "network.safetensors").read_bytes() == expected
    assert again.column("agreement") == whole.column("agreement")


def test_more_than_there_is_is_refused(run: Run) -> None:
    with pytest.raises(UserError, match=r"deepcluster\.k: 97 clusters of 96 images"):
        run("deepcluster", k=97)
    with pytest.raises(UserError, match=r"deepcluster\.dimension: 17 of the 16 numbers of model"):
        run("deepcluster", dimension=17)
