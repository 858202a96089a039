"""What trainings are called, and where the pipeline keeps what belongs to them.

A training is known by its method, what an ablation overrides, and its seed: ``nat-0``,
``nat,permute_every=1-0``. dvc.yaml names the same paths; every command can be given others.
"""

from dataclasses import dataclass
from pathlib import Path

IMAGES, VOC = Path("data/images.json"), Path("data/voc.json")
PROPOSALS = Path("artifacts/proposals")
MEASURED = Path("artifacts/results")  # as stages write them; kept by DVC
RESULTS, REPORTS = Path("results"), Path("reports")  # the same, collected; kept in git


@dataclass(frozen=True)
class Name:
    """A training's name.

    Attributes:
        method: a file of nat/methods.
        override: ``NAME=VALUE``, several joined by commas; empty for the method's own training.
        seed: of every random draw.
    """

    method: str = "nat"
    override: str = ""
    seed: int = 0

    def __str__(self) -> str:
        return f"{','.join(filter(None, (self.method, self.override)))}-{self.seed}"

    @property
    def targets(self) -> Path:
        """The array of the fixed targets, which all trainings of a seed share."""
        return Path(f"artifacts/targets/{self.seed}.npy")

    @property
    def network(self) -> Path:
        """The folder of the trained network and its checkpoints."""
        return Path(f"artifacts/networks/{self}")

    @property
    def detections(self) -> Path:
        """The folder of VOC result files."""
        return Path(f"artifacts/detections/{self}")

    @property
    def illustrations(self) -> Path:
        """The folder of what figures show."""
        return MEASURED / f"illustrate/{self.seed}"

    def result(self, stage: str) -> Path:
        """The file of what a stage measured: train, probe, finetune-all, ..."""
        return MEASURED / f"{stage}/{self}.json"
