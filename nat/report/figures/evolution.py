"""Figure 2, left: how the features' quality evolves while they learn to predict noise."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nat.report.figures.style import PROBE, SOFT, apart, spread_of, whole_epochs
from nat.report.frame import Report
from nat.report.names import PROBES


def draw(report: Report) -> Figure:
    """Accuracy by epoch of the three probes; a band of ± one standard deviation over seeds."""
    curve = report.curve
    epochs = list(curve)
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    ends = {}
    for probe, (colour, marker, line) in PROBE.items():
        cells = [curve[epoch][probe] for epoch in epochs]
        means = [cell.mean for cell in cells]
        axes.plot(epochs, means, color=colour, marker=marker, linestyle=line)
        if any(cell.deviation for cell in cells):
            spread = [cell.deviation or 0.0 for cell in cells]
            axes.fill_between(
                epochs,
                [mean - s for mean, s in zip(means, spread, strict=True)],
                [mean + s for mean, s in zip(means, spread, strict=True)],
                color=colour,
                alpha=0.18,
                linewidth=0,
            )
        ends[probe] = means[-1]
    axes.margins(y=0.1)
    low, high = axes.get_ylim()
    labels = report.probe("labels", "mlp")
    if labels is not None:
        _level(axes, f"trained with labels, MLP: {labels.mean:.1f} %", labels.mean)
    heights = apart(list(ends.values()), 0.055 * (high - low))
    for probe, height in zip(ends, heights, strict=True):
        axes.annotate(
            f"{PROBES[probe]} {ends[probe]:.1f} %",
            (epochs[-1], height),
            (10, 0),
            textcoords="offset points",
            color=PROBE[probe][0],
            va="center",
            weight="bold",
            annotation_clip=False,
        )
    whole_epochs(axes, epochs[-1])
    axes.set_xlim(-0.02 * epochs[-1], 1.02 * epochs[-1])
    axes.set_ylabel(f"accuracy on {report.data}, %")
    axes.set_xlabel("epochs of unsupervised training (0: random weights)")
    return figure


def _level(axes: Axes, words: str, level: float) -> None:
    """A dotted line, or, where it would squeeze the curves, its number alone."""
    low, high = axes.get_ylim()
    if low <= level <= high + (high - low) / 2:
        axes.axhline(level, color=SOFT, linewidth=1.2, linestyle=":")
        place, text = (0, level), words
    else:
        place, text = (0, high), f"{words}, {'above' if level > high else 'below'} this frame"
    axes.annotate(text, place, (0, 4), textcoords="offset points", color=SOFT, va="bottom")


def caption(report: Report) -> str:
    """What is shown and how it was measured."""
    labels = report.probe("labels", "mlp")
    level = ""
    if labels is not None:
        level = f"The same trunk trained with labels gives {labels.mean:.1f} % with the MLP. "
    cells = [cell for row in report.curve.values() for cell in row.values()]
    return (
        f"Accuracy on {report.data} of classifiers on the frozen trunk, by epochs of unsupervised "
        "training. Epoch 0 is the random row of Table 3, the last epoch NAT's row. "
        f"{level}{spread_of(cells, 'Means of {}; bands: ± one standard deviation.')}"
    )
