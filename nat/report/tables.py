"""Tables 3 and 4: every row of the paper's, its numbers beside those measured here."""

from collections.abc import Callable

from nat.report import paper
from nat.report.artifacts import Artifacts
from nat.report.names import LAYERS, METHODS, READINGS
from nat.report.table import Cell, Column, Measured, Missing, Quoted, Row, Table

NONE = "–"  # noqa: RUF001 - a dash, as the paper has it
ADDED = "a row that the paper's table does not have"


def table_3(artifacts: Artifacts) -> Table:
    """Classification on a frozen trunk; "Labels" is a row that the paper's table does not have."""
    measured = {m: tuple(artifacts.probe(m, r) for r in READINGS) for m in METHODS}
    data = measured["nat"][0].data
    columns = [Column(name, f"{data}, measured", data) for name in READINGS.values()]
    first, *others = paper.TABLE_3
    return side_by_side(
        "Table 3",
        "Accuracy in percent of classifiers on frozen features. The MLP is the paper's classifier; "
        f"linear and kNN are added. {key(artifacts.seeds)}",
        (Column("Acc@1", "ImageNet (paper)"), *columns),
        [first, paper.Row("labels", "Labels", (None,), ADDED), *others],
        lambda method: measured.get(method, _not_run(len(READINGS))),
        {"random": "measured: this trunk, untrained, with its own random weights"},
    )


def table_4(artifacts: Artifacts) -> Table:
    """VOC classification and detection; "Random" is a row that the paper's table does not have."""
    measured: dict[str, tuple[Cell, ...]] = {}
    data = artifacts.voc("nat", "all").data
    detected = artifacts.detection("nat")
    for method in METHODS:
        both = tuple(artifacts.voc(method, layers) for layers in LAYERS)
        measured[method] = (*both, artifacts.detection(method) or Missing("not measured yet"))
    names = ("classification fc6-8", "classification all", "detection all")
    sets = (data, data, detected.data if detected else data)
    trunk = artifacts.trainings["nat"][0].data
    return side_by_side(
        "Table 4",
        "Mean average precision in percent, by the layers trained: fc6-8 (convolutions frozen) or "
        f"all. Trunks measured here were trained on {trunk}, the paper's on ImageNet. "
        f"{key(artifacts.seeds)}",
        (
            *(Column(name, "VOC 2007 (paper)") for name in names),
            *(Column(name, f"{d}, measured", d) for name, d in zip(names, sets, strict=True)),
        ),
        [paper.Row("random", "Random", (None,) * len(names), ADDED), *paper.TABLE_4],
        lambda method: measured.get(method, _not_run(len(names))),
        {"labels": f"measured: a trunk trained with the labels of {trunk}"},
    )


def side_by_side(
    title: str,
    caption: str,
    columns: tuple[Column, ...],
    rows: list[paper.Row],
    measure: Callable[[str], tuple[Cell, ...]],
    remarks: dict[str, str] | None = None,
    corner: str = "Method",
) -> Table:
    """The paper's rows with what was measured for each.

    Args:
        title: such as "Table 3".
        caption: sentences.
        columns: the paper's, then the measured ones.
        rows: in the order of the table.
        measure: from a row's key to its measured cells.
        remarks: from a row's key to a note on what was measured.
        corner: what stands above the names of the rows.
    """
    notes: list[str] = []
    made = []
    for row in rows:
        quoted = tuple(Missing(NONE) if text is None else Quoted(text) for text in row.numbers)
        marks = []
        for note in filter(None, (row.note, (remarks or {}).get(row.key, ""))):
            if note not in notes:
                notes.append(note)
            marks.append(notes.index(note) + 1)
        made.append(Row(row.name, quoted + measure(row.key), tuple(marks)))
    return Table(title, caption, corner, columns, tuple(made), tuple(notes))


def not_run(table: Table) -> list[str]:
    """Names of the rows without any measured number."""
    return [
        row.name for row in table.rows if not any(isinstance(cell, Measured) for cell in row.cells)
    ]


def _not_run(columns: int) -> tuple[Cell, ...]:
    return (Missing("not run"),) * columns


def key(seeds: tuple[int, ...]) -> str:
    """How a table tells its two kinds of numbers apart."""
    n = len(seeds)
    spread = f"mean ± standard deviation over {n} seeds" if n > 1 else "one seed"
    return f"Italics: quoted from the paper. Measured: {spread}."
