"""Every stage of the pipeline as a command line on tiny data, for runs that are interrupted.

A run works in a folder of its own, the "case": outputs, scratch and, for the stages that fill it,
data. What it only reads lies in the "world", made once by the same commands.
"""

import gzip
import hashlib
import importlib.util
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from conftest import fake_objects, picture_set, write_picture_folder
from processes import PROJECT, start
from ruamel.yaml import YAML
from scipy.io import savemat
from tiny import settings

PRETRAINING = 64  # of the stand-ins for Fashion-MNIST's pictures; the others are composed


@dataclass(frozen=True)
class Stage:
    """A command whose interruption must cost nothing.

    Attributes:
        name: for people.
        words: the command line after ``nat``; ``{world}`` is filled in.
        outputs: what it writes, seen from its case; with ``/*`` each entry is an output.
        other: words that are added for an output of other settings.
        processes: more than one are a team, as torchrun starts them.
        takes_settings: whether it has ``--params`` and ``--set``.
    """

    name: str
    words: str
    outputs: tuple[str, ...]
    other: str
    processes: int = 1
    takes_settings: bool = True

    def command(self, world: "World", other: bool = False) -> list[str]:
        """The command line's words."""
        words = f"{self.words} {self.other if other else ''}".format(world=world.folder).split()
        if self.takes_settings:
            words += ["--params", str(world.folder / "params.yaml")]
            if not self.fills_data:
                words += ["--set", f"machine.data={world.folder / 'data'}"]
        return words

    @property
    def fills_data(self) -> bool:
        """Whether its case has a data folder of its own."""
        return self.name.startswith("prepare")

    @property
    def of_stand_ins(self) -> bool:
        """Whether it reads what stands in for Fashion-MNIST, which a whole process refuses."""
        return self.name in ("prepare-arrays", "prepare-voc")


PICTURES = "--pictures {world}/pictures.json"
TRAINED = f"{PICTURES} --out networks/x --record records/x"
NETWORK = "--network {world}/networks/nat/network.safetensors"
VOC = "--voc {world}/voc.json"
FOLDER = "--set pictures.source=folder --set pictures.folder={world}/pictures"
NETWORKS = ("networks/x", "records/x")
STORES = ("pictures.json", "data/stores/*")
SEED = "--seed 1"

STAGES = {
    stage.name: stage
    for stage in (
        Stage("check", "check --out checked", ("checked",), "--set seeds=[1]"),
        Stage(
            "prepare-folder",
            f"prepare pictures {FOLDER} --set machine.threads=1 --out pictures.json",
            STORES,
            "--set pictures.val=20",
        ),
        Stage(
            "prepare-folder-parallel",
            f"prepare pictures {FOLDER} --set machine.threads=2 --out pictures.json",
            STORES,
            "--set pictures.val=20",
        ),
        Stage(
            "prepare-arrays",
            "prepare pictures --out pictures.json",
            STORES,
            "--set pictures.val=20",
        ),
        Stage(
            "prepare-voc",
            "prepare voc --out voc.json",
            ("voc.json", "data/voc/*"),
            "--set voc.pictures=10",
        ),
        Stage("targets", f"targets {PICTURES} --out targets.npy", ("targets.npy",), SEED),
        Stage(
            "pretrain",
            f"pretrain --targets {{world}}/targets.npy {TRAINED}",
            NETWORKS,
            SEED,
        ),
        Stage(
            "pretrain-two",
            f"pretrain --targets {{world}}/targets.npy {TRAINED}",
            NETWORKS,
            SEED,
            processes=2,
        ),
        Stage("labels", f"baseline labels {TRAINED}", NETWORKS, SEED),
        Stage("random", f"baseline random {TRAINED}", NETWORKS, SEED),
        Stage("probe", f"probe {NETWORK} {PICTURES} --out probe.json", ("probe.json",), SEED),
        Stage(
            "evolution",
            f"evolution --checkpoints {{world}}/networks/nat/checkpoints {PICTURES} --out e.json",
            ("e.json",),
            SEED,
        ),
        Stage(
            "proposals",
            f"proposals {VOC} --out proposals",
            ("proposals",),
            "--set proposals.count=20",
        ),
        Stage(
            "proposals-mat",
            f"proposals {VOC} --out proposals --set proposals.source=mat"
            " --set proposals.trainval={world}/trainval.mat --set proposals.test={world}/test.mat",
            ("proposals",),
            "--set proposals.count=2",
        ),
        Stage(
            "finetune",
            f"finetune --layers all {NETWORK} {VOC} --out finetune.json",
            ("finetune.json",),
            SEED,
        ),
        Stage(
            "detect",
            f"detect {NETWORK} {VOC} --proposals {{world}}/proposals --out detect.json"
            " --detections detections",
            ("detect.json", "detections"),
            SEED,
        ),
        Stage(
            "illustrate",
            f"illustrate {PICTURES} --nat {{world}}/networks/nat --labels {{world}}/networks/nat"
            " --targets {world}/targets.npy --out illustrate.npz",
            ("illustrate.npz",),
            SEED,
        ),
        Stage(
            "illustrate-detections",
            f"illustrate-detections {VOC} --result {{world}}/detect.json"
            " --detections {world}/detections --out illustrate.npz",
            ("illustrate.npz",),
            SEED,
        ),
        Stage(
            "embed",
            f"embed {NETWORK} --pictures {{world}}/pictures --out embedded.npy",
            ("embedded.npy", "embedded.names.json"),
            "--layer output",
        ),
        Stage(
            "export",
            f"export {NETWORK} --out trunk.safetensors",
            ("trunk.safetensors",),
            "--format torchvision",
            takes_settings=False,
        ),
        Stage(
            "tabulate",
            "tabulate --artifacts {world}/artifacts --out reports",
            ("reports/*", "reports/figures/*"),
            "--set seeds=[0]",
        ),
        Stage(
            "page",
            "page --artifacts {world}/artifacts --out reports --pipeline {world}/pipeline",
            ("reports/*",),
            "--set seeds=[0]",
        ),
    )
}


@dataclass
class World:
    """What the stages read.

    Attributes:
        folder: of it all.
        replaced: what stands in for facts of the real data, by name; see processes.start.
    """

    folder: Path
    replaced: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def at(cls, folder: Path) -> "World":
        """The one that another process has built."""
        return cls(folder, json.loads((folder / "replaced.json").read_text()))

    def build(self) -> "World":
        """Make everything; seconds."""
        self.folder.mkdir(parents=True)
        write_picture_folder(self.folder / "pictures", a_class=48)
        self._write_fashion_mnist()
        self._write_settings()
        self._write_artifacts()
        for name in ("prepare-arrays", "prepare-voc", "targets", "pretrain", "proposals", "detect"):
            self._run(STAGES[name])
            if name == "pretrain":
                (self.folder / "networks/x").rename(self.folder / "networks/nat")
        self._write_mat()
        return self

    def _run(self, stage: Stage) -> None:
        """Run a stage in the world itself."""
        log = self.folder.parent / "world.log"
        ended = start(stage.command(self), self.folder, log, {}, self.replaced).finish()
        if ended.code:
            raise RuntimeError(f"{stage.name}: {ended.output}")

    def _write_fashion_mnist(self) -> None:
        """The four files, with few pictures, and their checksums in force."""
        folder, sums = self.folder / "fashion-mnist", {}
        folder.mkdir()
        drawn, labels = picture_set(PRETRAINING, 28)
        objects, kinds = fake_objects()
        parts = {
            "train": (np.concatenate([drawn[:, 0], objects]), np.concatenate([labels, kinds])),
            "t10k": (picture_set(32, 28, seed=1)[0][:, 0], picture_set(32, 28, seed=1)[1]),
        }
        for part, (pictures, numbers) in parts.items():
            for name, content in (
                (f"{part}-images-idx3-ubyte", b"\0" * 16 + pictures.tobytes()),
                (f"{part}-labels-idx1-ubyte", b"\0" * 8 + numbers.astype(np.uint8).tobytes()),
            ):
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
                sums[name] = hashlib.sha256(content).hexdigest()
        self.replaced = {
            "nat.datasets.fashion_mnist.SHA256": sums,
            "nat.datasets.fashion_mnist.PRETRAINING": PRETRAINING,
            "nat.datasets.filling.journal.SECONDS": 0.0,  # each chunk is saved when it is finished
        }

        (self.folder / "replaced.json").write_text(json.dumps(self.replaced))

    def _write_settings(self) -> None:
        content = settings(
            pictures={"folder": str(self.folder / "fashion-mnist"), "train": None, "val": None},
            voc={"pictures": 20},
            proposals={"short_side": 40},
            finetune={"iterations": 12},
        )
        YAML().dump(content, self.folder / "params.yaml")

    def _write_artifacts(self) -> None:
        """What tables are made of, as the tests of the reports have it."""
        module = _loaded(PROJECT / "tests/report/conftest.py")
        detections = {"random": 30.0, "labels": 50.0, "nat": 40.0}
        module.make_folder(self.folder / "artifacts", seeds=(0, 1), detections=detections)
        content = YAML(typ="safe").load(self.folder / "params.yaml")
        content |= {"seeds": [0, 1], "ablations": module.VALUES}
        YAML().dump(content, self.folder / "params.yaml")
        for file in ("dvc.yaml", "stages/baselines/dvc.yaml", "stages/ablations/dvc.yaml"):
            (self.folder / "pipeline" / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / file, self.folder / "pipeline" / file)

    def _write_mat(self) -> None:
        """The proposals once more, as Fast R-CNN's files hold them."""
        from nat.voc.data.proposals import load_proposals

        for split in ("trainval", "test"):
            found = load_proposals(self.folder / f"proposals/{split}.safetensors")
            boxes = [found[name].numpy()[:, [1, 0, 3, 2]].astype(np.uint16) for name in found]
            cells, names = (np.empty((1, len(boxes)), object) for _ in range(2))
            cells[0, :], names[0, :] = boxes, list(found)
            savemat(self.folder / f"{split}.mat", {"boxes": cells, "images": names})


def _loaded(path: Path) -> Any:
    """A module by its file, since another has its name."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
