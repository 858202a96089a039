"""The files of numbers alone: all of them, and the few that ``dvc metrics`` and plots compare."""

import json

import pandas as pd

from nat.report.frame import Report
from nat.report.names import PROBES
from nat.report.results import ON_VOC

# names in metrics.json
PLACES = {
    **{("probe", probe): probe for probe in PROBES},
    **{(s, "map"): n for s, n in zip(ON_VOC, ("voc_fc", "voc_all", "voc_detection"), strict=True)},
}


def results_csv(report: Report) -> str:
    """Every measured number in a row of its own; see frame.COLUMNS."""
    return report.frame.to_csv(index=False, lineterminator="\n")


def metrics(report: Report) -> str:
    """Flat JSON: percent, mean over seeds, e.g. ``nat_mlp``, ``labels_voc_all``."""
    flat = {
        f"{method}_{name}": round(cell.mean, 2)
        for (stage, metric), name in PLACES.items()
        for method in report.variants.methods
        if (cell := report.measured(stage, method, metric)) is not None
    }
    return json.dumps(flat, indent=2) + "\n"


def evolution(report: Report) -> str:
    """CSV with columns epoch, mlp, linear, knn: percent, mean over seeds (Figure 2, left)."""
    rows = [[epoch, *(row[probe].mean for probe in PROBES)] for epoch, row in report.curve.items()]
    return _csv(rows, "epoch")


def by_period(report: Report) -> str:
    """CSV with columns period, mlp, linear, knn: percent, mean over seeds (Figure 2, right)."""
    rows = []
    for variant in report.variants.of("nat", "permute_every"):
        cells = [report.of(variant, probe) for probe in PROBES]
        known = [cell.mean for cell in cells if cell is not None]
        if len(known) == len(cells):
            rows.append([variant.value, *known])
    return _csv(rows, "period")


def _csv(rows: list[list[object]], first: str) -> str:
    frame = pd.DataFrame(rows, columns=[first, *PROBES])
    return frame.to_csv(index=False, float_format="%.2f", lineterminator="\n")


def training(report: Report) -> str:
    """CSV with columns epoch, loss, reassigned (percent) of NAT's training: means over seeds."""
    columns = ["epoch", "loss", "reassigned"]
    every = pd.concat([pd.DataFrame(columns=columns, dtype=float), *report.histories])
    means = every[columns].groupby("epoch", as_index=False).mean()
    means["epoch"] = means["epoch"].astype(int)
    means["reassigned"] = means["reassigned"].map("{:.4f}".format)
    return means.to_csv(index=False, float_format="%.5f", lineterminator="\n")


FILES = {
    "results.csv": results_csv,
    "metrics.json": metrics,
    "evolution.csv": evolution,
    "by_period.csv": by_period,
    "training.csv": training,
}


def summary_lines(report: Report) -> list[str]:
    """A small table of accuracies and mean average precisions, for the terminal."""
    cells = {
        method: [report.measured(stage, method, metric) for stage, metric in PLACES]
        for method in report.variants.methods
    }
    rows = [["", *PLACES.values()]]
    rows += [[m, *(c.text if c else "not run" for c in each)] for m, each in cells.items()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [zip(row, widths, strict=True) for row in rows]
    return [
        "  ".join(text.rjust(width) if place else text.ljust(width)
                  for place, (text, width) in enumerate(line)).rstrip()
        for line in lines
    ]  # fmt: skip
