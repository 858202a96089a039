"""The least time that a training step could take: its operations and bytes over a device's rates.

    python benchmarks/roofline.py --batch 256

A step is forward, backward and SGD of the network with the targets' dimension as outputs. FLOPs are
those of its convolutions and matrix products, a multiplication and an addition being two. Bytes
count the tensors of each operation once, read or written, in the precision's size: a compiler that
joins operations moves fewer. Both are counted on tensors without numbers. The device's rates are
measured: a large matrix product in that precision, and a large copy, read and written.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click
import torch
from torch._subclasses import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from nat.network.model import Network
from nat.runtime.device import clock
from nat.runtime.settings.params import ModelSettings

RUNS = 5


@dataclass(frozen=True)
class Work:
    """What a step does: floating-point operations and bytes."""

    operations: float
    moved: float


@dataclass(frozen=True)
class Rates:
    """What a device does in a second: floating-point operations and bytes."""

    operations: float
    moved: float

    def seconds(self, work: Work) -> tuple[float, float]:
        """The least time for the operations, and for the bytes."""
        return work.operations / self.operations, work.moved / self.moved


class Elements(TorchDispatchMode):
    """Counts the numbers in what each operation reads and writes; views do neither."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if not func.is_view:
            written = found if isinstance(found, tuple | list) else [found]
            both = (*args, *(kwargs or {}).values(), *written)
            self.count += sum(x.numel() for x in both if isinstance(x, torch.Tensor))
        return found


def work_of(settings: ModelSettings, crop: int, outputs: int, batch: int, size: int) -> Work:
    """One step's work.

    Args:
        settings: of the network.
        crop: side of the images, pixels.
        outputs: d.
        batch: images.
        size: bytes of a number.
    """
    with FakeTensorMode():
        network = Network(settings, crop, outputs)
        optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9)
        images = torch.empty(batch, 1, crop, crop, dtype=torch.uint8)
        with FlopCounterMode(display=False) as flops, Elements() as elements:
            network(images).square().sum().backward()
            optimizer.step()
    return Work(flops.get_total_flops(), elements.count * size)


def rates_of(device: torch.device, dtype: torch.dtype) -> Rates:
    """A device's rates, the best of a few runs."""
    side, length = (8192, 2**30) if device.type == "cuda" else (1024, 2**26)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    source = torch.ones(length, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return Rates(
        2 * side**3 / _seconds(lambda: a @ b, device),
        2 * length / _seconds(lambda: target.copy_(source), device),
    )


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    found = []
    for _ in range(RUNS):
        start = clock(device)
        work()
        found.append(clock(device) - start)
    return min(found)


def told(work: Work, rates: Rates, seconds: float = math.nan) -> str:
    """The work, the rates, the least times, and what share of ``seconds`` those are."""
    least = rates.seconds(work)
    shares = (
        ""
        if math.isnan(seconds)
        else ", {:.0f} and {:.0f} % of the time taken".format(
            *(100 * one / seconds for one in least)
        )
    )
    return (
        f"A step: {work.operations / 1e12:.3f} TFLOP and {work.moved / 1e9:.2f} GB. Here "
        f"{rates.operations / 1e12:,.2f} TFLOP/s and {rates.moved / 1e9:,.0f} GB/s were measured: "
        f"at least {1000 * least[0]:.2f} and {1000 * least[1]:.2f} ms{shares}."
    )


@click.command()
@click.option("--trunk", type=click.Choice(["small", "alexnet"]), default="alexnet")
@click.option("--crop", default=224, show_default=True)
@click.option("--hidden", default=4096, show_default=True)
@click.option("--d", default=2048, show_default=True)
@click.option("--batch", default=256, show_default=True)
@click.option("--threads", type=int, help="By default PyTorch's choice.")
def main(trunk: str, crop: int, hidden: int, d: int, batch: int, threads: int | None) -> None:
    """Print a markdown table."""
    if threads:
        torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = ModelSettings.model_validate(
        {"trunk": trunk, "hidden": hidden, "dropout": 0.5, "preprocessing": "sobel"}
    )
    print("| precision | TFLOP | GB | TFLOP/s here | GB/s here | least ms, operations | bytes |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for dtype in (torch.float32, torch.bfloat16):
        work, rates = work_of(settings, crop, d, batch, dtype.itemsize), rates_of(device, dtype)
        operations, moved = (1000 * seconds for seconds in rates.seconds(work))
        print(f"| {dtype} | {work.operations / 1e12:.3f} | {work.moved / 1e9:.2f} |", end="")
        print(f" {rates.operations / 1e12:.2f} | {rates.moved / 1e9:.0f} |", end="")
        print(f" {operations:.2f} | {moved:.2f} |")


if __name__ == "__main__":
    main()
