"""The stages ``tabulate`` and ``tabulate-ablations``: tables, figures and metrics of the reports.

Cheap: they read small files alone. Nothing is written before everything is made, each file is
written whole, and other files in the reports' folder stay as they are.
"""

from collections.abc import Sequence
from pathlib import Path

from nat.report.ablation_tables import TABLES, by_period, tidy
from nat.report.ablations import Ablations, read_ablations
from nat.report.artifacts import Artifacts, read_artifacts
from nat.report.figures import DRAWINGS, OF_ABLATIONS, OF_DETECTION, Drawing, Shown
from nat.report.figures.style import look, render
from nat.report.formats import comma_separated, latex, markdown
from nat.report.metrics import evolution, metrics, training
from nat.report.table import Table
from nat.report.tables import table_3, table_4
from nat.runtime.io.files import check_output, whole
from nat.runtime.io.outputs import FILE_OF_OURS, Kind, beginning, json_with
from nat.runtime.settings.params import Params

KEY, KEY_OF_ABLATIONS = "metrics.json", "ablations.csv"
METRICS = json_with("metrics that `nat tabulate` wrote", "random_mlp")
NUMBERS = beginning("numbers that `nat tabulate-ablations` wrote", b"factor,value,mlp,")


def tabulate(params: Params, artifacts: Path, out: Path) -> None:
    """Write Tables 3 and 4, the spine's figures and metrics.

    Args:
        params: seeds are used.
        artifacts: the folder of the stages' files (see report/artifacts.py).
        out: the reports' folder.

    Raises:
        UserError: a file is missing or damaged, or ``out`` cannot be written.
    """
    check_output(out / KEY, METRICS)
    write_files(reports(read_artifacts(artifacts, params.seeds)), out, KEY)


def tabulate_ablations(params: Params, artifacts: Path, out: Path) -> None:
    """Write the tables and figures of section 4.1.

    Args:
        params: seeds and ablations are used.
        artifacts: the folder of the stages' files (see report/ablations.py).
        out: a folder of its own in the reports' folder.

    Raises:
        UserError: a file is missing or damaged, or ``out`` cannot be written.
    """
    check_output(out / KEY_OF_ABLATIONS, NUMBERS)
    found = read_ablations(artifacts, params.seeds, params.ablations)
    write_files(reports_of_ablations(found), out, KEY_OF_ABLATIONS)


def reports(artifacts: Artifacts) -> dict[str, bytes]:
    """Every file's bytes by its name in reports/; the same artifacts give the same bytes."""
    tables = {"table3": table_3(artifacts), "table4": table_4(artifacts)}
    texts = {
        "metrics.json": metrics(artifacts),
        "evolution.csv": evolution(artifacts),
        "training.csv": training(artifacts),
    }
    drawings = (*DRAWINGS, *(OF_DETECTION if artifacts.detected else ()))
    return _files(texts, tables) | _figures(drawings, artifacts, "figures/")


def reports_of_ablations(ablations: Ablations) -> dict[str, bytes]:
    """Every file's bytes by its name in reports/ablations/; the same artifacts, the same bytes."""
    tables = {stem: make(ablations) for stem, make in TABLES.items()}
    texts = {"ablations.csv": tidy(ablations), "by_period.csv": by_period(ablations)}
    return _files(texts, tables) | _figures(OF_ABLATIONS, ablations, "")


def write_files(files: dict[str, bytes], out: Path, key: str) -> None:
    """Write each file whole, the first of them ``key``.

    Beside a ``key`` the other files are those of the same command, and are replaced.

    Raises:
        UserError: one of the files is there without ``key``.
    """
    kind = FILE_OF_OURS if (out / key).exists() else Kind(f"known: no {key} is beside it", _nobodys)
    for name in files:
        check_output(out / name, kind)
    for name, content in sorted(files.items(), key=lambda file: file[0] != key):
        with whole(out / name, FILE_OF_OURS) as temporary:
            temporary.write_bytes(content)


def _nobodys(_: Path) -> bool:
    return False


def _files(texts: dict[str, str], tables: dict[str, Table]) -> dict[str, bytes]:
    for stem, table in tables.items():
        texts[f"{stem}.md"] = markdown(table)
        texts[f"{stem}.csv"] = comma_separated(table)
        texts[f"{stem}.tex"] = latex(table, f"tab:nat-{stem}")
    return {name: text.encode() for name, text in texts.items()}


def _figures(drawings: Sequence[Drawing[Shown]], shown: Shown, folder: str) -> dict[str, bytes]:
    files = {}
    with look():
        for drawing in drawings:
            figure = drawing.draw(shown)
            for ending in ("png", "svg"):
                files[f"{folder}{drawing.stem}.{ending}"] = render(figure, ending)
    return files
