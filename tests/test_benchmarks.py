"""That benchmarks still run, on next to nothing; what they measure is no test."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import CLASSES, fake_objects, image_set
from ruamel.yaml import YAML
from tiny import PROJECT

from nat.data.seeds import generator
from nat.data.store import Source, Split, write_store
from nat.network.model import Network, initialise, save_network
from nat.voc.data import prepare
from nat.voc.proposals.prepare import prepare_proposals

COMMANDS = {
    "detection": "--iterations 1 --tests 2 --images 2 --regions 8 --hidden 8 --threads 1",
    "disk": "--commands check targets --steps 1",
    "fuzz": "--reader assignment --inputs 20",
    "ground_truth_boxes": "--network network.safetensors --voc voc.json --proposals proposals",
    "kills": "--stage check --start again --random 1 --others 1",
    "loader": "--n 40 --size 32 --crop 28 --batch 8 --batches 2",
    "mutation": "--fault decay-from-the-first-batch",  # and the code has what all replace
    "prepare": "--images 8 --runs 1",
    "proposals": "--images 2 --threads 1 --short-side 60 --finest 50 --voc voc.json",
    "reproducibility": "--images images.json --seeds 0 --ways 1-thread --out runs.csv",
    "roofline": "--trunk small --crop 28 --hidden 8 --d 8 --batch 8 --threads 1",
    "settings": "--images images.json --out trials.csv random nat:permute_every=1",
    "solver": "--d 8 --b 8 --runs 1",
    "step": "--batch 8 --hidden 8 --d 8 --steps 1 --warm 1 --threads 1",
    "targets": "--n 100 --d 8 --batch 4 --threads 1",
    "training": "--profile embedded --device cpu --n 32 --hidden 8 --d 8 --batch 8 --steps 1 "
    "--warm 1 --rounds 1 --threads 1",
}


def test_every_benchmark_is_run_here() -> None:
    files = {file.stem for file in (PROJECT / "benchmarks").glob("*.py")}
    assert files - {"jpegs"} == set(COMMANDS)  # which makes images for others


@pytest.mark.parametrize("name", COMMANDS)
def test_prints_its_table(
    name: str,
    make_params: Any,
    manifest: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert manifest == tmp_path / "images.json"
    params = make_params()
    if name in ("reproducibility", "settings"):
        YAML().dump(params.model_dump(mode="json"), tmp_path / "params.yaml")
    if name == "settings":  # are chosen on images that are held out
        images, labels = image_set(96)
        splits = {each: Split(96, images, labels) for each in ("train", "validation")}
        write_store(Source("held-out", CLASSES, splits), 32, 1, params.machine.data, manifest)
    if name in ("proposals", "ground_truth_boxes"):
        monkeypatch.setattr(prepare, "read_objects", lambda folder, data: fake_objects())
        prepare.prepare_voc(params, tmp_path / "voc.json")
        YAML().dump(params.model_dump(mode="json"), tmp_path / "params.yaml")
    if name == "ground_truth_boxes":
        prepare_proposals(params, tmp_path / "voc.json", tmp_path / "proposals")
        network = Network(params.model, params.augment.crop, params.targets.dimension)
        initialise(network, generator(0, "network"))
        save_network(network, tmp_path / "network.safetensors")
    command = [sys.executable, str(PROJECT / "benchmarks" / f"{name}.py"), *COMMANDS[name].split()]
    env = os.environ | {"PYTHONPATH": str(PROJECT)}  # this project's nat, whichever is installed
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len(rows) > 2
    assert len({row.count("|") for row in rows}) == 1
