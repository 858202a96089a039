"""Reads what the spine of the pipeline wrote, and joins the seeds."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nat.illustrate.detected import Detected, load_detected
from nat.illustrate.illustration import Illustration, load_illustration
from nat.report.names import LAYERS, METHODS, READINGS
from nat.report.record import Folder, Record, check_same_data, epoch_key, number
from nat.report.table import Measured, joined
from nat.runtime.errors import UserError
from nat.runtime.io.foreign import reading

TRAIN = {"random": "baseline random", "labels": "baseline labels", "nat": "pretrain"}
TRAINED = {"fc6-8": "fc6-8 trained", "all": "all layers trained"}


@dataclass(frozen=True)
class Artifacts:
    """Everything that tables 3 and 4 and Figures 1, 2 left, 3 and 4 are made of.

    Attributes:
        seeds: in the order of params.yaml; every tuple below has one entry a seed.
        trainings: by method.
        probes: by method.
        finetunings: by method and layers.
        detections: by method; empty where detection was not run.
        evolutions: of NAT.
        histories: of NAT; columns, float (epochs,), NaN where a field is empty.
        illustration: of the first seed.
        illustration_file: its name.
        detected: pictures with detections of the first seed; None where detection was not run.
        detected_file: its name.
    """

    seeds: tuple[int, ...]
    trainings: dict[str, tuple[Record, ...]]
    probes: dict[str, tuple[Record, ...]]
    finetunings: dict[tuple[str, str], tuple[Record, ...]]
    detections: dict[str, tuple[Record, ...]]
    evolutions: tuple[Record, ...]
    histories: tuple[dict[str, np.ndarray], ...]
    illustration: Illustration
    illustration_file: str
    detected: Detected | None
    detected_file: str

    @property
    def pictures(self) -> int:
        """How many pictures an accuracy was measured on."""
        return int(self.illustration.facts["val"])

    def probe(self, method: str, reading: str) -> Measured:
        """Accuracy in percent of ``reading`` (mlp, linear or knn)."""
        return joined(self.probes[method], reading)

    def voc(self, method: str, layers: str) -> Measured:
        """Mean average precision in percent with ``layers`` (fc6-8 or all) trained."""
        return joined(self.finetunings[method, layers], "map")

    def detection(self, method: str) -> Measured | None:
        """Mean average precision in percent of detection; None where it was not run."""
        return joined(self.detections[method], "map") if self.detections else None

    def curve(self) -> dict[int, dict[str, Measured]]:
        """Readings of NAT's trunk by epoch: epoch 0 is the random row, the last is NAT's.

        Raises:
            UserError: the seeds were probed at different epochs.
        """
        last = int(self.setting("pretrain", "epochs"))
        between = [{int(number(row, "epoch", e)): row for row in e.rows()} for e in self.evolutions]
        epochs = sorted(epoch for epoch in between[0] if 0 < epoch < last)
        for record, rows in zip(self.evolutions, between, strict=True):
            if sorted(epoch for epoch in rows if 0 < epoch < last) != epochs:
                raise UserError(
                    f"{record.file}: other epochs than in {self.evolutions[0].file}; "
                    "make both again with `python -m nat evolution`"
                )
        curve = {0: {reading: self.probe("random", reading) for reading in READINGS}}
        for epoch in epochs:
            curve[epoch] = {
                reading: Measured(
                    tuple(
                        number(rows[epoch], reading, e)
                        for e, rows in zip(self.evolutions, between, strict=True)
                    ),
                    self.evolutions[0].data,
                    self.evolutions,
                    epoch_key(epoch, reading),
                )
                for reading in READINGS
            }
        curve[last] = {reading: self.probe("nat", reading) for reading in READINGS}
        return curve

    def setting(self, *names: str) -> Any:
        """A parameter that NAT was trained with, as its record tells."""
        return self.trainings["nat"][0].parameter(*names)

    def illustrated(self) -> Record:
        """The record of the first seed's illustration, whose measured numbers are facts."""
        facts = self.illustration.facts
        measured = {"mean cosine of feature and target": facts["cosine"]}
        where = self.illustration.provenance
        return Record(self.illustration_file, "illustrate", "", measured, where)

    def detected_record(self) -> Record | None:
        """The record of the first seed's pictures with detections; None where there are none."""
        if self.detected is None:
            return None
        measured = {
            f"{words} of {each['name']}": each[key]
            for each in self.detected.facts["classes"]
            for key, words in (
                ("score", "least score"),
                ("precision", "precision"),
                ("recall", "recall"),
            )
        }
        where = self.detected.provenance
        return Record(self.detected_file, "illustrate-detections", "nat", measured, where)

    def groups(self) -> Iterator[tuple[Record, ...]]:
        """Every record, those that differ by the seed alone together, in the pipeline's order."""
        yield from self.trainings.values()
        yield from self.probes.values()
        yield self.evolutions
        yield from self.finetunings.values()
        yield from self.detections.values()
        yield (self.illustrated(),)
        if (record := self.detected_record()) is not None:
            yield (record,)


def by_class(records: tuple[Record, ...]) -> dict[str, float]:
    """Average precision in percent of each class that the test pictures hold, over the seeds.

    Raises:
        UserError: a record lacks it.
    """
    found: dict[str, list[float]] = {}
    for record in records:
        each = record.measured.get("ap") if isinstance(record.measured, dict) else None
        if not isinstance(each, dict):
            raise UserError(
                f"{record.file}: no 'ap' of the classes; make it again with "
                f"`python -m nat {record.stage}`"
            )
        for name in (name for name, value in each.items() if value is not None):
            found.setdefault(name, []).append(number(each, name, record))
    return {name: math.fsum(values) / len(values) for name, values in found.items()}


def read_artifacts(path: Path, seeds: list[int]) -> Artifacts:
    """Read the records of every method and seed.

    Args:
        path: where the stages' folders lie (pretrain, probe, evolution, finetune, illustrate, and
            detect and illustrate-detections where detection was run).
        seeds: of params.yaml.

    Raises:
        UserError: a file is missing or damaged, or was measured on other data than its kin; names
            it and the command that makes it.
    """
    folder = Folder(path, tuple(seeds))
    detected = METHODS if (path / "detect").is_dir() else ()
    illustration = f"illustrate/{seeds[0]}.npz"
    boxes = f"illustrate-detections/{seeds[0]}.npz"
    artifacts = Artifacts(
        seeds=folder.seeds,
        trainings={m: folder.each(f"pretrain/{m}-{{}}/record.json", TRAIN[m], m) for m in METHODS},
        probes={m: folder.each(f"probe/{m}-{{}}.json", "probe", m) for m in METHODS},
        finetunings={
            (m, layers): folder.each(
                f"finetune/{m}-{layers}-{{}}.json", "finetune", m, TRAINED[layers]
            )
            for m in METHODS
            for layers in LAYERS
        },
        detections={m: folder.each(f"detect/{m}-{{}}.json", "detect", m) for m in detected},
        evolutions=folder.each("evolution/nat-{}.json", "evolution", "nat"),
        histories=tuple(read_history(path / f"pretrain/nat-{seed}/history.csv") for seed in seeds),
        illustration=load_illustration(path / illustration),
        illustration_file=folder.name(illustration),
        detected=load_detected(path / boxes) if (path / boxes).parent.is_dir() else None,
        detected_file=folder.name(boxes),
    )
    kin = [*artifacts.trainings.values(), *artifacts.probes.values(), artifacts.evolutions]
    for group in (kin, artifacts.finetunings.values(), artifacts.detections.values()):
        check_same_data([record for records in group for record in records])
    return artifacts


def read_history(path: Path) -> dict[str, np.ndarray]:
    """The columns of a training's history: float (epochs,), NaN where a field is empty.

    Raises:
        UserError: missing, damaged, or of another training.
    """
    with (
        reading(path, "history of a training", "make it with `python -m nat pretrain`"),
        open(path, newline="") as file,
    ):
        rows = list(csv.DictReader(file))
        if not rows:
            raise ValueError("it is empty")
        return {
            column: np.array([float(row[column] or "nan") for row in rows])
            for column in ("epoch", "loss", "reassigned", "knn")
        }
