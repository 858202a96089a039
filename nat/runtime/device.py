"""The device to compute on and the threads to compute with."""

import ctypes
import os
import re
import time
from contextlib import suppress
from pathlib import Path

import torch

from nat.runtime.errors import UserError
from nat.runtime.io.foreign import reason
from nat.runtime.settings.params import DEVICE, Machine

SHARE = 0.7  # of the GPU's free memory that data may take
# of glibc's malloc: M_MMAP_THRESHOLD and M_TRIM_THRESHOLD, bytes
KEPT = {-3: 128 << 20, -1: 1 << 30}
LIMITS = ("memory.max", "memory/memory.limit_in_bytes")  # of a container, version 2 and 1


def prepare_device(machine: Machine) -> torch.device:
    """Set the number of CPU threads, let freed memory be kept, and choose the device.

    Raises:
        UserError: ``machine.device`` names a device that this machine does not have.
    """
    torch.set_num_threads(machine.training_threads)
    keep_freed_memory()
    return find_device(machine.device, "machine.device")


def keep_freed_memory() -> None:
    """Let malloc keep the memory of a step's tensors for those of the next one.

    Given back to the system, it would come again as new pages, which the system clears first. Only
    glibc's malloc is told; settings of the user's stay.
    """
    if any(name.startswith("MALLOC_") for name in os.environ):
        return
    with suppress(OSError, AttributeError):  # another C library
        for setting, size in KEPT.items():
            ctypes.CDLL(None).mallopt(setting, size)


def find_device(name: str, setting: str) -> torch.device:
    """The device that ``name`` means: auto, cpu, cuda or cuda:N.

    Raises:
        UserError: it means none, or this machine does not have it; names ``setting``.
    """
    if not re.fullmatch(DEVICE, name):
        raise UserError(f"{setting}: {name!r} is no device; use auto, cpu, cuda or cuda:N")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"{setting}: {name}: no CUDA device here; use auto or cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"{setting}: {name}: there are {torch.cuda.device_count()} CUDA devices here, "
            "counted from 0; use auto or one of them"
        )
    torch.backends.cudnn.deterministic = True
    return device


def fits(size: int, device: torch.device) -> bool:
    """Whether ``size`` bytes should be held in the GPU's memory; False without a GPU."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    # PyTorch keeps what was released, which the driver counts as taken
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return size <= SHARE * (free + kept)


def check_compiler(device: torch.device) -> None:
    """Compile a sum, so that a missing compiler shows before the work.

    Raises:
        UserError: ``machine.compile`` cannot be had here; names the reason.
    """
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(2, device=device))
    except MemoryError:
        raise
    except (
        Exception
    ) as error:  # a compiler, its headers, Triton, a folder for its files: of any kind
        needed = "g++" if device.type == "cpu" else "gcc, Python's headers and the package triton"
        raise UserError(
            f"machine.compile: torch.compile does not work here ({reason(error)}); install "
            f"{needed}, or set it to false"
        ) from error


def memory() -> int:
    """Bytes that this machine or container has, used ones included."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for name in LIMITS:
        with suppress(OSError, ValueError):  # "max", or no such file
            found.append(int(Path("/sys/fs/cgroup", name).read_text()))
    return min(found)


def check_weights(count: int, setting: str) -> None:
    """Refuse layers that cannot be trained here, before Linux ends the process for their size.

    Args:
        count: of their weights.
        setting: what makes them so many.

    Raises:
        UserError: weights and gradients, float32, are more than all memory.
    """
    needed, there = 2 * 4 * count, memory()
    if needed > there and torch.get_default_device().type != "meta":  # whose layers take none
        raise UserError(
            f"{setting}: makes layers of {count:,} weights, {needed / 1e9:.0f} GB with their "
            f"gradients, of the {there / 1e9:.0f} GB here; use a smaller one"
        )


def clock(device: torch.device) -> float:
    """Seconds, after all work given to the device is done, so that differences are its time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class Number:
    """A GPU's number on its way to the CPU, while both go on with their work."""

    def __init__(self, number: torch.Tensor) -> None:
        """``number`` is a CUDA scalar as of the work given so far."""
        self._held = torch.empty((), dtype=number.dtype, pin_memory=True)
        self._held.copy_(number, non_blocking=True)
        self._there = torch.cuda.Event()
        self._there.record()

    def __float__(self) -> float:
        self._there.synchronize()
        return float(self._held)


class Stopwatch:
    """Times what is done within it; on a GPU by events among its work, for which nobody waits.

    Attributes:
        total: float64 (2,), seconds, and how often, as of the last ``settle``.
    """

    def __init__(self, device: torch.device) -> None:
        self.total = torch.zeros(2, dtype=torch.float64)
        self._on_gpu, self._start = device.type == "cuda", 0.0
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def __enter__(self) -> None:
        if self._on_gpu:
            self._events.append((_event(), _event()))
            self._events[-1][0].record()
        self._start = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        if self._on_gpu:
            self._events[-1][1].record()
        else:
            self.total += torch.tensor([time.perf_counter() - self._start, 1])

    def settle(self) -> None:
        """Add to ``total`` what the GPU has been asked for; waits for it."""
        for start, end in self._events:
            end.synchronize()
            self.total += torch.tensor([start.elapsed_time(end) / 1000, 1])
        self._events.clear()

    @property
    def milliseconds(self) -> float | None:
        """The mean; None if nothing was timed."""
        self.settle()
        seconds, times = self.total.tolist()
        return round(1000 * seconds / times, 3) if times else None


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)
