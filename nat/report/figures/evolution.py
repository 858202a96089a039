"""Figure 2, left: how the features' quality evolves while they learn to predict noise."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nat.report.figures.style import PROBE, SOFT, name_ends, spread_of, whole_epochs
from nat.report.frame import Report
from nat.report.names import PROBES
from nat.report.results import Run


def draw(report: Report) -> Figure:
    """Accuracy by epoch of the three probes; a band of ± one standard deviation over seeds."""
    epochs = list(report.curve)
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    ends = []
    for probe, (colour, marker, line) in PROBE.items():
        cells = [row[probe] for row in report.curve.values()]
        means = [cell.mean for cell in cells]
        axes.plot(epochs, means, color=colour, marker=marker, linestyle=line)
        if any(cell.deviation for cell in cells):
            low = [cell.mean - (cell.deviation or 0) for cell in cells]
            high = [cell.mean + (cell.deviation or 0) for cell in cells]
            axes.fill_between(epochs, low, high, color=colour, alpha=0.18, linewidth=0)
        ends.append((PROBES[probe], means[-1], colour))
    axes.margins(y=0.1)
    labels = report.measured(Run("probe", "labels"), "mlp")
    if labels is not None:
        _level(axes, f"trained with labels, MLP: {labels.mean:.1f} %", labels.mean)
    name_ends(axes, ends, 0.055, (epochs[-1], 10), "data")
    whole_epochs(axes, epochs[-1])
    axes.set_xlim(-0.02 * epochs[-1], 1.02 * epochs[-1])
    axes.set_ylabel(f"accuracy on {report.data}, %")
    axes.set_xlabel("epochs of unsupervised training (0: random weights)")
    return figure


def _level(axes: Axes, words: str, level: float) -> None:
    """A dotted line, or, where it would squeeze the curves, its number alone."""
    low, high = axes.get_ylim()
    place = level
    if low <= level <= high + (high - low) / 2:
        axes.axhline(level, color=SOFT, linewidth=1.2, linestyle=":")
    else:
        place, words = high, f"{words}, {'above' if level > high else 'below'} this frame"
    axes.annotate(words, (0, place), (0, 4), textcoords="offset points", color=SOFT, va="bottom")


def caption(report: Report) -> str:
    """What is shown and how it was measured."""
    labels = report.measured(Run("probe", "labels"), "mlp")
    level = ""
    if labels is not None:
        level = f"The same trunk trained with labels gives {labels.mean:.1f} % with the MLP. "
    cells = [cell for row in report.curve.values() for cell in row.values()]
    return (
        f"Accuracy on {report.data} of classifiers on the frozen trunk, by epochs of unsupervised "
        "training. Epoch 0 is the random row of Table 3, the last epoch NAT's row. "
        f"{level}{spread_of(cells, 'Means of {}; bands: ± one standard deviation.')}"
    )
