"""The device to compute on and the threads to compute with."""

import time

import torch

from nat.errors import UserError
from nat.params import Machine

SHARE = 0.7  # of the GPU's free memory that data may take


def prepare_device(machine: Machine) -> torch.device:
    """Set the number of CPU threads and choose the device.

    Raises:
        UserError: ``machine.device`` names a device that this machine does not have.
    """
    torch.set_num_threads(machine.threads)
    name = machine.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"machine.device: {name}: no CUDA device here; use auto or cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"machine.device: {name}: there are {torch.cuda.device_count()} CUDA devices here, "
            "counted from 0; use auto or one of them"
        )
    return device


def fits(size: int, device: torch.device) -> bool:
    """Whether ``size`` bytes should be held in the GPU's memory; False without a GPU."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    # PyTorch keeps what was released, which the driver counts as taken
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return size <= SHARE * (free + kept)


def clock(device: torch.device) -> float:
    """Seconds, after all work given to the device is done, so that differences are its time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
