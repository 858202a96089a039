"""Step sizes, and the epochs in which the assignment is updated."""

from typing import Literal


def constant_then_decay(start: float, decay: float, hold: int, t: int) -> float:
    """Section 3.3: ``l_t = l_0 / (1 + gamma [t - t_0]_+)``.

    Args:
        start: l_0, the constant learning rate.
        decay: gamma, per unit of ``t``; 0 keeps the step constant.
        hold: t_0, in the unit of ``t`` (batches when pretraining, epochs in the probe).
        t: counted from 0.
    """
    return start / (1 + decay * max(t - hold, 0))


def due(epoch: int, every: int | Literal["never"]) -> bool:
    """Whether something done every so many epochs is done after ``epoch``, counted from 1."""
    return every != "never" and epoch % every == 0


def permutes_in(epoch: int, permute_every: int | Literal["never"]) -> bool:
    """Whether every batch of ``epoch`` (counted from 0) is reassigned; epoch 0 is unless never."""
    return due(epoch, permute_every)
