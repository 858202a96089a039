"""The stage ``page``: everything measured, told on one page in two renderings."""

from pathlib import Path

from nat.report.ablations import Ablations, read_ablations
from nat.report.artifacts import Artifacts, read_artifacts
from nat.report.page import html, markdown
from nat.report.page.content import TITLE, content
from nat.report.page.graph import Graph, read_graph
from nat.report.tabulate import write_files
from nat.runtime.io.files import check_output
from nat.runtime.io.outputs import beginning
from nat.runtime.settings.params import Params

KEY = "index.html"
PAGE = beginning("a page that `nat page` wrote", html.head(TITLE).encode())


def write_page(params: Params, artifacts: Path, pipeline: Path, out: Path) -> None:
    """Write README.md and index.html.

    README.md shows the figures that ``tabulate`` and ``tabulate-ablations`` write beside it;
    index.html holds its own.

    Args:
        params: seeds, ablations and profile are used, and all to read the pipeline.
        artifacts: the folder of the stages' files.
        pipeline: the folder of dvc.yaml.
        out: the reports' folder.

    Raises:
        UserError: a file is missing or damaged, or ``out`` cannot be written.
    """
    check_output(out / KEY, PAGE)
    files = pages(
        read_artifacts(artifacts, params.seeds),
        read_ablations(artifacts, params.seeds, params.ablations),
        read_graph(pipeline, params.model_dump()),
        params.profile,
    )
    write_files(files, out, KEY)


def pages(
    artifacts: Artifacts, ablations: Ablations, graph: Graph, profile: str
) -> dict[str, bytes]:
    """Both renderings by their names in reports/; the same artifacts give the same bytes."""
    blocks = list(content(artifacts, ablations, graph, profile))
    return {
        "README.md": markdown.render(TITLE, blocks).encode(),
        "index.html": html.render(TITLE, blocks).encode(),
    }
