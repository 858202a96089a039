"""How NAT trained: loss, reassignment and kNN accuracy by epoch."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from nat.report.figures.style import BLUE, GREEN, SOFT, VERMILLION, whole_epochs
from nat.report.frame import Report
from nat.report.settings import get

UNRELATED = 2.0  # the mean squared distance of unit vectors that are independent and uniform


def draw(report: Report) -> Figure:
    """Three panels; a line a seed."""
    every = get(report.settings, "permute_every")
    figure = Figure(figsize=(12, 3.7), layout=ConstrainedLayoutEngine(wspace=0.06))
    panels: list[Axes] = list(figure.subplots(1, 3))
    last = 1
    for frame in report.histories:
        history = {name: column.to_numpy() for name, column in frame.items()}
        epochs, knn = history["epoch"], history["knn"]
        last = max(last, int(epochs[-1]))
        permuted = history["reassigned"] > 0  # exactly 0 in the epochs that leave P alone
        panels[0].plot(epochs, history["loss"], color=BLUE, linewidth=1.4, zorder=2)
        _marks(panels[0], epochs[permuted], history["loss"][permuted])
        panels[1].plot(epochs[permuted], history["reassigned"][permuted], color=VERMILLION)
        _marks(panels[1], epochs[permuted], history["reassigned"][permuted])
        known = np.isfinite(knn)
        panels[2].plot(epochs[known], knn[known], color=GREEN, marker="^")
    _unrelated(panels[0])
    panels[0].set_title("Squared distance to the target")
    if every != "never":
        _marks(panels[0], np.array([]), np.array([]), label="epochs that reassign")
        tight: dict[str, Any] = {"frameon": False, "handletextpad": 0, "borderaxespad": 0}
        panels[0].legend(loc="upper right", bbox_to_anchor=(1, 0.9), **tight)
    panels[1].set_title("Images given another target")
    panels[1].set(ylabel="% of an epoch's images", ylim=(0, 104))
    panels[2].set_title("kNN on conv5, a monitor")
    panels[2].set(ylabel="accuracy, %")
    for axes in panels:
        whole_epochs(axes, last)
        axes.set_xlim(0, 1.03 * last)
    checked = any(frame["knn"].notna().any() for frame in report.histories)
    for axes, shown in ((panels[1], every != "never"), (panels[2], checked)):
        if not shown:
            axes.text(0.5, 0.5, "never", transform=axes.transAxes, ha="center", color=SOFT)
    return figure


def caption(report: Report) -> str:
    """What is shown, and why the loss goes up and down."""
    every = get(report.settings, "permute_every")
    if every == "never":
        pace = "The assignment P stays as it was drawn."
    else:
        pace = (
            f"Targets are reassigned within batches in one epoch of {every}"
            if every > 1
            else "Targets are reassigned within batches in every epoch"
        )
        pace += (
            ", where the loss is taken after reassigning and so is lower. Middle: images given "
            "another target in those epochs; the fewer, the more settled the assignment."
        )
    n = len(report.histories)
    lines = f" One line for each of {n} seeds." if n > 1 else ""
    return (
        f"NAT's training. Left: mean squared distance between features and targets; {UNRELATED:g} "
        f"is that of unrelated unit vectors. {pace} Right: kNN accuracy on conv5 of a part of the "
        f"images, cheaper than that of Table 3.{lines}"
    )


def _unrelated(axes: Axes) -> None:
    axes.axhline(UNRELATED, color=SOFT, linewidth=1.2, linestyle=":")
    how: dict[str, Any] = {"textcoords": "offset points", "color": SOFT, "va": "top"}
    axes.annotate("unrelated vectors: 2", (0, UNRELATED), (4, -4), **how)


def _marks(axes: Axes, epochs: np.ndarray, values: np.ndarray, label: str | None = None) -> None:
    how: dict[str, Any] = {"color": VERMILLION, "edgecolor": "white", "linewidth": 0.6}
    axes.scatter(epochs, values, s=46, zorder=3, label=label, **how)
