"""Remove batch norm and rescale a network for fine-tuning (Krähenbühl et al., 2016).

Fine-tuning small batches is done without batch norm, and with layers that learn at one pace
whatever training they come from. How the paper's authors combined the three steps is unpublished;
here (see ``classify.py``, and ``detection/train.py``):

1. ``fold_batch_norm`` turns the trunk into plain convolutions, the same function.
2. ``scale_within`` normalises the fresh layers fc6 and fc7 on training images. The trunk keeps
   what it has learnt, and fc8 the initialisation that the protocol states.
3. ``scale_between`` evens out conv1 to fc7, the same function again. Both modes of fine-tuning
   start from the result; with a frozen trunk its output has changed by one positive factor only,
   and no longer depends on the scale of features that a pretraining happened to end in.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from nat.network.model import Trunk

Layer = nn.Conv2d | nn.Linear
Forward = Callable[[Any], torch.Tensor]
ROUNDS, SETTLED = 10, 0.01


@torch.no_grad()
def fold_batch_norm(trunk: Trunk) -> Trunk:
    """The same function in evaluation mode without batch norm: a new trunk.

    ``W' = gamma W / sqrt(var + eps)``, ``b' = gamma (b - mean) / sqrt(var + eps) + beta``. Batch
    norm directly follows its convolution, so that the pooling after it does not matter.
    """
    folded = copy.deepcopy(trunk)
    layers = nn.Sequential()
    below: nn.Module | None = None
    for name, layer in folded.layers.named_children():
        if isinstance(layer, nn.BatchNorm2d):
            assert isinstance(below, nn.Conv2d)
            assert below.bias is not None
            assert layer.running_mean is not None
            assert layer.running_var is not None
            factor = layer.weight * (layer.running_var + layer.eps).rsqrt()
            below.weight.mul_(factor.view(-1, 1, 1, 1))
            below.bias.sub_(layer.running_mean).mul_(factor).add_(layer.bias)
        else:
            layers.add_module(name, layer)
        below = layer
    folded.layers = layers
    return folded


@torch.no_grad()
def scale_within(
    forward: Forward, layers: Sequence[Layer], batches: Sequence[Any], shift: float = 0.1
) -> None:
    """Give every output unit mean ``shift`` and variance 1 over the batches, layer after layer.

    With ``m`` and ``s`` the mean and standard deviation of a unit: ``W <- W / s`` and
    ``b <- (b - m) / s + shift``; b is zero in a fresh layer. A unit that never varies keeps W.

    Args:
        forward: runs the network, through all ``layers``, in evaluation mode.
        layers: fresh ones, from bottom to top, rescaled in place.
        batches: its inputs, whatever ``forward`` takes.
        shift: the paper's 0.1, so that a unit before a ReLU is rather on than off.
    """
    for layer in layers:
        outputs: list[torch.Tensor] = []

        def keep(_: nn.Module, __: object, output: torch.Tensor, to: list = outputs) -> None:
            to.append(output.transpose(0, 1).flatten(1).double())  # channels first, copied

        hook = layer.register_forward_hook(keep)
        for batch in batches:
            forward(batch)
        hook.remove()
        both = torch.cat(outputs, dim=1)
        mean, std = both.mean(1).float(), both.std(1, correction=0).float()
        std = torch.where(std > 1e-6, std, torch.ones_like(std))
        layer.weight.div_(std.view(-1, *[1] * (layer.weight.dim() - 1)))
        assert layer.bias is not None
        layer.bias.sub_(mean).div_(std).add_(shift)


def scale_between(
    forward: Forward,
    layers: Sequence[Layer],
    batches: Sequence[Any],
    draws: torch.Generator,
) -> int:
    """Make all layers learn at the same relative rate without changing the function.

    With a random gradient at the top, layer k changes at the rate
    ``r_k = sqrt(mean(dW_k^2) / mean(W_k^2))``. Scaling W_k by a divides dW_k by a, hence r_k by
    ``a^2``, so ``a_k = sqrt(r_k / r)`` brings every layer to the geometric mean r of the rates.
    The product of all a_k is 1, ReLU and max pooling commute with positive factors, and b_k is
    scaled with the running product ``a_1 ... a_k``: the output stays as it is.

    Args:
        forward: runs ``layers`` one after the other with nothing but ReLU, max pooling and
            inactive dropout between them; ends at the last layer or its ReLU.
        layers: from bottom to top, rescaled in place.
        batches: its inputs, whatever ``forward`` takes.
        draws: of the top gradients, which are the same in every round.

    Returns:
        Rounds needed: at most 10, fewer once all factors are within 1 % of 1.
    """
    tops = []
    for batch in batches:
        with torch.no_grad():
            output = forward(batch)
        tops.append(torch.randn(output.shape, generator=draws).to(output.device))
    for done in range(ROUNDS):
        rates = torch.stack(_rates(forward, layers, batches, tops)).log()
        factors = (0.5 * (rates - rates.mean())).exp()
        if float((factors - 1).abs().max()) < SETTLED:
            return done
        running = torch.ones((), device=factors.device)
        with torch.no_grad():
            for layer, factor in zip(layers, factors, strict=True):
                running = running * factor
                layer.weight.mul_(factor)
                assert layer.bias is not None
                layer.bias.mul_(running)
    return ROUNDS


def _rates(
    forward: Forward,
    layers: Sequence[Layer],
    batches: Sequence[Any],
    tops: Sequence[torch.Tensor],
) -> list[torch.Tensor]:
    """r_k of every layer, gradients' squares averaged over the batches."""
    weights = [layer.weight for layer in layers]
    squares = [torch.zeros((), device=weight.device) for weight in weights]
    for batch, top in zip(batches, tops, strict=True):
        for square, slope in zip(
            squares, torch.autograd.grad(forward(batch), weights, top), strict=True
        ):
            square += slope.square().mean() / len(batches)
    return [
        (square / weight.detach().square().mean()).sqrt().clamp(min=1e-20)
        for square, weight in zip(squares, weights, strict=True)
    ]
