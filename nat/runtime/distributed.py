"""The processes of one training: one, or several under torchrun, each with its own device.

Every process holds the same network and sees its own part of each batch; torch.distributed joins
gradients. ``batch_size`` always means the batch of all processes together. Started without
torchrun there is one process, and nothing here costs anything.
"""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from nat.runtime.device import check_compiler, prepare_device
from nat.runtime.errors import UserError
from nat.runtime.io.foreign import reason
from nat.runtime.processes import stop_with_launcher
from nat.runtime.settings.params import Machine, Precision


@dataclass(frozen=True)
class Distributed:
    """A process among the others.

    Attributes:
        device: its own.
        precision: in which convolutions and matrix products are computed.
        compiled: whether networks are compiled.
        rank: its number.
        size: how many there are.
    """

    device: torch.device
    precision: torch.dtype = torch.float32
    compiled: bool = False
    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    @property
    def computing(self) -> str:
        """What the last digits of a result depend on besides the parameters."""
        return f"{self.device.type} {self.precision}{' compiled' if self.compiled else ''}"

    def shard(self, batch_size: int, setting: str) -> slice:
        """The shard of each batch that is this process's.

        Raises:
            UserError: the batch cannot be shared evenly, at least two images each.
        """
        if batch_size % self.size or batch_size < 2 * self.size:
            raise UserError(
                f"{setting}: {batch_size} images cannot be shared by {self.size} processes; "
                f"use a multiple of {self.size}, at least {2 * self.size}"
            )
        each = batch_size // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def wrap(self, network: nn.Module, synchronise: bool = False) -> nn.Module:
        """The network to train with: gradients are averaged over the processes.

        The weights are shared with ``network``, by which features are computed elsewhere.

        Args:
            network: on this process's device.
            synchronise: whether batch norm's statistics are those of the whole batch, not of each
                process's part.

        Raises:
            UserError: statistics are to be synchronised over processes without GPUs, or networks
                compiled without a compiler.
        """
        if self.size > 1:
            if synchronise:
                if self.device.type != "cuda":
                    raise UserError(
                        "pretrain.batch_norm: synchronised works on GPUs alone; use local"
                    )
                network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
            # no device_ids, which would move what a forward pass is to look up on the CPU
            network = DistributedDataParallel(network)
        if self.compiled:
            check_compiler(self.device)
            network.compile()
        return network

    def autocast(self) -> AbstractContextManager:
        """Compute in ``precision`` within this."""
        return torch.autocast(
            self.device.type, self.precision, enabled=self.precision != torch.float32
        )

    def all_reduce(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            held = tensor.to(self.device)  # NCCL has no CPU tensors
            dist.all_reduce(held)
            tensor.copy_(held)
        return tensor

    def all_gather(self, tensor: torch.Tensor) -> torch.Tensor:
        """(b, ...) of every process, one after the other: (size * b, ...)."""
        if self.size == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    def broadcast(self, tensor: torch.Tensor) -> None:
        """Give every process the first one's values, in place."""
        if self.size > 1:
            held = tensor.to(self.device)
            dist.broadcast(held, 0)
            tensor.copy_(held)

    def barrier(self) -> None:
        """Until all processes have come here."""
        if self.size > 1:
            dist.barrier()

    def close(self) -> None:
        """The end of a training that went well.

        One that fails must not come here, nor leave at exit: with NCCL it would wait for the
        others, which wait for it, where its exit alone lets torchrun end them all.
        """
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


def init_distributed(machine: Machine, precision: Precision) -> Distributed:
    """Join the processes that torchrun's environment names, or be the only one.

    Raises:
        UserError: ``machine.device`` names a device that this machine lacks, or one device for
            several processes; or the processes that the environment tells of do not meet.
    """
    try:
        size, rank, local = (
            int(os.environ.get(name, default))
            for name, default in (("WORLD_SIZE", "1"), ("RANK", "0"), ("LOCAL_RANK", "0"))
        )
    except ValueError as error:
        raise UserError(f"launcher: WORLD_SIZE, RANK or LOCAL_RANK is {reason(error)}") from error
    device = prepare_device(machine)
    if device.type == "cuda":
        if size > 1 and device.index is not None:
            raise UserError(
                f"machine.device: {machine.device} is one device for {size} processes; use auto"
            )
        if local >= torch.cuda.device_count():
            raise UserError(
                f"launcher: process {local} on this machine has no GPU; it has "
                f"{torch.cuda.device_count()}, start as many processes"
            )
        device = torch.device("cuda", device.index if size == 1 and device.index else local)
        torch.cuda.set_device(device)
    if size > 1 and not dist.is_initialized():
        stop_with_launcher()
        try:
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
        except (ValueError, dist.DistError) as error:
            raise UserError(
                f"launcher: the environment tells of {size} processes, which do not meet "
                f"({reason(error)}); start them all by `python -m nat.launch`, or unset WORLD_SIZE "
                "for one alone"
            ) from error
    return Distributed(device, getattr(torch, precision), machine.compile, rank, size)
