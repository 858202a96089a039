r"""Which settings are best on validation images: no test image is read.

    python benchmarks/settings.py --images data/images.json --out trials.csv \
        nat nat:pretrain.lr=0.02 nat:targets.dimension=128,pretrain.lr=0.02 random labels

A trial is a method, and behind a colon what differs from params.yaml, or another file, for it. It
is trained and probed on the images held out (`evaluate_on: validation`), in one thread, as many
trials at once as ``--jobs``. A row of the CSV is a trial of one seed; those that are in it are not
run again. The table: accuracies, mean over the seeds, the best MLP first.
"""

import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import click
import pandas as pd

PROBES = ["mlp", "linear", "knn"]
FIELDS = ["method", "changed", "seed", *PROBES, "loss", "images", "commit", "seconds"]
NAT = [sys.executable, "-m", "nat"]


def trial(method: str, changed: str, seed: int, images: Path, params: Path) -> dict[str, object]:
    """A row of the CSV."""
    start = time.perf_counter()
    own = [setting for setting in changed.split(",") if setting]
    with tempfile.TemporaryDirectory() as folder:
        settings = [*own, "evaluate_on=validation", "machine.threads=1"]
        settings.append(f"machine.scratch={folder}/scratch")
        options = [word for setting in settings for word in ("--set", setting)]
        options += ["--params", str(params), "--images", str(images), "--seed", str(seed)]
        network, trained, probed = (f"{folder}/{name}" for name in ("network", "t.json", "p.json"))
        outs = ["--out", network, "--result", trained]
        if method == "nat":
            targets = f"{folder}/targets.npy"
            run("targets", "--out", targets, *options)
            run("pretrain", "--targets", targets, *outs, *options)
        else:
            run("train", method, *outs, *options)
        weights = f"{network}/network.safetensors"
        run("probe", method, "--network", weights, "--out", probed, *options)
        measured = json.loads(Path(probed).read_text())
        loss = json.loads(Path(trained).read_text())["measured"].get("loss")
    where = measured["provenance"]
    assert "test" not in where["images"]
    accuracies = [measured["measured"][probe] for probe in PROBES]
    known = [method, changed, seed, *accuracies, loss, where["store"], where["commit"]]
    return dict(zip(FIELDS, [*known, round(time.perf_counter() - start)], strict=True))


def run(*words: str) -> None:
    """A command of the package; its progress goes to standard error, as its result does."""
    subprocess.run([*NAT, *words], check=True, stdout=sys.stderr)


def wanted(trials: tuple[str, ...], seeds: str) -> Iterator[tuple[str, str, str]]:
    """Method, settings and seed of every trial, the first seed's first."""
    for seed in seeds.split(","):
        for each in trials:
            method, _, changed = each.partition(":")
            yield method, changed, seed


@click.command()
@click.argument("trials", nargs=-1, required=True)
@click.option("--images", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--params", type=click.Path(path_type=Path, exists=True), default="params.yaml")
@click.option("--seeds", default="0", show_default=True)
@click.option("--jobs", default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True)
def main(
    trials: tuple[str, ...], images: Path, params: Path, seeds: str, jobs: int, out: Path
) -> None:
    """Run what the CSV lacks, then print the table."""
    rows: list[dict[str, object]] = []
    if out.exists():
        with open(out, newline="") as file:
            rows = list(csv.DictReader(file))
    known = {(row["method"], row["changed"], row["seed"]) for row in rows}
    writing = Lock()

    def one(method: str, changed: str, seed: str) -> None:
        row = trial(method, changed, int(seed), images, params)
        with writing:
            rows.append({name: str(value) for name, value in row.items()})
            pd.DataFrame(rows, columns=FIELDS).to_csv(out, index=False)

    with ThreadPoolExecutor(jobs) as pool:
        asked = [pool.submit(one, *each) for each in wanted(trials, seeds) if each not in known]
        for job in asked:
            job.result()
    frame = pd.read_csv(out, keep_default_na=False)
    means = frame.groupby(["method", "changed"], sort=False)[PROBES].mean().round(2)
    seeds_of = frame.groupby(["method", "changed"], sort=False)["seed"].count()
    table = means.assign(seeds=seeds_of).sort_values("mlp", ascending=False).reset_index()
    click.echo("| " + " | ".join(table.columns) + " |\n" + "| --- | --- |" + " ---: |" * 4)
    for row in table.itertuples(index=False):
        click.echo(f"| {' | '.join(map(str, row))} |")


if __name__ == "__main__":
    main()
