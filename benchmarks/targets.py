"""Disk and memory of targets and assignment, by default at ImageNet's n and the paper's code's d.

    python benchmarks/targets.py --n 1281167 --d 2048

Each row is a process of its own: sampling and writing as `nat targets` does, or reading the rows of
random batches as training does. "own" is the most memory that the process has taken for itself,
"mapped" that of the file's pages, which the system shares among processes and takes back when
others need it. Without the libraries' own memory. The assignment is int64 (n,).
"""

import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import click
import torch

from nat.runtime.settings.params import TargetSettings
from nat.targets import load_targets, sample_targets, save_targets

GB = 1e9
BATCHES = 200


def memory(kind: str) -> float:
    """GB of this process; kind: RssAnon, RssFile, or VmHWM, the most it ever had of all."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) * 1024 / GB
    raise SystemExit("memory is measured on Linux alone")


def sampling(file: Path, n: int, settings: TargetSettings, batch: int) -> str:
    before, start = memory("VmHWM"), time.perf_counter()
    save_targets(sample_targets("sphere", n, settings, seed=0), file)
    seconds = time.perf_counter() - start
    return f"{memory('VmHWM') - before:.2f} | | {seconds:.0f} s in all"


def reading(file: Path, n: int, settings: TargetSettings, batch: int) -> str:
    own, mapped = memory("RssAnon"), memory("RssFile")
    targets, assignment = load_targets(file), torch.randperm(n)
    times = []
    for _ in range(BATCHES):
        rows = torch.randint(n, (batch,))
        start = time.perf_counter()
        targets.vectors(assignment[rows])
        times.append(time.perf_counter() - start)
    own, mapped = memory("RssAnon") - own, memory("RssFile") - mapped
    return f"{own:.2f} | {mapped:.2f} | {1000 * statistics.median(times):.2f} ms a batch of {batch}"


@click.command()
@click.option("--n", default=1_281_167, show_default=True, help="Images.")
@click.option("--d", default=2048, show_default=True)
@click.option("--batch", default=256, show_default=True)
@click.option("--threads", default=2, show_default=True)
def main(n: int, d: int, batch: int, threads: int) -> None:
    """Print a markdown table."""
    print(f"n = {n:,}, d = {d:,}\n")
    print("| precision | | file, GB | own, GB | mapped, GB | time |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for precision in ("float32", "float16"):
        settings = TargetSettings.model_validate({"dimension": d, "k": 2, "precision": precision})
        with tempfile.TemporaryDirectory(dir=".") as folder:
            file = Path(folder) / "targets.npy"
            for work in (sampling, reading):
                with ProcessPoolExecutor(
                    1, get_context("spawn"), torch.set_num_threads, (threads,)
                ) as process:
                    told = process.submit(work, file, n, settings, batch).result()
                size = file.stat().st_size / GB
                print(f"| {precision} | {work.__name__} | {size:.2f} | {told} |", flush=True)


if __name__ == "__main__":
    main()
