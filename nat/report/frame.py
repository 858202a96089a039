"""All measured numbers in one table, and what the tables and figures look up in it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from nat.report.names import PROBES, data_name, label
from nat.report.results import (
    DETECTIONS,
    FEATURES,
    ON_IMAGES,
    ON_VOC,
    PICKED,
    Picked,
    Result,
    checkpoint,
    read_results,
)
from nat.report.settings import Settings, Variant, Variants, get
from nat.report.table import Measured

COLUMNS = (
    "stage", "method", "override", "factor", "value", "seed", "metric", "number", "data", "file",
    "commit", "counted",
)  # fmt: skip
KEY = ["stage", "method", "override", "metric"]
FACTS = {
    "ap": "average precision", "score": "least score", "precision": "precision", "recall": "recall",
}  # fmt: skip
EPOCH = re.compile(r"epoch (\d+), ")


@dataclass(frozen=True)
class Report:
    """Everything that tables and figures are made of.

    Attributes:
        variants: what params.yaml lists.
        results: every file, counted or not, in the order of stages, methods and seeds.
        picked: what the figures show, the first seed that has it; None where no seed has.
    """

    variants: Variants
    results: list[Result]
    picked: list[Picked] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        """Of params.yaml."""
        return self.variants.settings

    @cached_property
    def illustrated(self) -> Picked | None:
        """The first seed that has what Figures 1, 3 and 4 show."""
        return next((each for each in self.picked if each.file.endswith(FEATURES)), None)

    @cached_property
    def detected(self) -> Picked | None:
        """The first seed that has images with detections."""
        return next((each for each in self.picked if each.file.endswith(DETECTIONS)), None)

    @cached_property
    def counted(self) -> list[Result]:
        """What counts, the facts of the figures' files behind the results."""
        return [r for r in self.results if not r.dropped] + [
            _facts(picked) for picked in (self.illustrated, self.detected) if picked
        ]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """A row for every measured number (COLUMNS); what does not count has 0 in ``counted``."""
        rows = []
        for result in [*self.counted, *(r for r in self.results if r.dropped)]:
            variant = self.variants.canonical(result.method, result.override)
            factor, value = (variant.factor, variant.value) if variant else ("", None)
            where = result.provenance
            for metric, number in result.measured.items():
                named = (result.stage, *result.run[:2], factor, value, result.seed, metric, number)
                kept = int(not result.dropped)
                rows.append((*named, where["data"], result.file, where["commit"], kept))
        return pd.DataFrame(rows, columns=list(COLUMNS))

    @cached_property
    def _cells(self) -> dict[tuple[str, ...], Measured]:
        counted = self.frame[self.frame["counted"] == 1]
        return {
            key: Measured(
                tuple(map(float, rows["number"])),
                tuple(map(int, rows["seed"])),
                data_name(rows["data"].iloc[0]),
                anchor(*key),
            )
            for key, rows in counted.groupby(KEY, sort=False)
        }

    def measured(self, stage: str, method: str, metric: str, override: str = "") -> Measured | None:
        """A number over its seeds; None where it was not measured."""
        return self._cells.get((stage, method, override, metric))

    def probe(self, method: str, probe: str, override: str = "") -> Measured | None:
        """Accuracy in percent of a probe (mlp, linear or knn) of a method's trunk."""
        return self.measured("probe", method, probe, override)

    def of(self, variant: Variant, metric: str, stage: str = "probe") -> Measured | None:
        """A number of a variant."""
        return self.measured(stage, variant.method, metric, variant.override)

    def by_class(self, cell: Measured) -> dict[str, float]:
        """Average precision in percent of each class, mean over the seeds, beside a mean one."""
        key = next(key for key, each in self._cells.items() if each.anchor == cell.anchor)
        start = (*key[:3], "ap: ")
        return {
            name.removeprefix("ap: "): each.mean
            for (*where, name), each in self._cells.items()
            if (*where, name[:4]) == start
        }

    @cached_property
    def curve(self) -> dict[int, dict[str, Measured]]:
        """Probes of NAT's trunk by epoch: epoch 0 is the random row, the last is NAT's."""
        last = int(get(self.settings, "pretrain.epochs", 0))
        named = (EPOCH.match(key[3]) for key in self._cells if key[:3] == ("probe", "nat", ""))
        between = {int(found[1]) for found in named if found}
        rows = {
            0: {name: self.probe("random", name) for name in PROBES},
            **{
                epoch: {name: self.probe("nat", checkpoint(epoch, name)) for name in PROBES}
                for epoch in sorted(between)
                if 0 < epoch < last
            },
            last: {name: self.probe("nat", name) for name in PROBES},
        }
        known = {e: {n: c for n, c in row.items() if c is not None} for e, row in rows.items()}
        return {epoch: row for epoch, row in known.items() if len(row) == len(PROBES)}

    @cached_property
    def histories(self) -> list[pd.DataFrame]:
        """NAT's trainings: columns epoch, lr, loss, reassigned, knn; a row for each epoch."""
        own = ("train", "nat", "")
        return [
            pd.DataFrame(result.history)
            .reindex(columns=["epoch", "loss", "reassigned", "knn"])
            .astype(float)
            for result in self.counted
            if (result.stage, *result.run[:2]) == own and result.history
        ]

    @cached_property
    def groups(self) -> list[list[Result]]:
        """The results that count, those that differ by the seed alone together."""
        found: dict[tuple[str, str, str], list[Result]] = {}
        for result in sorted(self.counted, key=lambda result: bool(result.override)):
            found.setdefault((result.stage, *result.run[:2]), []).append(result)
        return list(found.values())

    @cached_property
    def data(self) -> str:
        """The name for people of the data that the methods were trained on and probed with."""
        return self._data(ON_IMAGES) or "images"

    @cached_property
    def voc(self) -> str:
        """The name for people of the VOC-format set."""
        return self._data(ON_VOC) or "VOC-format set"

    def _data(self, stages: Sequence[str]) -> str:
        return next((r.data for r in self.counted if r.stage in stages), "")

    def images(self, part: str, stages: Sequence[str] = ON_IMAGES) -> int:
        """How many images there are in a part (train, val, test); 0 if no result tells."""
        where = [r.provenance["images"] for r in self.counted if r.stage in stages]
        return next((each[part] for each in where if part in each), 0)


def read_report(settings: Settings, results: Path, store: str | None = None) -> Report:
    """Read all that a report is made of.

    Raises:
        UserError: see ``read_results``.
    """
    variants = Variants(settings)
    return Report(variants, *read_results(results, variants, store))


def _facts(picked: Picked) -> Result:
    """The facts that a file of figures tells, as a result."""
    facts, name = picked.content.facts, Path(picked.file).stem
    if picked.file.endswith(FEATURES):
        measured = {"mean cosine of feature and target": facts["cosine"]}
    else:
        measured = {
            f"{words} of {each['name']}": each[key]
            for each in facts["classes"]
            for key, words in FACTS.items()
            if each[key] is not None
        }
    where = picked.content.provenance
    return Result(picked.file, f"{PICKED} {name}", "nat", "", picked.seed, measured, where)


def subject(result: Result) -> str:
    """Whose numbers a result holds, for people."""
    changed = result.override.replace(",", ", ").replace("=", " = ")
    return ", ".join(filter(None, (label(result.method), changed)))


def anchor(stage: str, method: str, override: str = "", metric: str = "") -> str:
    """The name in links of a group of results, or of one of its numbers."""
    name = ",".join(filter(None, (f"{stage}/{method}", override)))
    return re.sub(r"[^A-Za-z0-9.]+", "-", f"{name}.{metric}" if metric else name).lower()
