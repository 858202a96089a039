"""How the trainings on top of the trunks went: probe, fine-tuning, detection, a panel each."""

from typing import NamedTuple

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from nat.report.figures.style import BLUE, GREEN, ORANGE, SOFT, VERMILLION
from nat.report.frame import Report
from nat.report.names import label
from nat.report.results import Result, Run

LOOKS = [(BLUE, "o"), (GREEN, "^"), (VERMILLION, "s"), (ORANGE, "D"), (SOFT, "v")]
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
    """A panel a stage, a line a method."""
    width = 4.0 * len(shown.by_stage)
    figure = Figure(figsize=(width, 3.7), layout=ConstrainedLayoutEngine(wspace=0.06))
    panels = figure.subplots(1, len(shown.by_stage), squeeze=False)[0]
    methods = [m for m in shown.report.variants.methods if m in {run.method for run in shown.runs}]
    looks = {method: LOOKS[i % len(LOOKS)] for i, method in enumerate(methods)}
    for axes, (stage, results) in zip(panels, shown.by_stage.items(), strict=True):
        title, solid, dotted, along = PANELS[stage]
        for result in results:
            history = pd.DataFrame(list(result.history)).reindex(columns=COLUMNS)
            where = history[along]
            colour, marker = looks[result.method]
            axes.plot(where, history[solid], color=colour, marker=marker, markersize=4,
                      markevery=max(1, len(history) // 8), label=label(result.method))  # fmt: skip
            if dotted:
                axes.plot(where, history[dotted], color=colour, linewidth=1.2, linestyle=":")
        axes.set_title(title)
        axes.set(xlabel=along, ylabel=Y_AXIS[stage])
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    # the panel with the most methods has all of them
    named = (axes.get_legend_handles_labels() for axes in panels)
    lines = max(named, key=lambda both: len(both[0]))
    figure.legend(*lines, loc="outside lower center", ncols=len(methods), frameon=False)
    return figure
