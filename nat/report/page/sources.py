"""Where each number comes from: its files, side by side over the seeds."""

import re
from collections.abc import Iterator
from typing import Any

from nat.report.page.facts import hardware, versions
from nat.report.record import OF_CLASS, Record

NONE = "–"  # noqa: RUF001 - a dash for "none"


def anchor(records: tuple[Record, ...], key: str = "") -> str:
    """The name of a group of records in links, or of one of its numbers."""
    return _slug(f"{records[0].file}.{key}" if key else records[0].file)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-").lower()


def files(records: tuple[Record, ...]) -> str:
    """The files' names in one, as a shell would write them: ``probe/nat-{0,1}.json``."""
    parts = zip(*(re.split(r"(\d+)", record.file) for record in records), strict=True)
    return "".join(part[0] if len(set(part)) == 1 else f"{{{','.join(part)}}}" for part in parts)


def shown_numbers(records: tuple[Record, ...]) -> str:
    """The records' own numbers, as short as they can be traced by."""
    found = [
        f"{key}: {', '.join(values)}" for key, values in numbers(records) if OF_CLASS not in key
    ]
    return "; ".join(found) or NONE


def figure(value: Any) -> str:
    """A number with up to six digits; a dash for none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return NONE if value is None else str(value)
    return f"{value:.6g}"


def numbers(records: tuple[Record, ...]) -> Iterator[tuple[str, list[str]]]:
    """Every number's key, and its value in each record."""
    found = [dict(record.numbers()) for record in records]
    for key in found[0]:
        yield key, [figure(each.get(key)) for each in found]


def provenance(records: tuple[Record, ...]) -> Iterator[tuple[str, list[str]]]:
    """Every circumstance but file, seed and parameters, and what it was for each record."""
    where = [record.provenance for record in records]
    yield "data", [record.data for record in records]
    yield "commit", [p["commit"] for p in where]
    yield "seconds", [figure(p["seconds"]) for p in where]
    yield "hardware", [hardware(p) for p in where]
    yield "versions", [versions(p) for p in where]


def parameters(records: tuple[Record, ...]) -> Iterator[tuple[str, list[str]]]:
    """Every parameter's dotted name, and its value in each record."""
    found = [dict(_flat(record.provenance["parameters"])) for record in records]
    for name in found[0]:
        yield name, [each.get(name, NONE) for each in found]


def _flat(content: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, NONE if content is None else str(content)
