"""How the trainings on top of the trunks went: probe, fine-tuning, detection, a panel each."""

from typing import NamedTuple

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from nat.report.figures.style import BLUE, GREEN, SOFT, VERMILLION
from nat.report.frame import Report
from nat.report.names import label
from nat.report.results import Result, Run

# who is told apart; of the others, which may be thirty, the lines show what is usual
LOOKS = {"nat": (BLUE, "o"), "labels": (GREEN, "^"), "random": (VERMILLION, "s")}
OTHERS = "each other method"
# the stage, what is shown by it as a line and as a dotted one, and along which axis
PANELS = {
    "probe": ("Probe: the MLP's accuracy", "test", "train", "epoch"),
    "finetune-all": ("Classification on VOC, all layers", "train", None, "iteration"),
    "detect": ("Detection on VOC: regions", "train", None, "iteration"),
}
COLUMNS = ["epoch", "iteration", "train", "test"]
Y_AXIS = {
    "probe": "accuracy, %",
    "finetune-all": "mean average precision, %",
    "detect": "given their class, %",
}


class Transfers(NamedTuple):
    """The results that have a history, of the first seed, by their stage; and their runs."""

    report: Report
    by_stage: dict[str, list[Result]]
    runs: list[Run]


def transfers(report: Report) -> Transfers | None:
    """What is shown; None if no result of these stages has a history."""
    found: dict[str, dict[str, Result]] = {stage: {} for stage in PANELS}
    for result in report.counted:
        if result.stage in found and result.history and not result.override:
            found[result.stage].setdefault(result.method, result)
    order = report.variants.methods
    by_stage = {
        stage: [results[method] for method in order if method in results]
        for stage, results in found.items()
        if results
    }
    runs = [result.run for results in by_stage.values() for result in results]
    return Transfers(report, by_stage, runs) if runs else None


def draw(shown: Transfers) -> Figure:
    """A panel a stage, a line a method; those of LOOKS are named."""
    width = 4.0 * len(shown.by_stage)
    figure = Figure(figsize=(width, 3.7), layout=ConstrainedLayoutEngine(wspace=0.06))
    panels = figure.subplots(1, len(shown.by_stage), squeeze=False)[0]
    named: dict[str, Artist] = {}
    for axes, (stage, results) in zip(panels, shown.by_stage.items(), strict=True):
        title, solid, dotted, along = PANELS[stage]
        for result in results:
            history = pd.DataFrame(list(result.history)).reindex(columns=COLUMNS)
            where = history[along]
            if result.method not in LOOKS:
                (named[OTHERS],) = axes.plot(
                    where, history[solid], color=SOFT, linewidth=0.7, alpha=0.6, zorder=1
                )
                continue
            colour, marker = LOOKS[result.method]
            (named[label(result.method)],) = axes.plot(
                where, history[solid], color=colour, marker=marker, markersize=4,
                markevery=max(1, len(history) // 8),
            )  # fmt: skip
            if dotted:
                axes.plot(where, history[dotted], color=colour, linewidth=1.2, linestyle=":")
        axes.set_title(title)
        axes.set(xlabel=along, ylabel=Y_AXIS[stage])
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    figure.legend(
        list(named.values()), list(named), loc="outside lower center", ncols=4, frameon=False
    )
    return figure
