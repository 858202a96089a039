"""The figures: what is shown, how it is drawn, and of which runs it is.

Their titles, and texts for who cannot see them, are in figures.csv, their captions in captions.j2.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from nat.report import page
from nat.report.figures import curves, detections, learned, overview, tasks, transfer
from nat.report.figures.style import prefer_own_fonts, render
from nat.report.frame import Report
from nat.report.results import DETECTIONS, FEATURES, FILTERS, Run

TITLES = pd.read_csv(page.TEMPLATES / "figures.csv", index_col="stem")
OF_OTHERS = ("figure2_left", "figure2_right", "figure3", "figure4", "tasks", "training")  # profiles
ILLUSTRATED = [Run(FEATURES, "nat")]
DETECTED = [Run("detect", "nat"), Run(DETECTIONS, "nat")]
BY_EPOCH = [Run("probe", method) for method in ("nat", "random", "labels")]
# by the names of files: what is shown, None where there is nothing; how it is drawn; and the runs
# behind it, where what is shown does not tell them itself
DRAWINGS: dict[str, tuple[Callable[[Report], Any], Callable[[Any], Figure], list[Run]]] = {
    "figure1": (lambda r: r.illustrated, overview.draw, ILLUSTRATED),
    "detections": (lambda r: r.detected, detections.draw, DETECTED),
    "training": (lambda r: r if r.histories else None, curves.training, [Run("train", "nat")]),
    "tasks": (tasks.measured, tasks.draw, []),
    "figure2_left": (lambda r: r if len(r.curve) > 1 else None, curves.by_epoch, BY_EPOCH),
    "transfer": (transfer.transfers, transfer.draw, []),
    "figure3": (lambda r: r.illustrated, learned.neighbours, ILLUSTRATED),
    "figure4": (lambda r: r.filters, learned.filters, [Run(FILTERS, "nat")]),
    **{stem: (partial(curves.measured, name=name), curves.by_factor, [])
       for stem, name in (("figure2_right", "permute_every"), ("classes", "targets.k"),
                          ("dimension", "targets.dimension"))},
}  # fmt: skip


def draw_all(report: Report) -> dict[str, dict[str, Any]]:
    """By its name, each figure that has something to show: titles, caption, runs, png and svg."""
    images = {}
    prefer_own_fonts()
    with rc_context(fname=page.TEMPLATES / "figures.mplstyle"):
        for each in report.all:
            for stem in DRAWINGS if each is report else OF_OTHERS:
                if image := _drawn(each, stem):
                    if each is not report:
                        image["title"] += f", {each.heads[False]}"
                        image["stem"] += f"-{each.profile}"
                    images[image["stem"]] = image
    return images


def _drawn(report: Report, stem: str) -> dict[str, Any]:
    """A figure; empty where it has nothing to show."""
    shows, draw, runs = DRAWINGS[stem]
    if (shown := shows(report)) is None:
        return {}
    measured = {result.run for result in report.counted}
    figure = draw(shown)
    return {
        **TITLES.loc[stem],
        "stem": stem,
        "prefix": report.prefix,
        "caption": page.caption(stem, report=report, shown=shown),
        "runs": [run for run in runs or shown.runs if run in measured],
        **{kind: render(figure, kind) for kind in ("png", "svg")},
    }
