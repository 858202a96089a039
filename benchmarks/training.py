r"""Speed and memory of pretraining and of training with labels, as the pipeline runs them.

    python benchmarks/training.py --compile
    python benchmarks/training.py --compile --n 60000 --ahead
    python benchmarks/training.py --n 4000 --batch 32 --steps 3 --warm 1 --rounds 2 --threads 1
    python benchmarks/training.py --profile embedded --n 10000

What runs is nat/methods/nat.py and labels.py themselves, by default with the settings of
profiles/imagenet.yaml and as many images as ImageNet has, each in a process of its own. From
outside come a Loader that ends an epoch after ``--warm`` and ``--steps`` batches and reads the
clock before and after the latter, and a ResumableRun that leaves the training after the last epoch,
before anything is written. Epochs that leave P as it is take turns with epochs that reassign, after
a first one that is not counted: it compiles, and its features are an initialised network's. Numbers
are medians over the rounds. Training with labels has the batch size of pretraining. It runs first,
so that other work on the machine, coming or going, distorts the ratio: step.py alternates steps.

The store is a sparse file of zeros, read as any other; on the device each batch gets the same
noise, so that the network does not see one value alone. A disk's speed is not measured. Targets are
random and written as `nat targets` does, but repeat after 65,536 rows.

"assignment" is what the training itself notes as alignment_ms: similarities, their way to the
solver, the solver, and P. Memory is the most that tensors held on the GPU, images and targets
among them if they fit there; without a GPU the most that the process held, libraries included. The
last column multiplies the time of a step; saving, kNN checks and starting are left out. The line
below the table is roofline.py's, for a step that leaves P as it is.
"""

import json
import multiprocessing
import resource
import statistics
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import torch
from loader import sparse_store
from roofline import rates_of, told, work_of

from nat.data.loader import Batch, Loader
from nat.methods import train
from nat.methods.nat import pretrain
from nat.network.schedule import permutes_in
from nat.runtime.device import Stopwatch, clock
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.resume import ResumableRun
from nat.runtime.settings.load import load_params
from nat.runtime.settings.params import Params
from nat.runtime.settings.profiles import base_of, render
from nat.targets import Targets, sample_targets, save_targets

WHOLE, EPOCHS = 1_281_167, 100  # what the last column is told for
CLASSES = 1000
DISTINCT = 2**16  # targets
PERIOD = 2  # every other epoch reassigns, whatever the profile says
SETTINGS = {
    "device": "machine.device",
    "precision": "precision",
    "compile": "machine.compile",
    "threads": "machine.threads",
    "size": "images.size",
    "crop": "augment.crop",
    "trunk": "model.trunk",
    "hidden": "model.hidden",
    "d": "targets.dimension",
    "batch": "pretrain.batch_size",
    "alignment": "alignment",
}
MEASURING = (
    f"permute_every={PERIOD}",
    "pretrain.save_every=never",
    "pretrain.knn_every=never",
    f"baselines.labels.epochs={10**6}",  # after the last there is a kNN check
)

PROJECT = Path(__file__).parents[1]


class Left(Exception):
    """The training was left on purpose."""


@dataclass
class Watch:
    """How much of a training runs, and what is noted about it.

    Attributes:
        warm: batches of an epoch before the clock starts.
        steps: batches after that.
        epochs: in all, the first of which does not count.
        ahead: whether images are read ahead though they fit the GPU's memory.
        clock: the training's own, of reassigning; None with labels.
        marks: clock and seconds of reassigning so far, twice an epoch.
        where: the images are, and the GPU's name.
        computing: device, precision, compiled or not.
    """

    warm: int
    steps: int
    epochs: int
    ahead: bool = False
    clock: Stopwatch | None = None
    marks: list[tuple[float, float]] = field(default_factory=list)
    where: str = ""
    computing: str = ""

    def read(self, device: torch.device) -> None:
        """Add to the marks."""
        now, reassigning = clock(device), 0.0
        if self.clock is not None:
            self.clock.settle()
            reassigning = float(self.clock.total[0])
        self.marks.append((now, reassigning))

    def laps(self) -> list[list[float]]:
        """Seconds of a step and of its assignment, for each epoch that counts."""
        pairs = zip(self.marks[2::2], self.marks[3::2], strict=True)
        return [
            [(after - before) / self.steps for before, after in zip(start, stop, strict=True)]
            for start, stop in pairs
        ]


class ShortLoader(Loader):
    """Ends an epoch early, adds noise to the images and reads the clock."""

    def __init__(self, watch: Watch, *given: Any) -> None:
        super().__init__(*given)
        watch.where = "images read when needed"
        if self.device.type == "cuda":
            watch.where = "images in its memory" if self.resident else "images read ahead"
            watch.where = f"{torch.cuda.get_device_name(self.device)}, {watch.where}"
        self.watch = watch
        self.steps = watch.warm + watch.steps
        self.images_per_epoch = self.steps * self.batch_size
        shape = (self.batch_size, self.store.channels, self.augment.crop, self.augment.crop)
        draws = torch.Generator().manual_seed(0)
        noise = torch.randint(256, shape, dtype=torch.uint8, generator=draws)
        self.noise = noise.to(self.device)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The first batches of an epoch, as Loader's."""
        with closing(super().epoch(epoch)) as batches:  # type: ignore[type-var]
            for step, (rows, images) in enumerate(islice(batches, self.steps), start=1):
                yield rows, images ^ self.noise
                if step in (self.watch.warm, self.steps):
                    self.watch.read(self.device)


class ShortRun(ResumableRun):
    """Leaves the training after the last epoch; saves no state."""

    def __init__(self, watch: Watch, *given: Any) -> None:
        super().__init__(*given)
        self.watch = watch
        watch.computing = self.distributed.computing

    def epochs(self, total: int) -> Iterator[int]:
        """Yield the epochs to measure, then raise Left."""
        yield from range(self.watch.epochs)
        raise Left


def measure(method: str, params: Params, folder: Path, watch: Watch) -> tuple[Watch, float]:
    """What was noted, and peak memory in GiB; in a process of its own."""
    name, manifest, outs = Name(method), folder / "store.json", (folder / "out", folder / "result")

    def stopwatch(device: torch.device) -> Stopwatch:
        watch.clock = Stopwatch(device)
        return watch.clock

    short = {
        "nat.methods.nat.Stopwatch": stopwatch,
        "nat.methods.Loader": lambda *given: ShortLoader(watch, *given),
        "nat.network.session.ResumableRun": lambda *given: ShortRun(watch, *given),
    }
    with ExitStack() as changed, suppress(Left):
        if watch.ahead:
            changed.enter_context(patch("nat.data.loader.fits", lambda *_: False))
        for place, factory in short.items():
            changed.enter_context(patch(place, factory))
        if method == "nat":
            pretrain(params, name, manifest, folder / "targets.npy", *outs)
        else:
            train(params, name, manifest, *outs)
    watch.clock = None
    if watch.computing.startswith("cuda"):
        return watch, torch.cuda.max_memory_allocated() / 2**30
    return watch, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def write_targets(n: int, params: Params, file: Path) -> None:
    found = sample_targets("sphere", min(n, DISTINCT), params.targets, seed=0).array
    save_targets(Targets(found.repeat(-(-n // len(found)), 1)[:n]), file)


def middle(laps: list[list[float]]) -> list[float]:
    """Medians of each column."""
    return [statistics.median(column) for column in zip(*laps, strict=True)]


def chosen_params(profile: str, options: dict[str, Any], folder: Path) -> tuple[Params, float]:
    """The parameters to train with, and the share of epochs that reassign in the profile."""
    file = folder / "params.yaml"
    file.write_text(render(profile, PROJECT / "profiles", base_of(PROJECT / "params.yaml")))
    values = {SETTINGS[name]: value for name, value in options.items() if value is not None}
    values |= {"machine.data": str(folder), "machine.scratch": str(folder)}
    changes = tuple(f"{name}={json.dumps(value)}" for name, value in values.items())
    params = load_params(file, changes)
    share = 0.0 if params.permute_every == "never" else 1 / params.permute_every
    same = f"baselines.labels.batch_size={params.pretrain.batch_size}"
    return load_params(file, (*changes, same, *MEASURING)), share


@click.command()
@click.option("--profile", default="imagenet", show_default=True, help="Settings not given here.")
@click.option("--n", default=WHOLE, show_default=True, help="Images of the store.")
@click.option("--device", help="auto, cpu, cuda or cuda:N.")
@click.option("--precision", type=click.Choice(["float32", "bfloat16"]))
@click.option("--compile/--no-compile", default=None)
@click.option("--threads", type=int)
@click.option("--size", type=int, help="Side of the stored squares.")
@click.option("--crop", type=int)
@click.option("--trunk", type=click.Choice(["small", "alexnet"]))
@click.option("--hidden", type=int)
@click.option("--d", type=int, help="Dimension of the targets.")
@click.option("--batch", type=int)
@click.option("--alignment", help="A file of nat/alignments.")
@click.option("--ahead", is_flag=True, help="Read images ahead though they fit the GPU's memory.")
@click.option("--steps", type=click.IntRange(1), default=200, show_default=True, help="Timed.")
@click.option("--warm", type=click.IntRange(1), default=20, show_default=True, help="Before those.")
@click.option("--rounds", type=click.IntRange(1), default=3, show_default=True)
def main(
    profile: str,
    n: int,
    steps: int,
    warm: int,
    rounds: int,
    ahead: bool,
    **options: str | int | bool | None,
) -> None:
    """Print a markdown table."""
    found = {}
    try:
        with tempfile.TemporaryDirectory(dir=".") as temporary:
            folder = Path(temporary).resolve()
            params, share = chosen_params(profile, options, folder)
            batch = params.pretrain.batch_size
            if n < batch * (warm + steps):
                raise UserError(f"--n: {n}; an epoch needs {batch * (warm + steps)} images")
            shape = params.images.size, params.images.channels
            sparse_store(folder, n, *shape, CLASSES).rename(folder / "store.json")
            write_targets(n, params, folder / "targets.npy")
            for method, epochs in (("labels", 1 + rounds), ("nat", 1 + PERIOD * rounds)):
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                    watch = Watch(warm, steps, epochs, ahead)
                    found[method] = pool.submit(measure, method, params, folder, watch).result()
    except UserError as error:
        raise click.ClickException(str(error)) from error
    watch = found["nat"][0]
    print(
        f"{params.model.trunk}, {params.augment.crop} px of {shape[0]}, n = {n:,}, b = {batch}, "
        f"d = {params.targets.dimension}, {params.alignment}; {watch.computing}, "
        f"{params.machine.threads} threads; {watch.where}\n"
    )
    kinds: dict[bool, list[list[float]]] = {True: [], False: []}
    for epoch, lap in enumerate(watch.laps(), start=1):
        kinds[permutes_in(epoch, PERIOD)].append(lap)
    fixed, moving = middle(kinds[False]), middle(kinds[True])
    times = {
        "labels": middle(found["labels"][0].laps()),
        "NAT, P as it is": fixed,
        "NAT, reassigning": moving,
        f"NAT, {100 * share:.0f} % of epochs reassigning": [
            share * a + (1 - share) * b for a, b in zip(moving, fixed, strict=True)
        ],
    }
    print("| training | images/s | over labels | assignment, ms | share, % | memory, GiB |", end="")
    print(f" hours of {EPOCHS} epochs of {WHOLE:,} images, extrapolated |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, (seconds, aligning) in times.items():
        ratio = times["labels"][0] / seconds
        memory = found["labels" if name == "labels" else "nat"][1]
        hours = EPOCHS * (WHOLE // batch) * seconds / 3600
        print(f"| {name} | {batch / seconds:,.1f} | {ratio:.3f} | {1000 * aligning:.2f} |", end="")
        print(f" {100 * aligning / seconds:.2f} | {memory:.2f} | {hours:,.1f} |")
    print(f"\n{floor(params, watch.computing, fixed[0])}")


def floor(params: Params, computing: str, seconds: float) -> str:
    """What NAT's step would take at the device's own rates, beside what it took, in words."""
    torch.set_num_threads(params.machine.threads)
    device, dtype = torch.device(computing.split()[0]), getattr(torch, params.precision)
    batch, outputs = params.pretrain.batch_size, params.targets.dimension
    work = work_of(params.model, params.augment.crop, outputs, batch, dtype.itemsize)
    return told(work, rates_of(device, dtype), seconds)


if __name__ == "__main__":
    main()
