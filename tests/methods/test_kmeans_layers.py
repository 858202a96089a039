from typing import Any

import pytest
import torch
from trained import Run

from nat.pretext import layerwise
from nat.pretext.codebooks import neural_gas, spherical
from nat.runtime.errors import UserError


@pytest.mark.parametrize("method", ["kmeans_layers", "neural_gas"])
def test_layers_are_learned_in_turn(method: str, run: Run) -> None:
    trained = run(method)
    rows = trained.result["history"]
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5]
    ratios = [row["loss"] / row["start"] for row in rows]
    assert max(ratios) < 1
    for number, row in enumerate(rows, start=1):
        assert row["error"] == pytest.approx((sum(ratios[:number]) + 5 - number) / 5, rel=1e-5)
    network = trained.network
    assert network is not None
    for index in range(1, 6):
        weight = network.trunk.layers.get_submodule(f"conv{index}").weight
        assert torch.allclose(weight.flatten(1).norm(dim=1), torch.ones(len(weight)), atol=1e-4)
        seen = (weight != 0).any(3).any(2).sum(1)
        assert (seen == (2 if index == 1 else 16)).all()


@pytest.mark.parametrize(
    ("method", "learner"), [("kmeans_layers", spherical), ("neural_gas", neural_gas)]
)
def test_each_method_has_its_own_learner(
    method: str, learner: Any, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def tell(session: Any, settings: Any, used: Any) -> None:
        told.append(used)
        layerwise.learn_layers(session, settings, used)

    monkeypatch.setattr(f"nat.methods.{method}.learn_layers", tell)
    run(method)
    assert told == [learner]


def test_more_groups_than_filters_are_refused(run: Run) -> None:
    with pytest.raises(UserError, match=r"kmeans_layers\.groups: 33 groups of 32 filters"):
        run("kmeans_layers", groups=33)


def test_an_interrupted_training_ends_in_the_same_bytes(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("kmeans_layers")
    file = whole.folder / "network.safetensors"
    expected = file.read_bytes()
    file.unlink()
    learn, calls = layerwise.learn_layer, iter(range(9))

    def interrupted(*words: Any) -> Any:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return learn(*words)

    monkeypatch.setattr(layerwise, "learn_layer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run("kmeans_layers")
    monkeypatch.undo()
    again = run("kmeans_layers")
    assert file.read_bytes() == expected
    assert again.column("error") == whole.column("error")
