"""Reads what the other stages wrote, and joins the seeds."""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nat.errors import UserError
from nat.files import read_json
from nat.report.illustration import Illustration, load_illustration
from nat.report.names import LAYERS, METHODS, READINGS, data_name
from nat.report.table import Measured

# what the page tells of every number
PROVENANCE = {"data", "seed", "seconds", "device", "threads", "hardware", "python", "versions"}
PROVENANCE |= {"commit", "parameters"}
TRAIN = {"random": "baseline random", "labels": "baseline labels", "nat": "pretrain"}


@dataclass(frozen=True)
class Record:
    """A JSON file of a stage.

    Attributes:
        file: its name, the artifacts' folder first; never an absolute path.
        stage: the command that wrote it.
        method: whose numbers they are; empty where a file belongs to none.
        measured: its numbers.
        provenance: see nat/training/provenance.py.
    """

    file: str
    stage: str
    method: str
    measured: Any
    provenance: dict[str, Any]

    @property
    def data(self) -> str:
        """The name for people of the data it was measured on."""
        return data_name(self.provenance["data"])

    def number(self, key: str) -> float:
        """One of its numbers.

        Raises:
            UserError: it has no such number.
        """
        return _number(self.measured, key, self.file, self.stage)

    def rows(self) -> list[Any]:
        """Its numbers where they are a list.

        Raises:
            UserError: they are not.
        """
        if not isinstance(self.measured, list):
            raise UserError(
                f"{self.file}: no list of epochs; make it again with `python -m nat {self.stage}`"
            )
        return self.measured


@dataclass(frozen=True)
class Artifacts:
    """Everything that tables, figures and page are made of.

    Attributes:
        seeds: in the order of params.yaml; every tuple below has one entry a seed.
        trainings: by method.
        probes: by method.
        finetunings: by method and layers.
        evolutions: of NAT.
        histories: of NAT; columns, float (epochs,), NaN where a field is empty.
        illustration: of the first seed.
        illustration_file: its name.
    """

    seeds: tuple[int, ...]
    trainings: dict[str, tuple[Record, ...]]
    probes: dict[str, tuple[Record, ...]]
    finetunings: dict[tuple[str, str], tuple[Record, ...]]
    evolutions: tuple[Record, ...]
    histories: tuple[dict[str, np.ndarray], ...]
    illustration: Illustration
    illustration_file: str

    def probe(self, method: str, reading: str) -> Measured:
        """Accuracy in percent of ``reading`` (mlp, linear or knn)."""
        return joined(self.probes[method], reading)

    def voc(self, method: str, layers: str) -> Measured:
        """Mean average precision in percent with ``layers`` (fc6-8 or all) trained."""
        return joined(self.finetunings[method, layers], "map")

    def voc_by_class(self, method: str, layers: str) -> dict[str, float]:
        """Average precision in percent of each class that the test pictures hold, over the seeds.

        Raises:
            UserError: a record lacks it.
        """
        records = self.finetunings[method, layers]
        found: dict[str, list[float]] = {}
        for record in records:
            each = record.measured.get("ap") if isinstance(record.measured, dict) else None
            if not isinstance(each, dict):
                raise UserError(
                    f"{record.file}: no 'ap' of the classes; make it again with "
                    f"`python -m nat {record.stage}`"
                )
            for name in (name for name, value in each.items() if value is not None):
                value = _number(each, name, record.file, record.stage)
                found.setdefault(name, []).append(value)
        return {name: math.fsum(values) / len(values) for name, values in found.items()}

    def curve(self) -> dict[int, dict[str, Measured]]:
        """Readings of NAT's trunk by epoch: epoch 0 is the random row, the last is NAT's.

        Raises:
            UserError: the seeds were probed at different epochs.
        """
        last = int(self.setting("pretrain", "epochs"))
        between = [
            {int(_number(row, "epoch", e.file, e.stage)): row for row in e.rows()}
            for e in self.evolutions
        ]
        epochs = sorted(epoch for epoch in between[0] if 0 < epoch < last)
        for record, rows in zip(self.evolutions, between, strict=True):
            if sorted(epoch for epoch in rows if 0 < epoch < last) != epochs:
                raise UserError(
                    f"{record.file}: other epochs than in {self.evolutions[0].file}; "
                    "make both again with `python -m nat evolution`"
                )
        data = self.evolutions[0].data
        curve = {0: {reading: self.probe("random", reading) for reading in READINGS}}
        for epoch in epochs:
            curve[epoch] = {
                reading: Measured(
                    tuple(
                        _number(rows[epoch], reading, e.file, e.stage)
                        for e, rows in zip(self.evolutions, between, strict=True)
                    ),
                    data,
                )
                for reading in READINGS
            }
        curve[last] = {reading: self.probe("nat", reading) for reading in READINGS}
        return curve

    def setting(self, *names: str) -> Any:
        """A parameter that NAT was trained with, as its record tells."""
        record = self.trainings["nat"][0]
        value = record.provenance["parameters"]
        for name in names:
            if not isinstance(value, dict) or name not in value:
                raise UserError(
                    f"{record.file}: no parameter {'.'.join(names)}; "
                    f"make it again with `python -m nat {record.stage}`"
                )
            value = value[name]
        return value

    def records(self) -> Iterator[Record]:
        """Every record, in the order of the pipeline."""
        for group in (self.trainings, self.probes):
            for records in group.values():
                yield from records
        yield from self.evolutions
        for records in self.finetunings.values():
            yield from records
        where = self.illustration.provenance
        yield Record(self.illustration_file, "illustrate", "", {}, where)


def joined(records: tuple[Record, ...], key: str) -> Measured:
    """One number of every seed.

    Raises:
        UserError: a record lacks it.
    """
    return Measured(tuple(record.number(key) for record in records), records[0].data)


def read_artifacts(folder: Path, seeds: list[int]) -> Artifacts:
    """Read the records of every method and seed.

    Args:
        folder: where the stages' folders lie (pretrain, probe, evolution, finetune, illustrate).
        seeds: of params.yaml.

    Raises:
        UserError: a file is missing or damaged, or was measured on other data than its kin; names
            it and the command that makes it.
    """

    def read(path: str, stage: str, method: str) -> Record:
        content = read_json(folder / path, stage)
        # absolute paths would differ from machine to machine
        name = f"{folder.resolve().name}/{path}"
        where = content.get("provenance") if isinstance(content, dict) else None
        if not isinstance(where, dict) or not where.keys() >= PROVENANCE:
            raise UserError(
                f"{name}: does not say where its numbers come from; make it again with "
                f"`python -m nat {stage}`"
            )
        return Record(name, stage, method, content.get("measured"), where)

    def each(pattern: str, stage: str, method: str) -> tuple[Record, ...]:
        return tuple(read(pattern.format(seed), stage, method) for seed in seeds)

    illustration = f"illustrate/{seeds[0]}.npz"
    artifacts = Artifacts(
        seeds=tuple(seeds),
        trainings={m: each(f"pretrain/{m}-{{}}/record.json", TRAIN[m], m) for m in METHODS},
        probes={m: each(f"probe/{m}-{{}}.json", "probe", m) for m in METHODS},
        finetunings={
            (m, layers): each(f"finetune/{m}-{layers}-{{}}.json", "finetune", m)
            for m in METHODS
            for layers in LAYERS
        },
        evolutions=each("evolution/nat-{}.json", "evolution", "nat"),
        histories=tuple(_history(folder / f"pretrain/nat-{seed}/history.csv") for seed in seeds),
        illustration=load_illustration(folder / illustration),
        illustration_file=f"{folder.resolve().name}/{illustration}",
    )
    kin = [*artifacts.trainings.values(), *artifacts.probes.values(), artifacts.evolutions]
    for group in (kin, artifacts.finetunings.values()):
        _check_same_data([record for records in group for record in records])
    return artifacts


def _check_same_data(records: list[Record]) -> None:
    for record in records[1:]:
        if record.data != records[0].data:
            raise UserError(
                f"{record.file}: measured on {record.data}, but {records[0].file} on "
                f"{records[0].data}; make both again with `python -m nat {record.stage}`"
            )


def _number(content: Any, key: str, file: str, stage: str) -> float:
    value = content.get(key) if isinstance(content, dict) else None
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise UserError(f"{file}: no number {key!r}; make it again with `python -m nat {stage}`")
    return float(value)


def _history(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows:
            raise ValueError("it is empty")
        return {
            column: np.array([float(row[column] or "nan") for row in rows])
            for column in ("epoch", "loss", "reassigned", "knn")
        }
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; make it with `python -m nat pretrain`") from error
    except (ValueError, KeyError) as error:
        raise UserError(
            f"{path}: no history of a training ({error}); make it again with "
            "`python -m nat pretrain`"
        ) from error
