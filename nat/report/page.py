"""What people read, from the templates: captions, and the page as README.md and index.html.

All words of the page are in page.j2; md.j2 and html.j2 have the parts that it is made of. Text is
escaped for its format where it is put out, and cells of tables are marked as what they are.
"""

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nat.report import facts, paper, table
from nat.report.claims import SMALL
from nat.report.frame import Report, anchor, subject
from nat.report.names import data_name, label, pace

TEMPLATES = Path(__file__).parent / "templates"
FORMER_TITLE = "Results - Noise As Targets"


def heads() -> tuple[str, str]:
    """How index.html begins, by which it is recognised, and how it began in earlier versions."""
    head = _text("index.html.j2").partition("</title>")[0]
    return head, f"{head.partition('<title>')[0]}<title>{FORMER_TITLE}"


def caption(stem: str, **shown: Any) -> str:
    """The caption of a table or figure, which captions.j2 has under the name of its files."""
    template = _environment(str).get_template("captions.j2")
    text = template.blocks[stem](template.new_context(shown))
    return " ".join("".join(text).split())


def render(report: Report, **shown: Any) -> dict[str, str]:
    """Both pages by name; the same results give the same text.

    ``shown`` are the claims by profile, the tables and images by their names, and what helped.
    """
    known = {"report": report, "facts": facts, "left_out": facts.left_out(report), **shown}
    readme = _environment(_in_markdown).get_template("README.md.j2")
    html = _environment(_in_html).get_template("index.html.j2")
    more = {"style": _text("style.css"), "script": _text("script.js"), "sections": []}
    return {"index.html": html.render(known | more), "README.md": _spaced(readme.render(known))}


def markdown(shown: table.Table) -> str:
    """A pipe table, its caption above and its notes below."""
    parts: Any = _environment(_in_markdown).get_template("md.j2").module
    return _spaced(parts.numbers(shown))


def _in_markdown(value: Any) -> Any:
    if isinstance(value, Markup):
        return value
    text = table.escape_markdown(str(value))
    return Markup(f"*{text}*" if isinstance(value, table.Quoted) else text)


def _in_html(value: Any) -> Any:
    if isinstance(value, table.Quoted):
        return Markup("<i>{}</i>").format(value)
    if isinstance(value, table.Missing):
        return Markup('<span class="none">{}</span>').format(value)
    if isinstance(value, table.Measured):
        return Markup('<a class="number" href="#{}">{}</a>').format(value.anchor, str(value))
    return value


def _environment(put_out: Callable[[Any], Any]) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=put_out is not str,
        finalize=put_out,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    named = (anchor, data_name, label, pace, subject, table.latex, table.raised, table.spans)
    environment.filters |= {function.__name__: function for function in named} | {
        "csv": table.comma_separated,
        "flow": lambda text: Markup(" ".join(text.split())),  # however a template breaks it
        "inlined": _inlined,
        "minutes": lambda seconds: f"{seconds / 60:.1f}" if seconds >= 3 else "< 0.1",
        "span": lambda numbers: f"{numbers.min():.2f} to {numbers.max():.2f}",
    }
    known = {"count": table.count, "paper": paper.TEXT, "several": table.several, "small": SMALL}
    environment.globals |= known
    return environment


def _spaced(text: str) -> str:
    """Markdown with one empty line between its parts."""
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _text(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _inlined(content: str | bytes, kind: str) -> str:
    data = content.encode() if isinstance(content, str) else content
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
