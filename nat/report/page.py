"""The page in two renderings, each a template over the same blocks: README.md and index.html."""

import base64
import re
from collections.abc import Iterable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nat.report.content import Block
from nat.report.formats import comma_separated, escape_markdown, latex, raised, spans
from nat.report.frame import anchor, subject
from nat.report.table import Table

TEMPLATES = Path(__file__).parent / "templates"
PAGES = ("README.md", "index.html")


def head() -> str:
    """How index.html begins, by which it is recognised."""
    return _text("index.html.j2").partition("</title>")[0]


def render(blocks: list[Block]) -> dict[str, str]:
    """Both pages by name; the same blocks give the same text."""
    environment = _environment()
    pages = {name: environment.get_template(f"{name}.j2").render(blocks=blocks) for name in PAGES}
    return pages | {"README.md": _spaced(pages["README.md"])}


def markdown(table: Table) -> str:
    """A pipe table, its caption above and its notes below."""
    words = _environment().get_template("words.md.j2")
    return _spaced(words.module.table(table))  # type: ignore[attr-defined]  # a macro


def _spaced(text: str) -> str:
    """Markdown with one empty line between its parts."""
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


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
    }
    environment.filters |= {"csv": comma_separated, "latex": latex, "inlined": _inlined}
    environment.filters |= {"anchor": anchor, "subject": subject}
    environment.globals |= {"style": _text("style.css"), "script": _text("script.js")}
    return environment


def _pipes(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _inlined(content: str | bytes, kind: str) -> str:
    data = content.encode() if isinstance(content, str) else content
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
