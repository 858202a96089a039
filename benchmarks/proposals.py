"""Selective search: its time, and how much of the ground truth its boxes cover.

    python benchmarks/proposals.py --images 200 --threads 2
    python benchmarks/proposals.py --short-side 120 --finest 50 --finest 100

Images of trainval in data/voc.json, whose folder params.yaml names; a row a setting, in which
the coarser segmentation has twice the scale of the finest. The last row has scikit-learn's two
photographs, coloured, at VOC 2007's usual 500 x 375 pixels and with R-CNN's settings: they have no
ground truth and tell the time alone. CPU time is that of all threads, and the better measure on a
machine with other work; images a second are wall time.
"""

import itertools
import tempfile
import time
from pathlib import Path

import click
import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from nat.data.seeds import generator
from nat.runtime.settings.load import load_params
from nat.runtime.settings.params import ProposalSettings
from nat.voc.data.boxes import recall
from nat.voc.data.manifest import open_voc
from nat.voc.data.proposals import Proposals
from nat.voc.proposals.selective_search import search, search_split


def photographs(settings: ProposalSettings) -> None:
    images = [
        np.asarray(Image.fromarray(image).resize((500, 375)))
        for image in load_sample_images().images
    ]
    start, used = time.perf_counter(), time.process_time()
    boxes = [len(search(image, settings, generator(0, "benchmark"))) for image in images]
    speed = len(boxes) / (time.perf_counter() - start)
    cpu = 1000 * (time.process_time() - used) / len(boxes)
    times = f"{cpu:.0f} | {speed:.2f}"
    print(f"| photographs, 1 thread | 375 | 50 | {times} | - | {np.mean(boxes):.0f} |")


@click.command()
@click.option("--voc", type=click.Path(path_type=Path), default="data/voc.json", show_default=True)
@click.option("--images", default=200, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--short-side", "sides", multiple=True, type=int, default=[60, 75, 90, 120])
@click.option("--finest", "scales", multiple=True, type=int, default=[50, 100])
def main(
    voc: Path, images: int, threads: int, sides: tuple[int, ...], scales: tuple[int, ...]
) -> None:
    """Print a markdown table."""
    params = load_params()
    source, split, _ = open_voc(params, voc)
    split.annotations = split.annotations[:images]
    print("| images | short side | finest | CPU ms | images/s | recall, % | boxes |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for side, finest in itertools.product(sides, scales):
        changes = {"short_side": side, "segments": [finest, 2 * finest]}
        settings = params.proposals.model_copy(update=changes)
        used = time.process_time()
        with tempfile.TemporaryDirectory() as scratch:
            found, seconds = search_split(split, settings, threads, Path(scratch, "s"), "")
        cpu = 1000 * (time.process_time() - used) / len(found)
        covered = 100 * recall(split, Proposals(list(found), list(found.values())))
        boxes = np.mean([len(each) for each in found.values()])
        speed = len(found) / seconds
        times = f"{cpu:.1f} | {speed:.0f}"
        print(f"| {source['data']} | {side} | {finest} | {times} | {covered:.1f} | {boxes:.0f} |")
    plain = {"short_side": None, "segments": [50, 100], "smallest": 20}
    photographs(params.proposals.model_copy(update=plain))


if __name__ == "__main__":
    main()
