"""A teacher: a network that is the moving average of one that learns from it."""

import copy
import math

import torch
from torch import nn


class Teacher(nn.Module):
    """Weights that follow a student's, the more slowly the longer training has gone on.

    After a step, w <- d w + (1 - d) student, where d rises from ``decay`` to 1 as half a cosine
    (Grill et al., 2020, section 3.2). Batch norm normalises by the batch, as the student's does.
    """

    step: torch.Tensor

    def __init__(self, student: nn.Module, decay: float, steps: int) -> None:
        """A copy of the student as it is.

        Args:
            student: whose weights are followed.
            decay: d in the first step.
            steps: of the whole training.
        """
        super().__init__()
        self.network = copy.deepcopy(student).requires_grad_(False)
        self.decay, self.steps = decay, steps
        self.register_buffer("step", torch.zeros(()))

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the weights give; no gradient."""
        return self.network(x)

    @torch.no_grad()
    def follow(self, student: nn.Module) -> None:
        """Move towards the student, after its step."""
        share = (1 - self.decay) * (1 + (math.pi * self.step / self.steps).cos()) / 2
        for own, learnt in zip(self.network.parameters(), student.parameters(), strict=True):
            own.lerp_(learnt, share)
        self.step += 1
