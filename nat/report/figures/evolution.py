"""Figure 2, left: how the features' quality evolves while they learn to predict noise."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nat.report.artifacts import Artifacts
from nat.report.figures.style import READING, SOFT, apart, whole_epochs
from nat.report.names import READINGS


def draw(artifacts: Artifacts) -> Figure:
    """Accuracy by epoch of the three readings; a band of ± one standard deviation over seeds."""
    curve = artifacts.curve()
    epochs = list(curve)
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    ends = {}
    for reading, (colour, marker, line) in READING.items():
        cells = [curve[epoch][reading] for epoch in epochs]
        means = [cell.mean for cell in cells]
        axes.plot(epochs, means, color=colour, marker=marker, linestyle=line)
        if len(artifacts.seeds) > 1:
            spread = [cell.deviation or 0.0 for cell in cells]
            axes.fill_between(
                epochs,
                [mean - s for mean, s in zip(means, spread, strict=True)],
                [mean + s for mean, s in zip(means, spread, strict=True)],
                color=colour,
                alpha=0.18,
                linewidth=0,
            )
        ends[reading] = means[-1]
    axes.margins(y=0.1)
    low, high = axes.get_ylim()
    _level(axes, f"trained with labels, MLP: {(top := with_labels(artifacts)):.1f} %", top)
    heights = apart(list(ends.values()), 0.055 * (high - low))
    for reading, height in zip(ends, heights, strict=True):
        axes.annotate(
            f"{READINGS[reading]} {ends[reading]:.1f} %",
            (epochs[-1], height),
            (10, 0),
            textcoords="offset points",
            color=READING[reading][0],
            va="center",
            weight="bold",
            annotation_clip=False,
        )
    whole_epochs(axes, epochs[-1])
    axes.set_xlim(-0.02 * epochs[-1], 1.02 * epochs[-1])
    axes.set_ylabel(f"accuracy on {artifacts.probe('nat', 'mlp').data}, %")
    axes.set_xlabel("epochs of unsupervised training (0: random weights)")
    return figure


def with_labels(artifacts: Artifacts) -> float:
    """The level to compare with: MLP accuracy in percent of the trunk trained with labels."""
    return artifacts.probe("labels", "mlp").mean


def _level(axes: Axes, words: str, level: float) -> None:
    """A dotted line, or, where it would squeeze the curves, its number alone."""
    low, high = axes.get_ylim()
    if low <= level <= high + (high - low) / 2:
        axes.axhline(level, color=SOFT, linewidth=1.2, linestyle=":")
        place, text = (0, level), words
    else:
        place, text = (0, high), f"{words}, {'above' if level > high else 'below'} this frame"
    axes.annotate(text, place, (0, 4), textcoords="offset points", color=SOFT, va="bottom")


def caption(artifacts: Artifacts) -> str:
    """What is shown and how it was measured."""
    n = len(artifacts.seeds)
    spread = f" Means of {n} seeds; bands: ± one standard deviation." if n > 1 else " One seed."
    return (
        f"Accuracy on {artifacts.probe('nat', 'mlp').data} of classifiers on the frozen trunk, by "
        "epochs of unsupervised training. Epoch 0 is the random row of Table 3, the last epoch "
        "NAT's row. The same trunk trained with labels, read by the MLP, gives "
        f"{with_labels(artifacts):.1f} %."
        f"{spread}"
    )
