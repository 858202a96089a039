"""Images a second from the image store against decoding JPEGs every time, by size of the store.

    python benchmarks/loader.py --n 10000 --n 100000

"store" is Store.batch and the cropping that training calls on a CPU, of rows drawn at random. The
store is a sparse file, which takes no disk: "first" is when the system makes the pages, "again"
when it has them, as those of a real store once read. A disk's speed is not measured. "decoding"
reads a JPEG of 500 x 375 into the same luma square, then crops and flips. Medians over batches of
this process's CPU time, one thread.
"""

import statistics
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import torch
from jpegs import jpeg

from nat.data.augment import cut_out, draw_cuts
from nat.data.squares import read_square
from nat.data.store import Store, store_folder
from nat.runtime.io.files import write_json


def sparse_store(folder: Path, n: int, size: int, channels: int = 1, classes: int = 1) -> Path:
    """A store of n zero images to train on and one to test on; returns its manifest."""
    counts, splits = {"train": n, "test": 1}, {}
    content = {"source": "zeros", "size": size, "channels": channels}
    content |= {"classes": [str(label) for label in range(classes)]}
    for name, count in counts.items():
        splits[name] = {"count": count, "labelled": count, "sha256": "0" * 64}
    content |= {"splits": splits}
    place = store_folder(content, str(folder))
    place.mkdir(parents=True)
    for name, count in counts.items():
        shape = (count, channels, size, size)
        np.lib.format.open_memmap(place / f"{name}.npy", mode="w+", dtype=np.uint8, shape=shape)
        np.save(place / f"{name}_labels.npy", np.arange(count) % classes)
    write_json(folder / f"{n}.json", content)
    return folder / f"{n}.json"


def cropped(images: torch.Tensor, crop: int, draws: torch.Generator) -> torch.Tensor:
    cuts = draw_cuts(len(images), images.shape[-1], crop, True, draws)
    return cut_out(images, torch.arange(len(images)), cuts, crop)


def by_decoding(
    contents: list[bytes], size: int, batch: int, crop: int, draws: torch.Generator
) -> torch.Tensor:
    chosen = [contents[i % len(contents)] for i in range(batch)]
    squares = np.stack([read_square(content, size, 1, False) for content in chosen])
    return cropped(torch.from_numpy(squares), crop, draws)


@click.command()
@click.option("--n", "sizes", multiple=True, type=int, default=[10_000, 100_000])
@click.option("--size", default=256, show_default=True, help="Side of the stored squares.")
@click.option("--crop", default=224, show_default=True)
@click.option("--batch", default=128, show_default=True)
@click.option("--batches", default=40, show_default=True)
def main(sizes: tuple[int, ...], size: int, crop: int, batch: int, batches: int) -> None:
    """Print a markdown table."""
    torch.set_num_threads(1)
    draws = torch.Generator().manual_seed(0)
    noise = np.random.default_rng(0)
    contents = [jpeg(noise) for _ in range(32)]
    print("| images | from | ms an image | images/s |")
    print("| ---: | --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            store = Store(sparse_store(Path(folder), n, size), folder, "train")
            order = torch.randperm(n, generator=draws)
            for way in ("store, first", "store, again"):
                times = []
                for rows in order.split(batch)[: min(batches, n // batch)]:
                    start = time.process_time()
                    cropped(store.batch(rows), crop, draws)
                    times.append((time.process_time() - start) / batch)
                tell(f"{n:,}", way, times)
    times = []
    for _ in range(max(3, batches // 8)):
        start = time.process_time()
        by_decoding(contents, size, batch, crop, draws)
        times.append((time.process_time() - start) / batch)
    tell("any", "decoding", times)


def tell(n: str, way: str, times: list[float]) -> None:
    middle = statistics.median(times)
    print(f"| {n} | {way} | {1000 * middle:.3f} | {1 / middle:,.0f} |")


if __name__ == "__main__":
    main()
