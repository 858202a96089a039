"""Makes the whole report: tables, figures, numbers and both pages, from results/ alone.

Cheap: it reads small files. Nothing is written before everything is made, each file is written
whole, and other files in the reports' folder stay as they are.
"""

from pathlib import Path

from nat.report import page
from nat.report.content import content, left_out
from nat.report.formats import comma_separated, latex
from nat.report.frame import Report
from nat.report.numbers import FILES, summary_lines
from nat.report.settings import Settings
from nat.report.tables import TABLES
from nat.runtime.io.files import atomic_write, check_output
from nat.runtime.io.outputs import FILE_OF_OURS, NOTHING, beginning

KEY = "index.html"


def write_report(
    settings: Settings, results: Path, out: Path, store: str | None = None
) -> list[str]:
    """Write README.md, index.html, and the tables, figures and numbers that they show.

    Args:
        settings: all of params.yaml, as plain values: methods, ablations and profile are used, and
            the others to tell which results count.
        results: the folder of the stages' results.
        out: the reports' folder.
        store: the image store in use; None: the one of most results.

    Returns:
        Lines to print: accuracies and mean average precisions, and where to read on.

    Raises:
        UserError: a result is foreign or damaged, none counts, or ``out`` cannot be written.
    """
    check_output(out / KEY, beginning("a page that `nat report` wrote", page.head().encode()))
    report = Report(settings, results, store)
    write_files(files(report), out, KEY)
    where = f"Tables, figures and what held: {out / 'README.md'}, {out / KEY}"
    return [*summary_lines(report), *left_out(report), where]


def files(report: Report) -> dict[str, bytes]:
    """Every file's bytes by its name in reports/; the same results give the same bytes."""
    tables = [make(report) for make in TABLES]
    texts = {name: make(report) for name, make in FILES.items()}
    for table in tables:
        for ending, form in (("md", page.markdown), ("csv", comma_separated), ("tex", latex)):
            texts[f"tables/{table.stem}.{ending}"] = form(table)
    # after everything that may be refused: Matplotlib takes a second to import
    from nat.report.figures import draw_all

    made: dict[str, bytes] = {}
    images = []
    for image, png in draw_all(report):
        images.append(image)
        made |= {f"figures/{image.stem}.png": png, f"figures/{image.stem}.svg": image.svg}
    texts |= page.render(list(content(report, tables, images)))
    return {name: text.encode() for name, text in texts.items()} | made


def write_files(files: dict[str, bytes], out: Path, key: str) -> None:
    """Write each file whole, the first of them ``key``.

    Beside a ``key`` the other files are those of the same command, and are replaced.

    Raises:
        UserError: one of the files is there without ``key``.
    """
    kind = FILE_OF_OURS if (out / key).exists() else NOTHING
    # those that are there first, so that no folder is made if one is refused
    for name in sorted(files, key=lambda name: not (out / name).exists()):
        check_output(out / name, kind)
    for name, data in sorted(files.items(), key=lambda file: file[0] != key):
        with atomic_write(out / name, FILE_OF_OURS) as temporary:
            temporary.write_bytes(data)
