"""All measured numbers in one table, and what the tables and figures look up in it."""

import re
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from nat.report.names import PROBES, data_name, label
from nat.report.results import (
    OF_CLASS,
    ON_IMAGES,
    ON_VOC,
    Result,
    Run,
    checkpoint,
    other_profiles,
    read_results,
)
from nat.report.settings import Settings, Variant, Variants, get
from nat.report.table import Measured

COLUMNS = [
    "stage", "method", "override", "factor", "value", "seed", "metric", "number", "data", "file",
    "commit", "counted",
]  # fmt: skip
KEY = ["stage", "method", "override", "metric"]
EPOCH = re.compile(r"epoch (\d+), ")


class Report:
    """Everything that tables and figures are made of.

    Attributes:
        settings: of params.yaml; ``variants`` is what they list.
        results: every file, counted or not, in the order of stages, methods and seeds.
        illustrated: what Figures 1 and 3 show, of the first seed that has it; may be None.
        filters: what Figure 4 shows, likewise.
        detected: images with detections, likewise.
        counted: the results that count, the three above behind them.
        not_run: by run, why the data cannot serve a method.
        data: the name of what methods were trained on and probed with; ``voc`` of the VOC set.
        others: the same of other profiles, whose numbers stand in columns beside.
        heads: what columns are headed with, of data and, under True, of the VOC set.
        prefix: of links to its numbers.
    """

    def __init__(self, settings: Settings, folder: Path, named: str = "results") -> None:
        """Read a profile's results; arguments, and what is raised, as of ``read_results``."""
        self.settings, self.variants = settings, Variants(settings)
        self.results, shown = read_results(folder, self.variants, named)
        self.illustrated, self.filters = shown.get("features"), shown.get("filters")
        self.detected = shown.get("detections")
        self.counted = [r for r in self.results if not r.dropped and not r.not_run]
        self.not_run = {r.run: r.not_run for r in self.results if r.not_run and not r.dropped}
        sources = {r.stage in ON_VOC: data_name(r.provenance.data) for r in self.counted}
        self.data, self.voc = sources.get(False, "images"), sources.get(True, "VOC-format set")
        self.counted += list(shown.values())
        self.others: list[Report] = []
        self.heads, self.prefix = {False: self.data, True: self.voc}, ""

    @classmethod
    def of_all(cls, settings: Settings, results: Path) -> "Report":
        """That of the profile in use, with ``others``; each has a folder in results/."""
        profile = str(settings["profile"])
        report = cls(settings, results / profile, f"{results.name}/{profile}")
        for name, known in other_profiles(results, profile).items():
            other = cls(known, results / name, f"{results.name}/{name}")
            taken = [each.heads for each in report.all]
            if any(other.data == heads[False] for heads in taken):
                other.heads[False] += f" (profile {name})"
            if any(other.voc == heads[True] for heads in taken):
                other.heads[True] += f", trunks of {other.heads[False]}"
            other.prefix = f"{name}."
            report.others.append(other)
        return report

    @property
    def all(self) -> "list[Report]":
        """Itself and the others."""
        return [self, *self.others]

    @property
    def profile(self) -> str:
        """Of its settings."""
        return str(self.settings["profile"])

    def used(self, name: str) -> Any:
        """The setting of a dotted name; None if there is none."""
        return get(self.settings, name)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row for every measured number (COLUMNS); what does not count has 0 in ``counted``."""
        rows = []
        for result in [*self.counted, *(r for r in self.results if r.dropped)]:
            variant = self.variants.canonical(result.method, result.override)
            factor = variant.factor if variant else ""
            value = str(variant.value) if variant and factor else ""
            start = (*result.run, factor, value, result.seed)
            where = result.provenance
            end = where.data, result.file, where.commit, int(not result.dropped)
            rows += [(*start, metric, number, *end) for metric, number in result.numbers.items()]
        return pd.DataFrame(rows, columns=COLUMNS)

    @cached_property
    def _cells(self) -> dict[tuple[Run, str], Measured]:
        """What counts by run and metric, over the seeds."""
        found = {}
        for (*run, metric), rows in self.frame[self.frame["counted"] == 1].groupby(KEY, sort=False):
            values, seeds = (tuple(rows[name].tolist()) for name in ("number", "seed"))
            data, digits = (
                data_name(rows["data"].iloc[0]),
                int(metric not in ("images_per_second", "seconds")),
            )
            name = self.prefix + anchor(Run(*run), metric)
            found[Run(*run), metric] = Measured(values, seeds, data, name, digits)
        return found

    def measured(
        self, method: str, metric: str, stage: str = "probe", override: str = ""
    ) -> Measured | None:
        """A number over its seeds; None where it was not measured."""
        return self._cells.get((Run(stage, method, override), metric))

    def of(self, variant: Variant, metric: str, stage: str = "probe") -> Measured | None:
        """A number of a variant, likewise."""
        return self.measured(variant.method, metric, stage, variant.override)

    def probes(self, method: str, override: str = "", epoch: int = 0) -> dict[str, Measured]:
        """The three probes of a trunk, at an epoch or the end; empty unless all were measured."""
        names = {name: checkpoint(epoch, name) if epoch else name for name in PROBES}
        found = {n: self.measured(method, metric, "probe", override) for n, metric in names.items()}
        return {name: cell for name, cell in found.items() if cell} if all(found.values()) else {}

    def by_class(self, method: str, stage: str) -> pd.Series:
        """Average precision in percent of each class, mean over the seeds."""
        means = {
            name: c.mean for (run, name), c in self._cells.items() if run == (stage, method, "")
        }
        return pd.Series(means, dtype=float).filter(like=f"ap{OF_CLASS}")

    @cached_property
    def curve(self) -> dict[int, dict[str, Measured]]:
        """Probes of NAT's trunk by epoch: epoch 0 is the random row, the last is NAT's."""
        last = int(self.used("pretrain.epochs") or 0)
        named = (EPOCH.match(metric) for run, metric in self._cells if run == Run("probe", "nat"))
        between = sorted({int(found[1]) for found in named if found})
        rows = {0: self.probes("random")}
        rows |= {e: self.probes("nat", epoch=e) for e in between if 0 < e < last}
        return {epoch: row for epoch, row in (rows | {last: self.probes("nat")}).items() if row}

    @cached_property
    def in_training(self) -> dict[int, Measured]:
        """The MLP's accuracy on images that it was trained on, at the epochs of ``curve``."""
        last = max(self.curve, default=0)
        found = {
            e: self.measured("nat", checkpoint(e, "mlp_train") if 0 < e < last else "mlp_train")
            for e in self.curve
            if e
        }
        found = {0: self.measured("random", "mlp_train")} | found
        return {epoch: cell for epoch, cell in found.items() if cell and epoch in self.curve}

    def by_value(self, factor: str) -> dict[Any, dict[str, Measured]]:
        """Probes of NAT's trunk by the values of a setting."""
        variants = self.variants.of("nat", factor)
        rows = {variant.value: self.probes("nat", variant.override) for variant in variants}
        return {value: row for value, row in rows.items() if row}

    @cached_property
    def histories(self) -> list[pd.DataFrame]:
        """NAT's trainings: columns epoch, loss, reassigned (percent), knn; a row for each epoch."""
        own = (r.history for r in self.counted if r.run == Run("train", "nat") and r.history)
        columns = ["epoch", "loss", "reassigned", "knn"]
        return [pd.DataFrame(rows).reindex(columns=columns).astype(float) for rows in own]

    def courses(self, method: str, column: str) -> list[pd.Series]:
        """A column of a method's own trainings' history by epoch; of those that have it."""
        rows = (r.history for r in self.counted if r.run == Run("train", method) and r.history)
        frames = (pd.DataFrame(each).set_index("epoch") for each in rows)
        return [frame[column].dropna().astype(float) for frame in frames if column in frame]

    def is_composed(self, method: str) -> bool:
        """Whether a method was trained on composed motion, no frames being named."""
        trained = (r for r in self.counted if r.run == Run("train", method))
        own = (get(r.provenance.parameters, f"baselines.{method}") for r in trained)
        return any(isinstance(each, dict) and each.get("frames", "") is None for each in own)

    @cached_property
    def groups(self) -> list[list[Result]]:
        """The results that count, those that differ by the seed alone together."""
        ordered = sorted(self.counted, key=lambda result: bool(result.override))
        return [list(results) for _, results in groupby(ordered, key=lambda result: result.run)]

    @cached_property
    def not_tried(self) -> list[str]:
        """Methods of params.yaml of which there is no result, not even why not."""
        tried = {r.method for r in self.results if not r.dropped}
        return [method for method in self.variants.methods if method not in tried]

    @property
    def setup(self) -> str:
        """NAT's own run in words: its targets and how they are assigned."""
        size = "targets.k" if self.used("target_type") == "onehot" else "targets.dimension"
        own = (self.variants.own("nat", name) for name in (size, "alignment"))
        return ", ".join(variant.name for variant in own if variant.value is not None)

    def images(self, part: str) -> int:
        """How many images of that data there are in a part (train, test); 0 if no result tells."""
        where = (r.provenance.images for r in self.counted if r.stage in ON_IMAGES)
        return next((each[part] for each in where if part in each), 0)


def subject(run: Run) -> str:
    """Whose numbers a run's are, for people."""
    changed = run.override.replace(",", ", ").replace("=", " = ")
    return ", ".join(filter(None, (label(run.method), changed)))


def anchor(run: Run, metric: str = "") -> str:
    """The name in links of a run, or of one of its numbers."""
    name = ",".join(filter(None, (f"{run.stage}/{run.method}", run.override)))
    # each sign by itself, so that -1 and 1 stay apart
    return re.sub(r"[^A-Za-z0-9.]", "-", f"{name}.{metric}" if metric else name)
