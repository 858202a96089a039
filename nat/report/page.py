"""The page in two renderings, each a template over the same blocks: README.md and index.html."""

import base64
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nat.report.blocks import Image
from nat.report.content import content, left_out
from nat.report.formats import comma_separated, escape_markdown, latex, raised, spans
from nat.report.frame import Report, anchor
from nat.report.names import label
from nat.report.table import Table

__all__ = ["head", "left_out", "markdown", "render"]
TEMPLATES = Path(__file__).parent / "templates"
PAGES = ("README.md", "index.html")


def head() -> str:
    """How index.html begins, by which it is recognised."""
    text = (TEMPLATES / "index.html.j2").read_text(encoding="utf-8")
    return text.partition("</title>")[0]


def render(report: Report, tables: list[Table], images: list[Image]) -> dict[str, str]:
    """Both pages by name; the same results give the same text."""
    blocks = list(content(report, tables, images))
    environment = _environment()
    pages = {name: environment.get_template(f"{name}.j2").render(blocks=blocks) for name in PAGES}
    return pages | {"README.md": _spaced(pages["README.md"])}


def markdown(table: Table) -> str:
    """A pipe table, its caption above and its notes below."""
    return _spaced(_environment().get_template("table.md.j2").render(table=table))


def _spaced(text: str) -> str:
    """Markdown with one empty line between its parts."""
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=lambda name: name is not None and name.startswith("index.html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "md": escape_markdown,
        "pipes": _pipes,
        "raised": raised,
        "spans": spans,
        "csv": comma_separated,
        "latex": latex,
        "inlined": _inlined,
        "anchor": _anchor,
        "label": label,
    }
    environment.globals |= {
        name: (TEMPLATES / f"{name.replace('_', '.')}").read_text(encoding="utf-8")
        for name in ("style_css", "script_js")
    }
    return environment


def _pipes(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _anchor(run: tuple[Any, ...]) -> str:
    return anchor(*run)


def _inlined(content: str | bytes, kind: str) -> str:
    data = content.encode() if isinstance(content, str) else content
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
