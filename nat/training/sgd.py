"""Stochastic gradient descent as section 3.3 runs it, and the guard against divergence."""

import torch
from torch import nn

from nat.errors import UserError
from nat.params import Training
from nat.training.schedule import constant_then_decay


def sgd(module: nn.Module, settings: Training) -> torch.optim.SGD:
    """Plain SGD over the parameters of ``module`` with the settings' momentum and weight decay."""
    return torch.optim.SGD(
        module.parameters(),
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )


def set_step_size(optimizer: torch.optim.Optimizer, settings: Training, t: int) -> float:
    """Set and return the step size of batch ``t``, counted from 0 over the whole training."""
    lr = constant_then_decay(settings.lr, settings.lr_decay, settings.lr_hold, t)
    for group in optimizer.param_groups:
        group["lr"] = lr
    return lr


def finite(loss: torch.Tensor, setting: str, epoch: int) -> float:
    """The loss as a number.

    Raises:
        UserError: it is NaN or infinite; names ``setting``, the step size to lower.
    """
    value = float(loss)
    if value - value != 0:  # true for NaN and the infinities alone
        raise UserError(f"{setting}: the loss is {value} in epoch {epoch + 1}; use a smaller one")
    return value
