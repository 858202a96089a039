"""The stage ``tabulate``: from the other stages' files to everything in reports/."""

from pathlib import Path

from nat.files import check_writable, whole
from nat.params import Params
from nat.report.artifacts import Artifacts, read_artifacts
from nat.report.figures import DRAWINGS
from nat.report.figures.style import look, render
from nat.report.formats import comma_separated, latex, markdown
from nat.report.metrics import evolution, metrics
from nat.report.page import page
from nat.report.tables import table_3, table_4


def tabulate(params: Params, artifacts: Path, out: Path) -> None:
    """Write tables, figures, metrics and page.

    Nothing is written before everything is made, and each file is written whole; other files in
    ``out`` stay as they are.

    Args:
        params: seeds and profile are used.
        artifacts: the folder of the stages' files (see report/artifacts.py).
        out: the reports' folder.

    Raises:
        UserError: a file is missing or damaged, or ``out`` cannot be written.
    """
    check_writable(out / "README.md")
    files = reports(read_artifacts(artifacts, params.seeds), params.profile)
    for name, content in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        with whole(out / name) as temporary:
            temporary.write_bytes(content)


def reports(artifacts: Artifacts, profile: str) -> dict[str, bytes]:
    """Every file's bytes by its name in reports/; the same artifacts give the same bytes."""
    tables = {"table3": table_3(artifacts), "table4": table_4(artifacts)}
    texts = {"metrics.json": metrics(artifacts), "evolution.csv": evolution(artifacts)}
    for stem, table in tables.items():
        texts[f"{stem}.md"] = markdown(table)
        texts[f"{stem}.csv"] = comma_separated(table)
        texts[f"{stem}.tex"] = latex(table, f"tab:nat-{stem}")
    texts["README.md"] = page(artifacts, tables, profile)
    files = {name: text.encode() for name, text in texts.items()}
    with look():
        for drawing in DRAWINGS:
            for ending, content in render(drawing.draw(artifacts)).items():
                files[f"figures/{drawing.stem}.{ending}"] = content
    return files
