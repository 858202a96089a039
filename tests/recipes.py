"""The commands on tiny data: what each reads, writes and keeps meanwhile."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from commands import command
from conftest import write_picture_folder
from report.conftest import VALUES, make_folder
from ruamel.yaml import YAML
from tiny import EMBEDDED, PROJECT, settings

ABLATIONS = VALUES | {"k": [10, 20, 50]}  # of 96 pictures


@dataclass(frozen=True)
class Recipe:
    """A command with everything it needs.

    Attributes:
        words: of the command; ``BENCH`` is the folder of what it reads, ``DISK`` that of what it
            writes.
        outs: what it writes, below ``DISK``.
        earlier: words that give another output in the same place.
        given: content of the output that is there before; "" has the command write one.
        settings: whether it reads the parameter file.
        data: whether it writes into machine.data.
        state: whether it keeps something in machine.scratch while it works.
    """

    words: tuple[str, ...]
    outs: tuple[str, ...]
    earlier: tuple[str, ...] = ()
    given: str = ""
    settings: bool = True
    data: bool = False
    state: bool = False

    def line(self, bench: Path, disk: Path, scratch: Path, earlier: bool = False) -> list[str]:
        """The command's words.

        Args:
            bench: where the inputs lie.
            disk: where the outputs lie.
            scratch: machine.scratch.
            earlier: whether to make the earlier output.
        """
        words = [*self.words, *(self.earlier if earlier else ())]
        if self.settings:
            data = disk / "data" if self.data else bench / "data"
            words += ["--params", "BENCH/params.yaml", "--set", f"machine.data={data}"]
            words += ["--set", f"machine.scratch={scratch}"]
        return [word.replace("BENCH", str(bench)).replace("DISK", str(disk)) for word in words]


def _recipe(words: str, *outs: str, earlier: str = "", given: str = "", **facts: bool) -> Recipe:
    return Recipe(tuple(words.split()), outs, tuple(earlier.split()), given, **facts)


NETWORK = "--network BENCH/nat/network.safetensors"
STORE = "--pictures BENCH/pictures.json"
VOC = "--voc BENCH/voc.json"
LISTED = " ".join(
    f"--set ablations.{factor}={json.dumps(values, separators=(',', ':'))}"
    for factor, values in ABLATIONS.items()
)
RECIPES = {
    "profile": _recipe(
        f"profile cifar10 --force --params DISK/params.yaml --profiles {EMBEDDED.parent}",
        "params.yaml",
        "params.yaml.bak",
        given=EMBEDDED.read_text().replace("seeds: [0]", "seeds: [1]"),
        settings=False,
    ),
    "check": _recipe("check --out DISK/checked", "checked"),
    "prepare pictures": _recipe(
        "prepare pictures --out DISK/pictures.json",
        "pictures.json",
        earlier="--set pictures.size=30",
        data=True,
    ),
    "prepare pictures, folder": _recipe(
        "prepare pictures --set pictures.source=folder --set pictures.folder=BENCH/pictures "
        "--set pictures.train=null --set pictures.val=null --out DISK/pictures.json",
        "pictures.json",
        earlier="--set pictures.size=30",
        data=True,
    ),
    "prepare voc": _recipe(
        "prepare voc --out DISK/voc.json",
        "voc.json",
        earlier="--set voc.pictures=20",
        data=True,
    ),
    "targets": _recipe(f"targets {STORE} --out DISK/out/0.npy", "out/0.npy", earlier="--seed 1"),
    "pretrain": _recipe(
        f"pretrain {STORE} --targets BENCH/targets.npy --out DISK/out/nat --record DISK/record/nat",
        "out/nat",
        "record/nat",
        earlier="--seed 1",
        state=True,
    ),
    "baseline random": _recipe(
        f"baseline random {STORE} --out DISK/out/random --record DISK/record/random",
        "out/random",
        "record/random",
        earlier="--seed 1",
    ),
    "baseline labels": _recipe(
        f"baseline labels {STORE} --out DISK/out/labels --record DISK/record/labels",
        "out/labels",
        "record/labels",
        earlier="--seed 1",
        state=True,
    ),
    "probe": _recipe(
        f"probe {NETWORK} {STORE} --out DISK/out/probe.json",
        "out/probe.json",
        earlier="--seed 1",
        state=True,
    ),
    "evolution": _recipe(
        f"evolution --checkpoints BENCH/nat/checkpoints {STORE} --out DISK/out/evolution.json",
        "out/evolution.json",
        earlier="--seed 1",
        state=True,
    ),
    "finetune": _recipe(
        f"finetune {NETWORK} {VOC} --layers all --out DISK/out/finetune.json",
        "out/finetune.json",
        earlier="--seed 1",
        state=True,
    ),
    "proposals": _recipe(
        f"proposals {VOC} --out DISK/proposals",
        "proposals",
        earlier="--set proposals.count=9",
        state=True,
    ),
    "detect": _recipe(
        f"detect {NETWORK} {VOC} --proposals BENCH/proposals --out DISK/out/detect.json "
        "--detections DISK/detections/nat",
        "out/detect.json",
        "detections/nat",
        earlier="--seed 1",
        state=True,
    ),
    "export": _recipe(
        f"export {NETWORK} --out DISK/out/trunk.safetensors",
        "out/trunk.safetensors",
        earlier="--format torchvision",
        settings=False,
    ),
    "export, torchvision": _recipe(
        f"export {NETWORK} --format torchvision --out DISK/out/trunk.safetensors",
        "out/trunk.safetensors",
        earlier="--keep-batch-norm",
        settings=False,
    ),
    "embed": _recipe(
        f"embed {NETWORK} --pictures BENCH/pictures --out DISK/out/features.npy",
        "out/features.npy",
        "out/features.names.json",
        earlier="--size 30",
    ),
    "embed, a picture left out": _recipe(
        f"embed {NETWORK} --pictures BENCH/broken --skip-corrupt --out DISK/out/features.npy",
        "out/features.npy",
        "out/features.names.json",
        earlier="--size 30",
    ),
    "embed, parquet": _recipe(
        f"embed {NETWORK} --pictures BENCH/pictures --out DISK/out/features.parquet",
        "out/features.parquet",
        earlier="--size 30",
    ),
    "illustrate": _recipe(
        f"illustrate {STORE} --nat BENCH/nat --labels BENCH/labels --targets BENCH/targets.npy "
        "--out DISK/out/0.npz",
        "out/0.npz",
        earlier="--seed 1",
    ),
    "illustrate-detections": _recipe(
        f"illustrate-detections {VOC} --result BENCH/detect.json --detections BENCH/detections "
        "--out DISK/out/0.npz",
        "out/0.npz",
        earlier="--seed 1",
    ),
    "tabulate": _recipe("tabulate --artifacts BENCH/made-up --out DISK/reports", "reports"),
    "tabulate-ablations": _recipe(
        f"tabulate-ablations --artifacts BENCH/made-up --out DISK/ablations {LISTED}", "ablations"
    ),
    "page": _recipe(
        f"page --artifacts BENCH/made-up --pipeline {PROJECT} --out DISK/reports {LISTED}",
        "reports",
        earlier="--set profile=another",
    ),
}


def make_bench(bench: Path) -> Path:
    """Fill ``bench`` with what the recipes read; returns it."""
    YAML().dump(settings(), bench / "params.yaml")
    write_picture_folder(bench / "pictures", a_class=6)
    shutil.copytree(bench / "pictures", bench / "broken")
    (bench / "broken" / "along" / "001.png").write_bytes(b"no picture")
    detections = {"random": 20.0, "labels": 50.0, "nat": 40.0}
    make_folder(bench / "made-up", values=ABLATIONS, detections=detections)
    common = ["--params", bench / "params.yaml", "--set", f"machine.data={bench / 'data'}"]
    common += ["--set", f"machine.scratch={bench / 'scratch'}"]
    for line in (
        "prepare pictures --out pictures.json",
        "prepare voc --out voc.json",
        "targets --pictures pictures.json --out targets.npy",
        "pretrain --pictures pictures.json --targets targets.npy --out nat --record record/nat",
        "baseline labels --pictures pictures.json --out labels --record record/labels",
        "proposals --voc voc.json --out proposals",
        "detect --network nat/network.safetensors --voc voc.json --proposals proposals "
        "--out detect.json --detections detections",
    ):
        done = command(bench, *line.split(), *common)
        assert done.code == 0, (line, done)
    return bench
