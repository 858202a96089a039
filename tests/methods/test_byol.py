import numpy as np
import pytest
import torch
from torch import nn

from nat.methods.byol import Bootstrap, error
from nat.pretext.teacher import Teacher
from nat.pretext.views import BYOL, Views


def test_the_error_is_the_distance_of_unit_vectors() -> None:
    predicted, wanted = np.random.default_rng(0).normal(size=(2, 7, 5))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (predicted, wanted)]
    expected = np.square(unit[0] - unit[1]).sum(1).mean()
    found = error(torch.from_numpy(predicted), torch.from_numpy(wanted))
    assert found.item() == pytest.approx(expected)


def test_the_error_is_lightlys() -> None:
    lightly = pytest.importorskip("lightly.loss")
    predicted, wanted = torch.randn(2, 7, 5)
    expected = 2 + 2 * lightly.NegativeCosineSimilarity()(predicted, wanted)
    assert torch.allclose(error(predicted, wanted), expected)


def test_each_view_is_predicted_from_the_other() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(16, 6))
    predictor = nn.Linear(6, 6)
    task = Bootstrap(encoder, Views(BYOL, 0.2, True), predictor, Teacher(encoder, 0.9, 10))
    with torch.no_grad():
        encoder[1].weight.normal_()  # the teacher is another network now
    first, second = torch.rand(2, 5, 1, 4, 4)
    loss = task.loss(*task.embed(first, second))
    unit = nn.functional.normalize
    expected = 0
    for seen, other in ((first, second), (second, first)):
        guess, truth = unit(predictor(encoder(seen))), unit(task.teacher.network(other))
        expected += (guess - truth).square().sum(1).mean()
    assert torch.allclose(loss, expected)
    loss.backward()
    assert task.teacher.network[1].weight.grad is None
    task.stepped()
    assert float(task.teacher.step) == 1
