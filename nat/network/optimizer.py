"""Stochastic gradient descent as section 3.3 runs it, and the guard against divergence."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NoReturn

import torch
from torch import nn

from nat.network.schedule import constant_then_decay
from nat.runtime.device import Number
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Training

INTERVAL = 10  # steps between looks at a GPU's numbers, which are those of a look before


def sgd(parameters: Iterable[nn.Parameter], settings: Training) -> torch.optim.SGD:
    """Plain SGD over ``parameters`` with the settings' momentum and weight decay."""
    parameters = list(parameters)
    return torch.optim.SGD(
        parameters,
        lr=settings.lr,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        fused=parameters[0].device.type == "cuda" or None,  # half the time there
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, settings: Training, t: int) -> float:
    """Set and return the learning rate of batch ``t``, counted from 0 over the whole training."""
    lr = constant_then_decay(settings.lr, settings.lr_decay, settings.lr_hold, t)
    for group in optimizer.param_groups:
        group["lr"] = lr
    return lr


def finite(value: float) -> bool:
    """Neither NaN nor infinite."""
    return value - value == 0


class Guard:
    """Ends a training whose numbers are no longer finite, before its state is saved over.

    The loss is looked at in every step on a CPU. On a GPU, where that would wait for all that was
    given to it, it is fetched in an epoch's first step and in every INTERVAL-th, and looked at when
    the next one is. At an epoch's end, all that the state would hold is looked at too, since a
    finite loss may have made a step to infinity.
    """

    def __init__(
        self,
        settings: Mapping[str, float],
        source: object,
        network: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        fault: Callable[[], str | None] = lambda: None,
    ) -> None:
        """A guard of one training.

        Args:
            settings: names and values of what may be at fault: learning rates, then batch sizes.
            source: the file that the training starts from; at fault if its first loss is not
                finite, as no step has been made.
            network: what is trained.
            optimizer: that of the network, if it has one.
            fault: looks for numbers in what is trained on that are not finite, and tells of them.
        """
        self.settings, self.source, self.fault = settings, source, fault
        self.network, self.optimizer = network, optimizer
        self._fetched: tuple[Number, int, int] | None = None

    def look(self, total: torch.Tensor, epoch: int, step: int) -> tuple[float, int] | None:
        """Look at the loss, summed over the epoch so far, if its turn has come.

        Args:
            total: a number; NaN or infinite from the first such loss on.
            epoch: counted from 0.
            step: of this epoch, counted from 0, whose loss ``total`` ends in.

        Returns:
            the sum that was looked at, and the step that it ends in.

        Raises:
            UserError: it is not finite; names what to change.
        """
        if total.device.type == "cpu":
            return self._looked(float(total), epoch, step)
        if step and step % INTERVAL != INTERVAL - 1:
            return None
        before, self._fetched = self._fetched, (Number(total), epoch, step)
        return before and self._looked(float(before[0]), *before[1:])

    def _looked(self, value: float, epoch: int, step: int) -> tuple[float, int]:
        if not finite(value):
            self.fail(f"the loss is {value}", epoch, step)
        return value, step

    def end(self, total: torch.Tensor, epoch: int) -> float:
        """The epoch's loss as a number, before its state is saved.

        Raises:
            UserError: it, or a number of the state, is not finite.
        """
        value, self._fetched = float(total), None
        if not finite(value):
            self.fail(f"the loss is {value}", epoch)
        if not all(bool(torch.isfinite(tensor).all()) for tensor in self._state()):
            self.fail("a weight is no longer finite", epoch)
        return value

    def _state(self) -> Iterator[torch.Tensor]:
        yield from self.network.state_dict().values()
        for kept in self.optimizer.state.values() if self.optimizer else ():
            yield from (value for value in kept.values() if isinstance(value, torch.Tensor))

    def fail(self, what: str, epoch: int, step: int | None = None) -> NoReturn:
        """End the training.

        Args:
            what: was found.
            epoch: counted from 0.
            step: of this epoch, counted from 0; None after its last.

        Raises:
            UserError: names the settings, or what the training starts from.
        """
        fault = self.fault()
        if fault is not None:
            raise UserError(f"{fault}, so that {what}; make it again")
        if epoch == 0 and step == 0:
            raise UserError(
                f"{self.source}: {what} before any step, so that no learning rate is at fault: "
                "what the training starts from holds numbers that are not finite, or too large; "
                "make it again"
            )
        where = (
            f"after epoch {epoch + 1}" if step is None else f"epoch {epoch + 1}, step {step + 1}"
        )
        first, *_ = self.settings
        values = ", ".join(f"{name} {value:g}" for name, value in self.settings.items())
        raise UserError(
            f"{first}: {what} ({where}; {values}): the training diverges; use a smaller {first}, "
            "a tenth perhaps; what was saved before is kept"
        )
