import math

import torch
from torch import nn

from nat.pretext.teacher import Teacher


def test_weights_follow_more_and_more_slowly() -> None:
    student = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    teacher = Teacher(student, 0.9, 5)
    wanted = student[0].weight.detach().double()
    for step in range(5):
        with torch.no_grad():
            student[0].weight.normal_()
        teacher.follow(student)
        decay = 1 - 0.1 * (math.cos(math.pi * step / 5) + 1) / 2
        wanted = decay * wanted + (1 - decay) * student[0].weight.detach()
        assert torch.allclose(teacher.network[0].weight.double(), wanted, atol=1e-6)
    assert float(teacher.step) == 5  # which an interrupted training keeps


def test_it_normalises_by_the_batch() -> None:
    student = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    teacher, x = Teacher(student, 0.9, 5).train(), 5 + torch.randn(8, 3)
    for _ in range(2):
        found = teacher(x)
        assert found.mean(0).abs().max() < 1e-5
        assert torch.allclose(found.var(0, correction=0), torch.ones(4), atol=1e-2)
    assert torch.equal(found, student(x))


def test_it_learns_nothing_by_itself_and_leaves_the_student_alone() -> None:
    student = nn.Linear(3, 2)
    before = student.weight.clone()
    teacher = Teacher(student, 0.9, 5)
    with torch.no_grad():
        teacher.network.weight.zero_()
    x = torch.randn(2, 3, requires_grad=True)
    assert not teacher(x).requires_grad
    assert not any(weight.requires_grad for weight in teacher.parameters())
    assert torch.equal(student.weight, before)
    assert {"step", "network.weight", "network.bias"} == teacher.state_dict().keys()
