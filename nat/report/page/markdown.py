"""The page as Markdown, with figures and tables in files beside it."""

from collections.abc import Iterable

from nat.report.formats import escape_markdown, markdown
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
from nat.report.page.facts import stages
from nat.report.page.sources import files, shown_numbers
from nat.report.table import Missing, Quoted
from nat.report.words import Break, Code, Link, Strong, Word, Words


def render(title: str, blocks: Iterable[Block]) -> str:
    """The whole page."""
    parts = [f"# {escape_markdown(title)}", *(_block(block) for block in blocks)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _block(block: Block) -> str:
    match block:
        case Section():
            return f"## {escape_markdown(block.title)}"
        case Paragraph():
            return inline(block.words)
        case Bullets():
            return "\n".join(f"- {inline(item)}" for item in block.items)
        case Grid():
            return _grid(block)
        case Tabular():
            files = f"As [CSV]({block.path}.csv) and [LaTeX]({block.path}.tex)."
            return f"{markdown(block.table)}\n{files}"
        case Picture():
            return (
                f"![{block.alt}]({block.path}.png)\n\n**{block.title}.** "
                f"{escape_markdown(block.caption)} ([SVG]({block.path}.svg))"
            )
        case Pipeline():
            return _grid(stages(block.graph))
        case Sources():
            return _sources(block)


def inline(words: Words) -> str:
    """Words with Markdown's marks."""
    return "".join(map(_word, words))


def _word(word: Word) -> str:
    match word:
        case str():
            return escape_markdown(word)
        case Break():
            return "; "
        case Strong():
            return f"**{inline(word.words)}**"
        case Code():
            return f"`{word.text}`"
        case Link():
            return f"[{escape_markdown(word.text)}]({word.target})"
        case Quoted():
            return f"*{escape_markdown(word.text)}*"
        case Missing():
            return escape_markdown(word.why)
        case _:
            return escape_markdown(str(word))


def _grid(grid: Grid) -> str:
    rules = ["---:" if place in grid.ends else "---" for place in range(len(grid.head))]
    rows = [list(map(inline, row)) for row in grid.rows]
    lines = [list(map(escape_markdown, grid.head)), rules, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _sources(block: Sources) -> str:
    rows: list[tuple[Words, ...]] = [
        (
            (Code(files(records)),),
            (records[0].subject,),
            (shown_numbers(records),),
            (", ".join(str(record.provenance["seed"]) for record in records),),
        )
        for records in block.groups
    ]
    other = "[index.html](index.html) is this page with each number's files one click away."
    return f"{_grid(Grid(('Files', 'Of', 'Numbers, by seed', 'Seeds'), tuple(rows)))}\n\n{other}"
