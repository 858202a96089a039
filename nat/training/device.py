"""The device to compute on and the threads to compute with."""

import time

import torch

from nat.errors import UserError
from nat.params import Machine


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
    return torch.device(name)


def clock(device: torch.device) -> float:
    """Seconds, after all work given to the device is done, so that differences are its time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
