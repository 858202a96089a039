"""What the commands read whose runs are interrupted: real files on a small scale.

A run works in a folder of its own, the "case": outputs, scratch and, for the commands that fill it,
data. What it only reads lies in the "world", made once by the same commands.
"""

import gzip
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from conftest import fake_objects, image_set
from processes import start
from recipes import Recipe, make_bench, recipes
from scipy.io import savemat
from tiny import ALL, settings

STAGES: dict[str, Recipe] = recipes("kills")
OF_STAND_INS = ("prepare-arrays", "prepare-voc")  # of Fashion-MNIST, which whole processes refuse
PRETRAINING = 64  # of the stand-ins for Fashion-MNIST's images; the others are composed


@dataclass
class World:
    """What the commands read.

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
        self._write_fashion_mnist()
        content = settings(
            images={"folder": str(self.folder / "fashion-mnist"), **ALL},
            voc={"images": 20},
            proposals={"short_side": 40},
            finetune={"iterations": 12},
        )
        make_bench(self.folder, content, 48, self._run)
        self._write_mat()
        return self

    def _run(self, words: list[str]) -> None:
        """Run a command in the world itself."""
        log = self.folder.parent / "world.log"
        ended = start(words, self.folder, log, {}, self.replaced).finish()
        if ended.code:
            raise RuntimeError(f"{words}: {ended.output}")

    def _write_fashion_mnist(self) -> None:
        """The four files, with few images, and their checksums in force."""
        folder, sums = self.folder / "fashion-mnist", {}
        folder.mkdir()
        drawn, labels = image_set(PRETRAINING, 28)
        objects, kinds = fake_objects()
        parts = {
            "train": (np.concatenate([drawn[:, 0], objects]), np.concatenate([labels, kinds])),
            "t10k": (image_set(32, 28, seed=1)[0][:, 0], image_set(32, 28, seed=1)[1]),
        }
        for part, (images, numbers) in parts.items():
            for name, content in (
                (f"{part}-images-idx3-ubyte", b"\0" * 16 + images.tobytes()),
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

    def _write_mat(self) -> None:
        """The proposals once more, as Fast R-CNN's files hold them."""
        from nat.voc.data.proposals import load_proposals

        for split in ("trainval", "test"):
            found = load_proposals(self.folder / f"proposals/{split}.safetensors")
            boxes = [found[name].numpy()[:, [1, 0, 3, 2]].astype(np.uint16) for name in found]
            cells, names = (np.empty((1, len(boxes)), object) for _ in range(2))
            cells[0, :], names[0, :] = boxes, list(found)
            savemat(self.folder / f"{split}.mat", {"boxes": cells, "images": names})
