"""How NAT trained: loss, reassignment and kNN accuracy by epoch."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from nat.report.figures.style import BLUE, GREEN, SOFT, VERMILLION, whole_epochs
from nat.report.frame import Report

UNRELATED = 2.0  # the mean squared distance of unit vectors that are independent and uniform


def draw(report: Report) -> Figure:
    """Three panels; a line a seed."""
    figure = Figure(figsize=(12, 3.7), layout=ConstrainedLayoutEngine(wspace=0.06))
    left, middle, right = panels = list(figure.subplots(1, 3))
    for history in report.histories:
        permuted = history[history["reassigned"] > 0]  # exactly 0 in the epochs that leave P alone
        checked = history[history["knn"].notna()]
        left.plot(history["epoch"], history["loss"], color=BLUE, linewidth=1.4, zorder=2)
        _marks(left, permuted, "loss")
        middle.plot(permuted["epoch"], permuted["reassigned"], color=VERMILLION)
        _marks(middle, permuted, "reassigned")
        right.plot(checked["epoch"], checked["knn"], color=GREEN, marker="^")
    left.axhline(UNRELATED, color=SOFT, linewidth=1.2, linestyle=":")
    left.annotate("unrelated vectors: 2", (0, UNRELATED), (4, -4), textcoords="offset points",
                  color=SOFT, va="top")  # fmt: skip
    left.set_title("Squared distance to the target")
    moves = report.used("permute_every") != "never"
    if moves:
        _marks(left, report.histories[0][:0], "loss", label="epochs that reassign")
        left.legend(loc="upper right", bbox_to_anchor=(1, 0.9), frameon=False, handletextpad=0,
                    borderaxespad=0)  # fmt: skip
    middle.set_title("Images given another target")
    middle.set(ylabel="% of an epoch's images", ylim=(0, 104))
    right.set_title("kNN on conv5, a monitor")
    right.set(ylabel="accuracy, %")
    last = max(1, *(int(history["epoch"].iloc[-1]) for history in report.histories))
    for axes in panels:
        whole_epochs(axes, last)
        axes.set_xlim(0, 1.03 * last)
    checks = any(history["knn"].notna().any() for history in report.histories)
    for axes, shown in ((middle, moves), (right, checks)):
        if not shown:
            axes.text(0.5, 0.5, "never", transform=axes.transAxes, ha="center", color=SOFT)
    return figure


def _marks(axes: Axes, history: pd.DataFrame, column: str, label: str | None = None) -> None:
    how: dict[str, Any] = {"color": VERMILLION, "edgecolor": "white", "linewidth": 0.6}
    axes.scatter(history["epoch"], history[column], s=46, zorder=3, label=label, **how)
