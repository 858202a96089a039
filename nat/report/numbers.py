"""The files of numbers alone: all of them, and the few that ``dvc metrics`` and plots compare."""

import json

import pandas as pd

from nat.report.frame import Report
from nat.report.names import PROBES
from nat.report.results import ON_VOC
from nat.report.table import Measured

# stages and numbers, and their names in metrics.json
PLACES = {("probe", probe): probe for probe in PROBES}
PLACES |= {(stage, "map"): name for stage, name in zip(
    ON_VOC, ("voc_fc", "voc_all", "voc_detection"), strict=True)}  # fmt: skip


def results_csv(report: Report) -> str:
    """Every measured number in a row of its own; see frame.COLUMNS."""
    return report.frame.to_csv(index=False, lineterminator="\n")


def summary(report: Report) -> dict[str, dict[str, Measured | None]]:
    """Accuracies and mean average precisions in percent, by method."""
    return {
        method: {name: report.measured(method, metric, stage)
                 for (stage, metric), name in PLACES.items()}
        for method in report.variants.methods
    }  # fmt: skip


def summary_lines(report: Report) -> list[str]:
    """The summary as a small table for the terminal."""
    frame = pd.DataFrame.from_dict(summary(report), orient="index", dtype=object)
    return frame.map(lambda cell: str(cell or "not run")).to_string().splitlines()


def metrics(report: Report) -> str:
    """The summary as flat JSON, mean over seeds, e.g. ``nat_mlp``, ``labels_voc_all``."""
    flat = {
        f"{method}_{name}": round(cell.mean, 2)
        for name in PLACES.values()
        for method, cells in summary(report).items()
        if (cell := cells[name]) is not None
    }
    return json.dumps(flat, indent=2) + "\n"


def evolution(report: Report) -> str:
    """CSV with columns epoch, mlp, linear, knn: percent, mean over seeds (Figure 2, left)."""
    return _csv("epoch", report.curve)


def by_period(report: Report) -> str:
    """CSV with columns period, mlp, linear, knn: percent, mean over seeds (Figure 2, right)."""
    variants = report.variants.of("nat", "permute_every")
    return _csv("period", {v.value: report.probes("nat", v.override) for v in variants})


def _csv(name: str, rows: dict) -> str:
    means = [[key, *(cell.mean for cell in row.values())] for key, row in rows.items() if row]
    frame = pd.DataFrame(means, columns=[name, *PROBES])
    return frame.to_csv(index=False, float_format="%.2f", lineterminator="\n")


def training(report: Report) -> str:
    """CSV with columns epoch, loss, reassigned (percent) of NAT's training: means over seeds."""
    kinds = {"epoch": "{:.0f}", "loss": "{:.5f}", "reassigned": "{:.4f}"}
    every = pd.concat([pd.DataFrame(columns=list(kinds), dtype=float), *report.histories])
    means = every[list(kinds)].groupby("epoch", as_index=False).mean()
    texts = means.apply(lambda column: column.map(kinds[column.name].format))
    return texts.to_csv(index=False, lineterminator="\n")


FILES = {
    "results.csv": results_csv,
    "metrics.json": metrics,
    "evolution.csv": evolution,
    "by_period.csv": by_period,
    "training.csv": training,
}
