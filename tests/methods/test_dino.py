from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nat.methods.dino import Distillation, Prototypes, cross_entropy
from nat.pretext.teacher import Teacher
from nat.pretext.views import BYOL, Views
from nat.runtime.distributed import Distributed

CPU = Distributed(torch.device("cpu"))


def softmax(x: np.ndarray) -> np.ndarray:
    weights = np.exp(x - x.max())
    return weights / weights.sum()


def test_cross_entropy_is_that_of_a_loop() -> None:
    draws = np.random.default_rng(0)
    student, teacher = draws.normal(size=(2, 6, 4)) / 10
    centre = draws.normal(size=4) / 10
    expected = np.mean(
        [
            -(softmax((t - centre) / 0.04) * np.log(softmax(s / 0.1))).sum()
            for s, t in zip(student, teacher, strict=True)
        ]
    )
    found = cross_entropy(*(torch.from_numpy(x) for x in (student, teacher, centre)))
    assert found.item() == pytest.approx(expected)


def test_prototypes_give_cosines() -> None:
    layer, x = Prototypes(5, 3, bias=False), torch.randn(4, 5)
    expected = nn.functional.cosine_similarity(x[:, None], layer.weight[None], dim=2)
    assert torch.allclose(layer(x), expected, atol=1e-6)


@pytest.fixture
def task() -> Distillation:
    encoder, prototypes = nn.Sequential(nn.Flatten(), nn.Linear(16, 6)), Prototypes(6, 4, False)
    teacher = Teacher(nn.Sequential(encoder, prototypes), 0.9, 10)
    task = Distillation(encoder, Views(BYOL, 0.2, True), prototypes, teacher, CPU)
    with torch.no_grad():
        encoder[1].weight.normal_()  # the teacher is another network now
    return task


def test_each_view_is_sorted_as_the_teacher_sorts_the_other(task: Distillation) -> None:
    first, second = torch.rand(2, 5, 1, 4, 4)
    teacher = [task.teacher.network(view) for view in (first, second)]
    student = [task.prototypes(task.encoder(view)) for view in (first, second)]
    task.centre += 0.05 * torch.randn(4)
    centre = task.centre.clone()
    expected = cross_entropy(student[0], teacher[1], centre)
    expected = (expected + cross_entropy(student[1], teacher[0], centre)) / 2
    loss = task.loss(*task.embed(first, second))
    assert torch.allclose(loss, expected)
    assert torch.allclose(task.centre, 0.9 * centre + 0.1 * torch.cat(teacher).mean(0))
    loss.backward()
    task.stepped()
    assert float(task.teacher.step) == 1
    learnt = task.encoder[1].weight, task.prototypes.weight
    copies = task.teacher.network[0][1].weight, task.teacher.network[1].weight
    assert all(each.grad is not None for each in learnt)
    assert all(each.grad is None for each in copies)
    assert not torch.equal(copies[0], task.encoder[1].weight)


def test_the_loss_is_lightlys(task: Distillation) -> None:
    lightly = pytest.importorskip("lightly.loss")
    reference = lightly.DINOLoss(output_dim=4, teacher_temp=0.04, warmup_teacher_temp=0.04)
    for _ in range(3):  # the centre moves
        student, teacher = torch.randn(2, 2, 5, 4) / 5
        expected = reference(list(teacher), list(student), epoch=0)
        found = task.loss(student[0], student[1], *student, *teacher)
        assert torch.allclose(found, expected)
    assert torch.allclose(task.centre, reference.center.flatten())


def test_the_centre_is_that_of_all_processes(task: Distillation, monkeypatch: Any) -> None:
    monkeypatch.setattr(Distributed, "all_reduce", lambda self, x: x.add_(1 * (self.size - 1)))
    task.distributed = Distributed(torch.device("cpu"), size=2)
    views = torch.zeros(6, 5, 4)
    task.loss(*views)
    assert torch.allclose(task.centre, torch.full((4,), 0.1 / 2))
