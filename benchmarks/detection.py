r"""Speed and memory of training and testing Fast R-CNN, on random images and boxes.

    python benchmarks/detection.py
    python benchmarks/detection.py --trunk alexnet --size 500 375 --short 600 --long 1000 \
        --input 224 --hidden 4096 --images 2 --regions 128 --classes 20 --min-score 0.05 \
        --proposals 2000 --iterations 3 --tests 4

The defaults are those of params.yaml, the second line is the protocol's: VOC's usual
image, 2000 proposals. Random images cost what real ones do, but the network is untrained: all
its scores are about 1 / (classes + 1), and where --min-score is less, almost every box is one to
rank. Each row has a process of its own; its memory is the highest the process ever held, on CUDA
the highest that tensors held there. The clock starts after a first iteration, and after a first
round of test images.
"""

import multiprocessing
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import click
import torch
from ruamel.yaml import YAML
from torchvision.datasets import FashionMNIST

from nat.data.seeds import generator
from nat.network.model import Trunk, initialise
from nat.runtime.distributed import Distributed
from nat.runtime.settings.params import Detect
from nat.voc.data.reader import Ground
from nat.voc.detection.detect import pooled_cells
from nat.voc.detection.evaluate import AT_ONCE, detected
from nat.voc.detection.model import Detector
from nat.voc.detection.sampling import image_batches
from nat.voc.detection.targets import make_example
from nat.voc.detection.train import (
    TrainingSet,
    draw_batch,
    make_detector,
    make_optimizer,
    multi_task_loss,
)

PROFILE = YAML(typ="safe").load((Path(__file__).parents[1] / "params.yaml").read_text())
DETECT = PROFILE["detect"]


def random_boxes(count: int, width: int, height: int, draws: torch.Generator) -> torch.Tensor:
    corners = torch.rand(count, 2, 2, generator=draws) * torch.tensor([width, height]) + 1
    low, high = corners.amin(1).floor(), corners.amax(1).floor()
    return torch.cat([low, high], 1)


def random_set(count: int, size: tuple[int, int], proposals: int, classes: int) -> TrainingSet:
    """Images with three objects, 8 boxes near each, and others anywhere."""
    draws = torch.Generator().manual_seed(0)
    width, height = size
    limits = torch.tensor([width, height] * 2)
    images, examples = [], []
    for _ in range(count):
        pixels = torch.randint(0, 256, (height, width), dtype=torch.uint8, generator=draws)
        objects = random_boxes(3, width, height, draws)
        near = objects.repeat(8, 1) + torch.randint(-3, 4, (24, 4), generator=draws)
        near = near.clamp(min=1).minimum(limits)
        near[:, 2:] = near[:, 2:].maximum(near[:, :2])
        others = random_boxes(max(proposals - 24, 0), width, height, draws)
        labels = torch.randint(classes, (3,), generator=draws)
        ground = Ground(objects, labels, torch.zeros(3, dtype=torch.bool))
        images.append(pixels)
        examples.append(make_example(ground, torch.cat([near, others])))
    return TrainingSet(images, examples)


class Split:
    """As much of a VOC split as testing asks for."""

    def __init__(self, data: TrainingSet, count: int, classes: int) -> None:
        height, width = data.images[0].shape
        self.annotations = [SimpleNamespace(height=height, width=width)] * count
        self.classes = [str(label) for label in range(classes)]
        self.data = data

    def __len__(self) -> int:
        return len(self.annotations)

    def seen(self, row: int, _: int) -> torch.Tensor:
        """Any of the random ones."""
        return self.data.images[row % len(self.data.images)]


def training_rate(
    network: Detector, data: TrainingSet, settings: Detect, distributed: Distributed
) -> float:
    """Images a second."""
    optimizer = make_optimizer(network, settings)
    draws = generator(0, "regions")
    network.train()
    start = 0.0
    todo = range(settings.iterations + 1)
    rows = range(len(data.images))
    batches = image_batches(rows, settings.images, todo, 0)
    for iteration, chosen in zip(todo, batches, strict=True):
        batch = draw_batch(data, chosen, settings, draws, distributed.device)
        with distributed.autocast():
            logits, moves = network(batch.regions)
        loss = multi_task_loss(network, logits, moves, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # waits for the device
        if iteration == 0:
            start = time.perf_counter()
    return settings.iterations * settings.images / (time.perf_counter() - start)


def test_rate(
    network: Detector, data: TrainingSet, settings: Detect, tests: int, distributed: Distributed
) -> float:
    """Images a second."""
    for count in (min(AT_ONCE, tests), tests):
        split = Split(data, count, len(network.mean))
        regions = [data.examples[row % len(data.examples)].boxes for row in range(count)]
        start = time.perf_counter()
        detected(network, split, regions, settings, distributed)  # type: ignore[arg-type]
    return tests / (time.perf_counter() - start)


def measure(phase: str, chosen: dict, settings: Detect) -> tuple[float, float]:
    """Images a second and peak memory in MiB, in a process of its own."""
    torch.set_num_threads(chosen["threads"])
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    distributed = Distributed(device, torch.bfloat16 if device.type == "cuda" else torch.float32)
    classes = chosen["classes"]
    data = random_set(max(4, 2 * settings.images), chosen["size"], chosen["proposals"], classes)
    trunk = Trunk(chosen["trunk"])
    initialise(trunk, torch.Generator().manual_seed(0))
    cells = pooled_cells(trunk, chosen["input"])
    network = make_detector(trunk.eval(), data, classes, cells, settings, 0, device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    if phase == "training":
        rate = training_rate(network, data, settings, distributed)
    else:
        rate = test_rate(network, data, settings, chosen["tests"], distributed)
    if device.type == "cuda":
        return rate, torch.cuda.max_memory_allocated() / 2**20
    return rate, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


@click.command(context_settings={"show_default": True})
@click.option("--trunk", type=click.Choice(["small", "alexnet"]), default=PROFILE["model"]["trunk"])
@click.option("--size", type=(int, int), default=PROFILE["voc"]["size"], help="Stored pixels.")
@click.option("--short", default=DETECT["test_short_side"], help="Short side the network sees.")
@click.option("--long", default=DETECT["long_side"], help="Long side at most.")
@click.option("--input", default=PROFILE["finetune"]["input"], help="Gives a region's cells.")
@click.option("--hidden", default=DETECT["hidden"])
@click.option("--images", default=DETECT["images"], help="A training batch.")
@click.option("--regions", default=DETECT["regions"], help="A training batch.")
@click.option("--classes", default=len(FashionMNIST.classes))
@click.option("--min-score", default=DETECT["min_score"], help="Of a detection.")
@click.option("--proposals", default=50, help="An image.")
@click.option("--iterations", default=50, help="Timed ones.")
@click.option("--tests", default=400, help="Timed test images.")
@click.option("--threads", default=2)
def main(**chosen: int) -> None:
    """Print a markdown table."""
    group = {"short_sides": [chosen["short"]], "test_short_side": chosen["short"]}
    group |= {"long_side": chosen["long"]}
    own = ("hidden", "images", "regions", "min_score", "iterations")
    settings = Detect.model_validate(DETECT | group | {name: chosen[name] for name in own})
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    print(", ".join(f"{name} {value}" for name, value in chosen.items()) + f", {device}\n")
    print("| phase | images/s | peak memory, MiB |")
    print("| --- | ---: | ---: |")
    for phase in ("training", "test"):
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            rate, memory = pool.submit(measure, phase, chosen, settings).result()
        print(f"| {phase} | {rate:.3g} | {memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
