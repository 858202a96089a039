r"""How much a result changes with the seed, and with what should not change it: threads, processes.

    python benchmarks/reproducibility.py --images data/images.json --out runs.csv
    python benchmarks/reproducibility.py --images data/images.json --out runs.csv --seeds 0,1

Each run samples targets, pretrains by NAT and probes, at the settings of params.yaml or of another
file. Ways of computing:

    1-thread       one process
    again          the same once more, of the first seed: the same bytes?
    2-threads      sums are taken in another order, so that the last digits differ, and in time the
                   course of the assignment
    2-processes    by torchrun, 1 thread each; targets are matched over the whole batch, batch norm
                   sees half of it

A row of the CSV is a run; runs that are in it are not run again. The table: mean and standard
deviation over the seeds of each way, and the standard deviation that the choice between 1 and 2
threads causes within a seed.
"""

import csv
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean, stdev

import click

PROBES = ("mlp", "linear", "knn")
FIELDS = ("way", "seed", *PROBES, "loss", "weights", "seconds")
PYTHON = (sys.executable,)
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
WAYS = {
    "1-thread": (PYTHON, ("machine.threads=1",)),
    "again": (PYTHON, ("machine.threads=1",)),
    "2-threads": (PYTHON, ("machine.threads=2",)),
    "2-processes": (TORCHRUN, ("machine.threads=1", "pretrain.matching=global")),
}


def trained(way: str, seed: int, images: Path, params: Path) -> dict[str, object]:
    """A row of the CSV."""
    launcher, settings = WAYS[way]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        targets, network, training, probe = (
            f"{folder}/{name}" for name in ("targets.npy", "network", "training.json", "probe.json")
        )
        weights = f"{network}/network.safetensors"
        for starter, words in (
            (PYTHON, ("targets", "--out", targets)),
            (
                launcher,
                ("pretrain", "--targets", targets, "--out", network, "--result", training),
            ),
            (PYTHON, ("probe", "--network", weights, "--out", probe)),
        ):
            options = [word for setting in settings for word in ("--set", setting)]
            common = ["--params", str(params), "--images", str(images), "--seed", str(seed)]
            # the probe is computed in the same way throughout, as what is compared is the training
            options = options if starter is launcher and words[0] == "pretrain" else options[:2]
            subprocess.run([*starter, "-m", "nat", *words, *common, *options], check=True)
        measured = json.loads(Path(probe).read_text())["measured"]
        loss = json.loads(Path(training).read_text())["measured"]["loss"]
        digest = hashlib.sha256(Path(weights).read_bytes()).hexdigest()[:12]
    seconds = round(time.perf_counter() - start)
    accuracies = [measured[probe] for probe in PROBES]
    return dict(zip(FIELDS, (way, seed, *accuracies, loss, digest, seconds), strict=True))


def table(rows: list[dict[str, str]]) -> list[str]:
    """Lines of markdown."""
    lines = [
        "| way | seeds | MLP | linear | kNN | networks equal to 1 thread's |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    of = {way: {row["seed"]: row for row in rows if row["way"] == way} for way in WAYS}
    for way, runs in of.items():
        if not runs:
            continue
        cells = [
            f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")
            for reading in PROBES
            for values in [[float(row[reading]) for row in runs.values()]]
        ]
        same = sum(
            seed in of["1-thread"] and row["weights"] == of["1-thread"][seed]["weights"]
            for seed, row in runs.items()
        )
        lines.append(f"| {way} | {len(runs)} | {' | '.join(cells)} | {same} of {len(runs)} |")
    both = [seed for seed in of["1-thread"] if seed in of["2-threads"]]
    if both:
        # of two values each, the variance is half the squared difference
        spreads = [
            mean(
                (float(of["1-thread"][s][reading]) - float(of["2-threads"][s][reading])) ** 2 / 2
                for s in both
            )
            ** 0.5
            for reading in PROBES
        ]
        cells = [f"± {spread:.1f}" for spread in spreads]
        lines.append(f"| 1 or 2 threads, same seed | {len(both)} | {' | '.join(cells)} | |")
    return lines


@click.command()
@click.option("--images", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--params", type=click.Path(path_type=Path, exists=True), default="params.yaml")
@click.option("--seeds", default="0,1,2")
@click.option("--ways", default=",".join(WAYS))
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(images: Path, params: Path, seeds: str, ways: str, out: Path) -> None:
    """Run what the CSV lacks, then print the table."""
    rows: list[dict[str, str]] = []
    if out.exists():
        with open(out, newline="") as file:
            rows = list(csv.DictReader(file))
    known = {(row["way"], row["seed"]) for row in rows}
    for way in ways.split(","):
        for seed in seeds.split(",")[: 1 if way == "again" else None]:
            if (way, seed) in known:
                continue
            row = trained(way, int(seed), images, params)
            rows.append({name: str(value) for name, value in row.items()})
            with open(out, "w", newline="") as file:
                writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
    click.echo("\n".join(table(rows)))


if __name__ == "__main__":
    main()
