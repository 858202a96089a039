"""The HTML page's last section: a folded entry for each group of files with their numbers."""

from collections.abc import Iterable, Iterator
from html import escape

from nat.report.page.sources import anchor, numbers, parameters, provenance
from nat.report.record import OF_CLASS, Record


def render_sources(groups: Iterable[tuple[Record, ...]]) -> str:
    """Every group of records; a number's row is a link's target."""
    return "\n".join(map(_group, groups))


def _group(records: tuple[Record, ...]) -> str:
    first = records[0]
    subject = f" {escape(first.subject)}" if first.subject else ""
    own: list[tuple[str, list[str]]] = []
    of_classes: list[tuple[str, list[str]]] = []
    for key, values in numbers(records):
        (of_classes if OF_CLASS in key else own).append((key, values))
    named = [
        ("file", [record.file for record in records]),
        ("seed", [str(record.provenance["seed"]) for record in records]),
    ]
    body = "\n".join(
        [
            *(_row(*row) for row in named),
            *(_row(key, values, f' id="{anchor(records, key)}"') for key, values in own),
            *(_row(*row) for row in provenance(records)),
        ]
    )
    parts = [_table(body, "numbers and circumstances", records)]
    for name, rows in (
        ("By class", of_classes),
        ("Parameters", list(parameters(records))),
    ):
        if rows:
            folded = _table("\n".join(_row(*row) for row in rows), name.lower(), records)
            parts.append(f"<details><summary>{name} ({len(rows)})</summary>{folded}</details>")
    return (
        f'<details class="source" id="{anchor(records)}"><summary><code>{escape(first.stage)}'
        f"</code>{subject}</summary>{''.join(parts)}</details>"
    )


def _table(body: str, name: str, records: tuple[Record, ...]) -> str:
    label = escape(f"{records[0].stage} {records[0].subject}: {name}")
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{label}">'
        f'<table class="source"><tbody>{body}</tbody></table></div>'
    )


def _row(key: str, values: list[str], name: str = "") -> str:
    return f'<tr{name}><th scope="row">{escape(key)}</th>{"".join(_cells(values))}</tr>'


def _cells(values: list[str]) -> Iterator[str]:
    """A cell for each record, or one across where they do not differ."""
    if len(values) > 1 and len(set(values)) == 1:
        yield f'<td colspan="{len(values)}">{escape(values[0])}</td>'
        return
    for value in values:
        yield f"<td>{escape(value)}</td>"
