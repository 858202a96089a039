"""Time of a NAT step over a supervised step, on the same network, batch and device.

    python benchmarks/step.py --batch 256
    python benchmarks/step.py --trunk alexnet --crop 224 --d 2048 --steps 3 --batch 64

First steps come from the initialised network, whose features have collapsed, later ones after
training on ``--warm`` batches of noise. Steps of both kinds alternate, so that a drifting machine
does not favour one; images are random, which costs what real ones do. Medians in ms. With
``--operations 8`` a second table has the operators that ten reassigning steps spend most time in.
"""

import statistics
import time
from collections.abc import Callable

import click
import torch
import torch.nn.functional as F
from torch.profiler import profile

from nat.alignments import find_alignment, reassign
from nat.network.loss import square_loss
from nat.network.model import Network, initialise
from nat.runtime.settings.params import ModelSettings, TargetSettings
from nat.targets import sample_targets

CLASSES = 1000


def milliseconds(step: Callable[[], None], device: torch.device) -> float:
    start = time.perf_counter()
    step()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)


@click.command()
@click.option("--trunk", type=click.Choice(["small", "alexnet"]), default="small")
@click.option("--crop", default=28, show_default=True)
@click.option("--hidden", default=512, show_default=True)
@click.option("--d", default=128, show_default=True)
@click.option("--batch", default=256, show_default=True)
@click.option("--steps", default=50, show_default=True, help="Timed steps of each kind.")
@click.option("--warm", default=200, show_default=True, help="Steps before the later ones.")
@click.option("--alignment", type=click.Choice(["exact", "lapx"]), default="exact")
@click.option("--threads", default=2, show_default=True)
@click.option("--operations", default=0, show_default=True, help="Rows of a table of operators.")
def main(
    trunk: str,
    crop: int,
    hidden: int,
    d: int,
    batch: int,
    steps: int,
    warm: int,
    alignment: str,
    threads: int,
    operations: int,
) -> None:
    """Print markdown tables."""
    torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, 1, crop, crop), dtype=torch.uint8, generator=draws)
    images = images.to(device)
    labels = torch.randint(0, CLASSES, (batch,), generator=draws).to(device)
    sphere = TargetSettings(dimension=d, k=2, precision="float32")
    targets = sample_targets("sphere", batch, sphere, seed=0).array.to(device)
    align = find_alignment(alignment)
    settings = ModelSettings(preprocessing="sobel", trunk=trunk, hidden=hidden, dropout=0.0)

    def trained(outputs: int, loss_of: Callable[[torch.Tensor], torch.Tensor]) -> Callable:
        network = Network(settings, crop, outputs)
        initialise(network, torch.Generator().manual_seed(0))
        network.to(device).train()
        optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)

        def step() -> None:
            loss = loss_of(network(images))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        return step

    def supervised(outputs: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(outputs, labels)

    def fixed(outputs: torch.Tensor) -> torch.Tensor:
        return square_loss(F.normalize(outputs), targets)

    def reassigned(outputs: torch.Tensor) -> torch.Tensor:
        features = F.normalize(outputs)
        _, vectors = reassign(align, features, targets)
        return square_loss(features, vectors)

    kinds = {
        "supervised": trained(CLASSES, supervised),
        "NAT, no reassignment": trained(d, fixed),
        "NAT, reassigning": trained(d, reassigned),
    }

    def median_times() -> dict[str, float]:
        times: dict[str, list[float]] = {name: [] for name in kinds}
        for _ in range(steps):
            for name, step in kinds.items():
                times[name].append(milliseconds(step, device))
        return {name: statistics.median(found) for name, found in times.items()}

    kinds["supervised"]()  # allocate before the clock runs
    first = median_times()
    for _ in range(warm):
        for step in kinds.values():
            step()
    later = median_times()
    print(
        f"{trunk}, {crop} px, b = {batch}, d = {d}, {alignment}, {device.type}, {threads} threads\n"
    )
    print("| step | first steps, ms | ratio | later steps, ms | ratio |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name in kinds:
        ratios = [times[name] / times["supervised"] for times in (first, later)]
        print(f"| {name} | {first[name]:.1f} | {ratios[0]:.3f} | {later[name]:.1f} |", end="")
        print(f" {ratios[1]:.3f} |")
    if operations:
        print_operations(kinds["NAT, reassigning"], operations, device)


def print_operations(step: Callable[[], None], rows: int, device: torch.device) -> None:
    with profile() as profiled:
        for _ in range(10):
            step()
    of = f"self_{device.type}_time_total".replace("cuda", "device")
    found = sorted(profiled.key_averages(), key=lambda one: -getattr(one, of))
    total = sum(getattr(one, of) for one in found)
    print("\n| operator | share of a reassigning step, % |\n| --- | ---: |")
    for one in found[:rows]:
        print(f"| {one.key} | {100 * getattr(one, of) / total:.1f} |")


if __name__ == "__main__":
    main()
