"""Makes the whole report: tables, figures, numbers and both pages, from results/ alone.

Cheap: it reads small files. Nothing is written before everything is made, each file is written
whole, and other files in the reports' folder stay as they are.
"""

from pathlib import Path

from nat.report import page
from nat.report.against import statements
from nat.report.claims import claims
from nat.report.facts import left_out
from nat.report.frame import Report
from nat.report.numbers import FILES, summary_lines
from nat.report.settings import Settings
from nat.report.table import comma_separated, latex
from nat.report.tables import tables, what_helped
from nat.runtime.io.files import atomic_write, check_output
from nat.runtime.io.outputs import FILE_OF_OURS, NOTHING, beginning

KEY = "index.html"


def write_report(settings: Settings, results: Path, out: Path) -> list[str]:
    """Write the pages, and the tables, figures and numbers that they show; return lines to print.

    Args:
        settings: all of params.yaml, as plain values.
        results: the folder of the stages' results, with one for each profile.
        out: the reports' folder. If it has a page of ours, the files beside it are replaced.

    Raises:
        UserError: a result is foreign or damaged, none counts, or ``out`` cannot be written.
    """
    heads = [head.encode() for head in page.heads()]
    key = check_output(out / KEY, beginning("a page that `nat report` wrote", *heads))
    report = Report.of_all(settings, results)
    made = files(report)
    kind = FILE_OF_OURS if key.exists() else NOTHING
    # those that are there first, so that no folder is made if one is refused
    for name in sorted(made, key=lambda name: not (out / name).exists()):
        check_output(out / name, kind)
    for name, data in made.items():
        with atomic_write(out / name, FILE_OF_OURS) as temporary:
            temporary.write_bytes(data)
    where = f"Tables, figures and what held: {out / 'README.md'}, {out / KEY}"
    return [*summary_lines(report), *filter(None, [left_out(report)]), where]


def files(report: Report) -> dict[str, bytes]:
    """Every file's bytes by its name, the page first; the same results give the same bytes."""
    made = tables(report)
    texts = {name: make(report) for name, make in FILES.items()}
    for stem, table in made.items():
        for ending, form in (("md", page.markdown), ("csv", comma_separated), ("tex", latex)):
            texts[f"tables/{stem}.{ending}"] = form(table)
    # after everything that may be refused: Matplotlib takes a second to import
    from nat.report.figures import draw_all

    images = draw_all(report)
    told = {each.profile: [*claims(each), *statements(each)] for each in report.all}
    shown = {"told": told, "tables": made, "helped": what_helped(made["targets"])}
    texts = page.render(report, images=images, **shown) | texts
    drawn = {
        f"figures/{stem}.{kind}": image[kind]
        for stem, image in images.items()
        for kind in ("png", "svg")
    }
    return {name: text.encode() for name, text in texts.items()} | drawn
