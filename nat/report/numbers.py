"""The files of numbers alone: all of them, and the few that ``dvc metrics`` and plots compare."""

import json
from collections.abc import Callable
from typing import Any

import pandas as pd

from nat.report.frame import Report
from nat.report.names import PROBES, label
from nat.report.results import ON_VOC
from nat.report.table import Measured

# names in metrics.json, and the numbers and stages
PLACES = {probe: (probe, "probe") for probe in PROBES}
PLACES |= dict(zip(("voc_fc", "voc_all", "voc_detection"), (("map", s) for s in ON_VOC),
                   strict=True))  # fmt: skip

COLUMNS = PROBES | {"voc_fc": "VOC fc6-8", "voc_all": "VOC all", "voc_detection": "VOC detection"}


def summary(report: Report) -> dict[str, dict[str, Measured | None]]:
    """By method: accuracies and mean average precisions in percent."""
    return {
        method: {name: report.measured(method, *place) for name, place in PLACES.items()}
        for method in report.variants.methods
    }


def summary_lines(report: Report) -> list[str]:
    """The summary as a small table for the terminal."""
    tried = {m: row for m, row in summary(report).items() if m not in report.not_tried}
    frame = pd.DataFrame.from_dict(tried, orient="index", dtype=object)
    texts = frame.map(lambda cell: str(cell or "not run")).rename(index=label, columns=COLUMNS)
    return texts.to_string().splitlines()


def metrics(report: Report) -> str:
    """The summary as flat JSON, mean over seeds, e.g. ``nat_mlp``, ``labels_voc_all``."""
    methods = summary(report).items()
    cells = {f"{method}_{name}": row[name] for name in PLACES for method, row in methods}
    flat = {name: round(cell.mean, 2) for name, cell in cells.items() if cell}
    return json.dumps(flat, indent=2) + "\n"


def probes(name: str, rows: dict[Any, dict[str, Measured]]) -> str:
    """CSV with columns ``name``, mlp, linear, knn: percent, mean over seeds."""
    means = [[key, *(cell.mean for cell in row.values())] for key, row in rows.items()]
    frame = pd.DataFrame(means, columns=[name, *PROBES])
    return frame.to_csv(index=False, float_format="%.2f", lineterminator="\n")


def evolution(report: Report) -> str:
    """``probes`` by epoch, and mlp_train, the MLP's accuracy on images that it was trained on."""
    text, cells = probes("epoch", report.curve), report.in_training
    if len(cells) < len(report.curve) or not cells:
        return text
    first, *rows = text.splitlines()
    pairs = zip(rows, cells.values(), strict=True)
    return "\n".join([f"{first},mlp_train", *(f"{row},{c.mean:.2f}" for row, c in pairs)]) + "\n"


def training(report: Report) -> str:
    """CSV with columns epoch, loss, reassigned (percent) of NAT's training: means over seeds."""
    kinds = {"epoch": "{:.0f}", "loss": "{:.5f}", "reassigned": "{:.4f}"}
    every = pd.concat([pd.DataFrame(columns=list(kinds), dtype=float), *report.histories])
    means = every[list(kinds)].groupby("epoch", as_index=False).mean()
    texts = means.apply(lambda column: column.map(kinds[column.name].format))
    return texts.to_csv(index=False, lineterminator="\n")


def results(report: Report) -> str:
    """CSV of every number of every profile; see frame.py for the columns."""
    every = pd.concat([each.frame for each in report.all])
    return every.to_csv(index=False, lineterminator="\n")


FILES: dict[str, Callable[[Report], str]] = {
    "results.csv": results,
    "metrics.json": metrics,
    "evolution.csv": evolution,  # Figure 2, left
    "by_period.csv": lambda report: probes("period", report.by_value("permute_every")),
    "training.csv": training,
}
