"""The loop of a method that trains a trunk on one loss: its pretext task, or labels.

Every such method sees the same images in the same order, cut in the same way as NAT does, and is
resumed, guarded and measured as NAT is; a method's file shows the task alone.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import torch
from torch import nn

from nat.evaluation.features import KnnMonitor
from nat.methods import TrunkSession
from nat.network.model import Network
from nat.network.optimizer import set_learning_rate, sgd
from nat.pretext.statistics import gather_statistics
from nat.runtime.distributed import Distributed
from nat.runtime.settings.params import (
    Batch,
    Count,
    Fraction,
    Group,
    NotNegative,
    Positive,
    Training,
)

Measures = dict[str, torch.Tensor]
NOT_MEASURED = ("epoch", "lr", "loss", "knn")  # columns of a history that any training has


class AdamTraining(Group):
    """Adam with a constant learning rate; ``beta1`` is the decay of the mean of gradients."""

    epochs: Count
    batch_size: Batch
    lr: Positive
    beta1: Fraction
    weight_decay: NotNegative


class CosineTraining(Group):
    """SGD whose learning rate rises in a share of all steps, ``warmup``, and falls as a cosine."""

    epochs: Count
    batch_size: Batch
    lr: Positive
    warmup: Fraction
    momentum: Fraction
    weight_decay: NotNegative


Settings = Training | AdamTraining | CosineTraining


class Batches(Protocol):
    """What a task is trained on, in epochs; see ``Loader``."""

    steps: int
    images_per_epoch: int

    def epoch(self, epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Rows, int64 (b,), on the CPU, and what they are of, on the device."""


class Task(nn.Module):
    """What is trained: a trunk, and what a task adds to it.

    ``forward(images, rows)`` takes crops, uint8 (b, c, crop, crop), and int64 (b,) on the CPU,
    which images they are of. It returns the loss, a number averaged over the batch, and what else
    it measures, numbers by name. Its random draws are torch's own, as dropout's are: a session
    seeds these in each epoch. Whatever an interrupted training needs is a parameter or a buffer, or
    in ``state``.
    """

    @property
    def turns(self) -> tuple[nn.Module, ...]:
        """Whose losses a batch is stepped along, one after the other; see ``adversarial.Game``."""
        return (self,)

    def groups(self) -> list[dict[str, Any]]:
        """What the optimizer trains: parameters, by settings of their own if they have such."""
        return [{"params": list(self.parameters())}]

    def begin(self, epoch: int) -> None:
        """Before the batches of an epoch, counted from 0: clustering, for instance."""

    def renewed(self) -> Iterable[nn.Parameter]:
        """Weights that ``begin`` has set anew, whose past steps the optimizer is to forget."""
        return ()

    def state(self) -> dict[str, Any]:
        """Tensors to save, by name, restored in place: not sent to all processes in every step."""
        return {}

    def stepped(self) -> None:
        """After each step of the optimizer: a moving average of weights, for instance."""


class Means:
    """Sums what batches measure, on the device, and tells the means over all processes."""

    def __init__(self, distributed: Distributed) -> None:
        self._distributed, self._sums, self._batches = distributed, Measures(), 0

    def add(self, measures: Measures) -> None:
        """Count a batch."""
        self._batches += 1
        for name, value in measures.items():
            self._sums[name] = self._sums.get(name, 0) + value.detach().float()

    def told(self) -> dict[str, float]:
        """The means by name."""
        share = self._batches * self._distributed.size
        return {
            name: float(self._distributed.all_reduce(value)) / share
            for name, value in self._sums.items()
        }


def optimizer_of(task: Task, settings: Settings) -> torch.optim.Optimizer:
    """SGD or Adam, as the settings are."""
    if isinstance(settings, Training):
        return sgd(task.parameters(), settings)
    if isinstance(settings, CosineTraining):
        return torch.optim.SGD(
            task.groups(), settings.lr, settings.momentum, weight_decay=settings.weight_decay
        )
    beta = (settings.beta1, 0.999)
    return torch.optim.Adam(task.groups(), settings.lr, beta, weight_decay=settings.weight_decay)


def rise_and_fall(settings: CosineTraining, t: int, steps: int) -> float:
    """The learning rate of step ``t`` of all ``steps``, counted from 0.

    Linear until the warmup has ended, then half a cosine (Loshchilov & Hutter, 2017, one cycle).
    """
    warm = round(settings.warmup * steps)
    if t < warm:
        return settings.lr * (t + 1) / warm
    return settings.lr * (1 + math.cos(math.pi * (t - warm) / (steps - warm))) / 2


def fit(
    session: TrunkSession,
    network: Network,
    task: Task,
    settings: Settings,
    labelled: bool = False,
    loader: Batches | None = None,
) -> int:
    """Train a task.

    Args:
        session: of the training.
        network: whose trunk the task trains.
        task: on any device; moved to the session's.
        settings: of the method, with its optimizer's.
        labelled: whether to train on the images with labels, where the data has others too.
        loader: of what the task is shown instead of crops of images.

    Returns:
        how many images were looked at.

    Raises:
        UserError: a batch larger than the data, an output that cannot be written, or a loss that is
            no longer finite.
    """
    distributed, device = session.distributed, session.device
    store = session.train if labelled else session.images
    if loader is None:
        loader = session.loader(store, settings.batch_size, f"{session.group}.batch_size")
    task.to(device).to(memory_format=torch.channels_last)
    turns = [distributed.wrap(turn) for turn in task.turns]
    optimizer = optimizer_of(task, settings)
    monitor = KnnMonitor(session.train, session.validation, session.crop, every=settings.epochs)
    blame = {
        f"{session.group}.lr": settings.lr,
        f"{session.group}.batch_size": settings.batch_size,
    }
    for epoch in session.epochs(
        task, optimizer, settings.epochs, blame, session.manifest, **task.state()
    ):
        task.begin(epoch.number)
        forget(optimizer, task.renewed())
        means, lr = Means(distributed), settings.lr
        for t, rows, images in epoch.batches(
            loader.epoch(epoch.number), loader.steps, settings.batch_size
        ):
            if isinstance(settings, Training):
                lr = set_learning_rate(optimizer, settings, t)
            elif isinstance(settings, CosineTraining):
                lr = rise_and_fall(settings, t, loader.steps * settings.epochs)
                for group in optimizer.param_groups:
                    group["lr"] = lr
            total, measured = torch.zeros((), device=device), Measures()
            for turn in turns:
                with distributed.autocast():
                    loss, measures = turn(images, rows)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()  # of the weights that this turn has given gradients
                total += loss.detach()
                measured |= measures
            task.stepped()
            epoch.add(total)
            means.add(measured)
        number = epoch.number + 1
        session.log(
            epoch=number,
            lr=lr,
            loss=epoch.loss() / loader.steps / distributed.size,
            **means.told(),
            knn=monitor.accuracy(network.trunk, number, device) if distributed.is_main else None,
        )
    network.eval()
    return loader.images_per_epoch * settings.epochs


def forget(optimizer: torch.optim.Optimizer, weights: Iterable[nn.Parameter]) -> None:
    """Forget the past steps of some weights: momenta and counts are zero, as at the beginning.

    They are not removed, since a GPU's fused kernels want them of all weights or of none.
    """
    for weight in weights:
        for past in optimizer.state.get(weight, {}).values():
            past.zero_()


def pretrain_on(
    session: TrunkSession,
    network: Network,
    task: Task,
    settings: Settings,
    whole: bool = True,
    loader: Batches | None = None,
) -> None:
    """Train a pretext task and hand on the trunk, with what the task measured in its last epoch.

    Args:
        session: of the training.
        network: whose trunk the task trains; its MLP stays as it is drawn.
        task: see ``fit``.
        settings: likewise.
        whole: whether the task has shown the trunk whole images, as the probe will. If not (tiles,
            masked images, noise), batch norm's statistics are gathered anew on such, as for Random.
        loader: see ``fit``.
    """
    seen = fit(session, network, task, settings, loader=loader)
    if not whole:
        gather_statistics(session, network, settings.batch_size)
    hand_on(session, network, seen)


def hand_on(session: TrunkSession, network: Network, seen: int) -> None:
    """Save the trunk after the last epoch; ``seen`` images have been looked at in all."""
    for statistics in network.buffers():  # of each process's own last batch until here
        session.distributed.broadcast(statistics)
    assert session.run is not None
    last = session.run.history[-1].items()
    session.save(network, seen, {name: round(v, 4) for name, v in last if name not in NOT_MEASURED})
