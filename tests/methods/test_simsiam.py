import numpy as np
import pytest
import torch
from torch import nn

from nat.methods.simsiam import Siamese, disagreement
from nat.pretext.views import SIMSIAM, Views


def test_disagreement_is_minus_the_cosine() -> None:
    predicted, wanted = np.random.default_rng(0).normal(size=(2, 7, 5))
    cosines = [p @ w / np.linalg.norm(p) / np.linalg.norm(w) for p, w in zip(predicted, wanted)]  # noqa: B905
    found = disagreement(torch.from_numpy(predicted), torch.from_numpy(wanted))
    assert found.item() == pytest.approx(-np.mean(cosines))


def test_disagreement_is_lightlys() -> None:
    lightly = pytest.importorskip("lightly.loss")
    predicted, wanted = torch.randn(2, 7, 5)
    expected = lightly.NegativeCosineSimilarity()(predicted, wanted)
    assert torch.allclose(disagreement(predicted, wanted), expected)


def test_the_gradient_stops_at_what_is_predicted() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 6))
    task = Siamese(encoder, Views(SIMSIAM, 0.2, True), nn.Linear(6, 6))
    first, second = torch.rand(2, 5, 1, 4, 4)
    task.loss(*task.embed(first, second)).backward()
    found = encoder[1].weight.grad.clone()
    # the same with numbers in place of what is predicted
    encoder.zero_grad()
    fixed = [encoder(view).detach() for view in (first, second)]
    unit = nn.functional.normalize
    total = 0
    for seen, other in ((first, fixed[1]), (second, fixed[0])):
        total -= (unit(task.predictor(encoder(seen))) * unit(other)).sum(1).mean() / 2
    total.backward()
    assert torch.allclose(found, encoder[1].weight.grad, atol=1e-6)
