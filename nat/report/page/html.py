"""The page as one HTML file that needs nothing else: style, script, figures and files inlined."""

import base64
from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from pathlib import Path

from nat.report.formats import comma_separated, latex
from nat.report.page.blocks import (
    Block,
    Bullets,
    Grid,
    Paragraph,
    Picture,
    Pipeline,
    Section,
    Sources,
    Tabular,
)
from nat.report.page.drawing import draw_graph
from nat.report.page.facts import stages
from nat.report.page.html_sources import render_sources
from nat.report.page.sources import anchor
from nat.report.record import Record
from nat.report.table import Cell, Measured, Missing, Quoted, Table
from nat.report.verdict import HELD, NOT_HELD, OPEN
from nat.report.words import Break, Code, Link, Strong, Word, Words

NAME = "Noise As Targets"
CLASSES = {HELD: "held", NOT_HELD: "failed", OPEN: "open"}


def head(title: str) -> str:
    """How the page of this title begins, by which it is recognised."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)} - {NAME}</title>
"""


def render(title: str, blocks: Iterable[Block]) -> str:
    """The whole page."""
    blocks = list(blocks)
    style, script = (
        Path(__file__).with_name(name).read_text() for name in ("style.css", "script.js")
    )
    contents = "".join(
        f'<li><a href="#{block.anchor}">{escape(block.title)}</a></li>'
        for block in blocks
        if isinstance(block, Section)
    )
    return f"""{head(title)}<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the results</a>
<header>
<p>{NAME}</p>
<h1>{escape(title)}</h1>
</header>
<nav aria-label="Contents"><ol>{contents}</ol></nav>
<main id="content">
{chr(10).join(_sections(blocks))}
</main>
<dialog aria-label="Where this number comes from">
<form method="dialog"><button>Close</button></form>
<div></div>
</dialog>
<script>
{script}</script>
</body>
</html>
"""


def _sections(blocks: list[Block]) -> Iterator[str]:
    """Blocks, with each section's in an element of its own."""
    inside = False
    for block in blocks:
        if isinstance(block, Section):
            yield "</section>" if inside else ""
            yield f'<section aria-labelledby="{block.anchor}">'
            inside = True
        yield _block(block)
    yield "</section>" if inside else ""


def _block(block: Block) -> str:
    match block:
        case Section():
            return f'<h2 id="{block.anchor}">{escape(block.title)}</h2>'
        case Paragraph():
            return f"<p>{inline(block.words)}</p>"
        case Bullets():
            return f"<ul>{''.join(f'<li>{inline(item)}</li>' for item in block.items)}</ul>"
        case Grid():
            return _grid(block)
        case Tabular():
            return _tabular(block)
        case Picture():
            return _picture(block)
        case Pipeline():
            return _pipeline(block)
        case Sources():
            return render_sources(block.groups)


def inline(words: Words) -> str:
    """Words with HTML's marks; each measured number links to its sources."""
    return "".join(map(_word, words))


def _word(word: Word) -> str:
    match word:
        case str():
            return escape(word)
        case Break():
            return ";<br>"
        case Strong():
            kind = next((CLASSES[w] for w in word.words if isinstance(w, str) and w in CLASSES), "")
            mark = f' class="verdict {kind}"' if kind else ""
            return f"<strong{mark}>{inline(word.words)}</strong>"
        case Code():
            return f"<code>{escape(word.text)}</code>"
        case Link():
            return f'<a href="{escape(word.target)}">{escape(word.text)}</a>'
        case _:
            return _cell(word)


def _cell(cell: Cell) -> str:
    match cell:
        case Quoted():
            return f"<i>{escape(cell.text)}</i>"
        case Missing():
            return f'<span class="none">{escape(cell.why)}</span>'
        case Measured() if cell.records:
            return f'<a class="number" href="#{anchor(cell.records, cell.key)}">{cell}</a>'
        case _:
            return escape(str(cell))


def _scroll(name: str, content: str) -> str:
    """A box in which wide content scrolls; focusable, so that the keyboard can scroll it too."""
    label = escape(name)
    return f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">{content}</div>'


def _grid(grid: Grid) -> str:
    def mark(place: int) -> str:
        return ' class="end"' if place in grid.ends else ""

    head = "".join(f'<th scope="col"{mark(i)}>{escape(n)}</th>' for i, n in enumerate(grid.head))
    rows = "\n".join(
        f"<tr>{''.join(f'<td{mark(i)}>{inline(words)}</td>' for i, words in enumerate(row))}</tr>"
        for row in grid.rows
    )
    kind = "grid stack" if grid.stack else "grid"
    table = f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody>"
    return _scroll(", ".join(grid.head), f'<table class="{kind}">{table}</table>')


def _tabular(block: Tabular) -> str:
    table, name = block.table, block.path.replace("/", "-")
    groups = [(group, len(list(run))) for group, run in groupby(c.group for c in table.columns)]
    first = "".join(f'<th scope="colgroup" colspan="{n}">{escape(g)}</th>' for g, n in groups)
    second = "".join(f'<th scope="col" class="end">{_whole(c.name)}</th>' for c in table.columns)
    rows = "\n".join(_row(table, name, index) for index in range(len(table.rows)))
    notes = "".join(
        f'<li id="{name}-note-{i}">{escape(note)}</li>' for i, note in enumerate(table.notes, 1)
    )
    files = " and ".join(
        f'<a download="{Path(block.path).name}.{ending}" href="{_inlined(kind, text.encode())}">'
        f"{label}</a>"
        for ending, kind, label, text in (
            ("csv", "text/csv", "CSV", comma_separated(table)),
            ("tex", "text/x-tex", "LaTeX", latex(table, f"tab:nat-{name}")),
        )
    )
    drawn = (
        f'<table class="numbers"><thead><tr><td></td>{first}</tr>'
        f'<tr><th scope="col">{escape(table.corner)}</th>{second}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
    )
    notes = f'<ol class="notes">{notes}</ol>' if notes else ""
    return (
        f'<figure id="{name}"><figcaption><b>{escape(table.title)}.</b> {escape(table.caption)} '
        f"As {files}.</figcaption>{_scroll(table.title, drawn)}{notes}</figure>"
    )


def _whole(heading: str) -> str:
    """A heading that breaks between words alone, not within fc6-8."""
    return escape(heading).replace("-", "\u2011")


def _row(table: Table, name: str, index: int) -> str:
    row = table.rows[index]
    marks = ",".join(f'<a href="#{name}-note-{note}">{note}</a>' for note in row.notes)
    marks = f"<sup>{marks}</sup>" if marks else ""
    cells = "".join(f'<td class="end">{_cell(cell)}</td>' for cell in row.cells)
    return f'<tr><th scope="row">{escape(row.name)}{marks}</th>{cells}</tr>'


def _picture(block: Picture) -> str:
    image = f'<img src="{_inlined("image/svg+xml", block.svg)}" alt="{escape(block.alt)}">'
    links = "; ".join(_source(records) for records in block.sources)
    return (
        f'<figure class="picture"><div class="card" role="region" tabindex="0" '
        f'aria-label="{escape(block.title)}">{image}</div>'
        f"<figcaption><b>{escape(block.title)}.</b> {escape(block.caption)} "
        f'<span class="from">From {links}.</span></figcaption></figure>'
    )


def _source(records: tuple[Record, ...]) -> str:
    first = records[0]
    subject = f" of {escape(first.subject)}" if first.subject else ""
    return f'<a href="#{anchor(records)}"><code>{escape(first.stage)}</code>{subject}</a>'


def _pipeline(block: Pipeline) -> str:
    drawn, told = draw_graph(block.graph), _grid(stages(block.graph))
    files = dict.fromkeys(node.file for node in block.graph.nodes)
    items = "".join(
        f'<li class="file{i % 4}"><code>{escape(file)}</code></li>' for i, file in enumerate(files)
    )
    return (
        f"<p>{inline(block.caption)}</p>{_scroll('The pipeline', drawn)}"
        f'<ul class="legend">{items}</ul>'
        f"<details><summary>The stages in words</summary>{told}</details>"
    )


def _inlined(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
