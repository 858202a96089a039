"""Every command on tiny data: its words, what it reads and writes, and what it keeps meanwhile.

tests/disks.py runs them on troubled disks, tests/kills.py kills them. Inputs and outputs have the
same names, so that what the commands read is made by running some of them where it shall lie.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import write_image_folder
from ruamel.yaml import YAML
from tiny import EMBEDDED, PROJECT


@dataclass(frozen=True)
class Recipe:
    """A command with everything it needs.

    Attributes:
        name: for people.
        words: of the command; ``BENCH`` is the folder of what it reads, ``DISK`` that of what it
            writes.
        outs: what it writes, below ``DISK``.
        earlier: words that give another output in the same place.
        given: content of the first output that is there before, where no command writes one.
        parts: patterns of what is replaced as a whole; the outputs themselves if empty.
        alone: "disks" or "kills" if the other has enough with a recipe that is much like it.
        processes: more than one work together, as torchrun starts them.
        settings: whether it reads the parameter file.
        data: whether it writes into machine.data.
        state: whether it keeps something in machine.scratch while it works.
    """

    name: str
    words: tuple[str, ...]
    outs: tuple[str, ...]
    earlier: tuple[str, ...] = ()
    given: str = ""
    parts: tuple[str, ...] = ()
    alone: str = ""
    processes: int = 1
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


def _recipe(name: str, words: str, *outs: str, earlier: str = "--seed 1", **facts: Any) -> Recipe:
    return Recipe(name, tuple(words.split()), outs, tuple(earlier.split()), **facts)


NETWORK = "--network BENCH/networks/nat/network.safetensors"
CHECKPOINTS = "--checkpoints BENCH/networks/nat/checkpoints"
STORE = "--images BENCH/images.json"
VOC = "--voc BENCH/voc.json"
FOLDER = (
    "prepare images --out DISK/images.json --set images.source=folder "
    "--set images.folder=BENCH/images --set images.train=null --set images.validation=0 "
    "--set images.test=null"
)
PRETRAIN = (
    f"pretrain {STORE} --targets BENCH/targets/0.npy --out DISK/networks/nat "
    "--result DISK/results/train/nat-0.json"
)
PRETRAINED = ("networks/nat", "results/train/nat-0.json")
TRAINED = f"{STORE} --out DISK/networks/NAME --result DISK/results/train/NAME-0.json"
SIZE = "--set images.size=30"


def _trained(method: str, **facts: Any) -> Recipe:
    words = f"train {method} {TRAINED}".replace("NAME", method)
    outs = (f"networks/{method}", f"results/train/{method}-0.json")
    return _recipe(f"train-{method}", words, *outs, **facts)


def _store(name: str, words: str, **facts: Any) -> Recipe:
    parts = ("images.json", "data/stores/*")
    return _recipe(name, words, "images.json", earlier=SIZE, parts=parts, data=True, **facts)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        _recipe(
            "profile",
            f"profile cifar10 --force --params DISK/params.yaml --profiles {PROJECT}/profiles",
            "params.yaml",
            "params.embedded.yaml",
            earlier="",
            given=EMBEDDED.read_text().replace("seeds: [0]", "seeds: [1]"),
            alone="disks",
            settings=False,
        ),
        _recipe("check", "check --out DISK/checked", "checked", earlier="--set seeds=[1]"),
        _store("prepare-arrays", "prepare images --out DISK/images.json"),
        _store("prepare-folder", FOLDER),
        _store("prepare-folder-parallel", f"{FOLDER} --set machine.threads=2", alone="kills"),
        _recipe(
            "prepare-voc",
            "prepare voc --out DISK/voc.json",
            "voc.json",
            earlier="--set voc.images=16",
            parts=("voc.json", "data/voc/*"),
            data=True,
        ),
        _recipe("targets", f"targets {STORE} --out DISK/targets/0.npy", "targets/0.npy"),
        _recipe("pretrain", PRETRAIN, *PRETRAINED, state=True),
        _recipe("pretrain-two", PRETRAIN, *PRETRAINED, alone="kills", processes=2, state=True),
        _trained("random"),
        _trained("labels", state=True),
        _recipe(
            "probe",
            f"probe labels {NETWORK} {STORE} --out DISK/results/probe/labels-0.json",
            "results/probe/labels-0.json",
            state=True,
        ),
        _recipe(
            "fisher",
            f"fisher {STORE} --out DISK/results/probe/sift_fisher-0.json",
            "results/probe/sift_fisher-0.json",
            state=True,
        ),
        _recipe(
            "probe-checkpoints",
            f"probe nat {NETWORK} {CHECKPOINTS} {STORE} --out DISK/results/probe/nat-0.json",
            "results/probe/nat-0.json",
            state=True,
        ),
        _recipe(
            "finetune",
            f"finetune {NETWORK} {VOC} --layers all --out DISK/results/finetune-all/nat-0.json",
            "results/finetune-all/nat-0.json",
            state=True,
        ),
        _recipe(
            "proposals",
            f"proposals {VOC} --out DISK/proposals",
            "proposals",
            earlier="--set proposals.count=9",
            state=True,
        ),
        _recipe(
            "proposals-mat",
            f"proposals {VOC} --out DISK/proposals --set proposals.source=mat "
            "--set proposals.trainval=BENCH/trainval.mat --set proposals.test=BENCH/test.mat",
            "proposals",
            earlier="--set proposals.count=2",
            alone="kills",
        ),
        _recipe(
            "detect",
            f"detect {NETWORK} {VOC} --proposals BENCH/proposals "
            "--out DISK/results/detect/nat-0.json --detections DISK/detections/nat",
            "results/detect/nat-0.json",
            "detections/nat",
            state=True,
        ),
        _recipe(
            "illustrate",
            f"illustrate {STORE} {VOC} --nat BENCH/networks/nat --labels BENCH/networks/labels "
            "--targets BENCH/targets/0.npy --result BENCH/results/detect/nat-0.json "
            "--detections BENCH/detections/nat --out DISK/results/illustrate/0",
            "results/illustrate/0",
        ),
        _recipe(
            "export",
            f"export {NETWORK} --out DISK/out/trunk.safetensors",
            "out/trunk.safetensors",
            earlier="--format torchvision",
            settings=False,
        ),
        _recipe(
            "export-torchvision",
            f"export {NETWORK} --format torchvision --out DISK/out/trunk.safetensors",
            "out/trunk.safetensors",
            earlier="--keep-batch-norm",
            alone="disks",
            settings=False,
        ),
        _recipe(
            "embed",
            f"embed {NETWORK} --images BENCH/images --out DISK/out/features.npy",
            "out/features.npy",
            "out/features.names.json",
            earlier="--layer output",
            settings=False,
        ),
        _recipe(
            "embed-skipping",
            f"embed {NETWORK} --images BENCH/broken --skip-corrupt --out DISK/out/features.npy",
            "out/features.npy",
            "out/features.names.json",
            earlier="--size 30",
            alone="disks",
            settings=False,
        ),
        _recipe(
            "embed-parquet",
            f"embed {NETWORK} --images BENCH/images --out DISK/out/features.parquet",
            "out/features.parquet",
            earlier="--size 30",
            alone="disks",
            settings=False,
        ),
        _recipe(
            "report",
            "report --results BENCH/kept --out DISK/reports",
            "reports",
            earlier="--results BENCH/before --set profile=another",
            parts=("reports/*", "reports/tables/*", "reports/figures/*"),
        ),
    )
}


def recipes(harness: str) -> dict[str, Recipe]:
    """Those that a harness, "disks" or "kills", is to try."""
    return {name: recipe for name, recipe in RECIPES.items() if recipe.alone in ("", harness)}


MADE = (
    "prepare-arrays", "prepare-voc", "targets", "pretrain", "train-labels", "train-random",
    "probe-checkpoints", "probe", "finetune", "proposals", "detect", "illustrate",
)  # fmt: skip


def make_bench(
    bench: Path, content: dict[str, Any], a_class: int, run: Callable[[list[str]], None]
) -> None:
    """Fill ``bench`` with what the recipes read.

    Args:
        bench: an empty folder.
        content: of the parameter file.
        a_class: how many images the folder of images has of each class.
        run: runs a command, or fails.
    """
    YAML().dump(content, bench / "params.yaml")
    write_image_folder(bench / "images", a_class)
    shutil.copytree(bench / "images", bench / "broken")
    (bench / "broken" / "along" / "001.png").write_bytes(b"no image")
    for name in MADE:
        run(RECIPES[name].line(bench, bench, bench / "scratch"))
    for kept in (f"kept/{content['profile']}", "before/another"):
        shutil.copytree(bench / "results", bench / kept)
