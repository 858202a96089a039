"""Heads on a trunk's features, in which views are compared; they are not handed on."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from nat.network.model import initialise
from nat.runtime.device import check_weights


def projector(
    widths: Sequence[int], draws: torch.Generator, setting: str, last_norm: bool = False
) -> nn.Sequential:
    """Linear layers, each but the last with batch norm and ReLU.

    Args:
        widths: of the features, flattened, of hidden layers, and of the outputs.
        draws: of the first weights.
        setting: what the hidden width is called in params.yaml.
        last_norm: whether the outputs are standardised by batch norm without weights, too.

    Returns:
        from float (b, ...) to (b, outputs).

    Raises:
        UserError: no memory holds so many weights.
    """
    check_weights(sum(a * b for a, b in pairwise(widths)), setting)
    layers: list[nn.Module] = [nn.Flatten()]
    for inputs, outputs in pairwise(widths[:-1]):
        # batch norm has the bias
        layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU()]
    layers.append(nn.Linear(widths[-2], widths[-1], bias=not last_norm))
    if last_norm:
        layers.append(nn.BatchNorm1d(widths[-1], affine=False))
    head = nn.Sequential(*layers)
    initialise(head, draws)
    return head
