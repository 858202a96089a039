"""NAT against every other method: the differences, and whether they are as the paper's numbers.

Which of two methods is better in the paper follows from its Tables 3 and 4, so each row that is
measured here makes a statement, by the sign of each of its numbers. Random and labels have
statements of their own (claims.py); of methods that the paper has no number of it says nothing.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from nat.report import page, paper
from nat.report.claims import Claim, Pair, paired, verdict
from nat.report.frame import Report
from nat.report.names import TRANSFERS, cited
from nat.report.table import HERE, NONE, Cell, Missing, Table
from nat.runtime.settings.params import NAT

# columns, and the number and stage in each
COLUMNS = {"MLP": ("mlp", "probe")} | {task: ("map", stage) for stage, task in TRANSFERS.items()}
WITH_STATEMENTS = ("random", "labels")
# what is said, by the sign of the paper's difference, and the rule that it is judged by
SAID = {
    1: ("NAT's features are better than those of {}", "above"),
    0: ("those of {} are as good as NAT's", "alike"),
    -1: ("those of {} are better than NAT's", "above"),
}


def _pair(report: Report, method: str, column: str, sign: int = 1) -> Pair | None:
    """NAT's number and a method's, the other way round for a negative sign; None without both."""
    metric, stage = COLUMNS[column]
    more, less = (NAT, method) if sign >= 0 else (method, NAT)
    high, low = (report.measured(each, metric, stage) for each in (more, less))
    if high is None or low is None:
        return None
    return paired(report, (high, more, stage), (low, less, stage), column)


def _signs() -> dict[str, dict[str, int]]:
    """By method and column, which of the two is better in the paper: 1 for NAT, -1, or 0."""
    found: dict[str, dict[str, int]] = {}
    for title, columns in (("Table 3", [*COLUMNS][:1]), ("Table 4", [*COLUMNS][1:])):
        rows = {row.key: row.numbers for row in paper.TABLES[title]}
        for key, numbers in rows.items():
            for column, own, other in zip(columns, rows[NAT], numbers, strict=True):
                if other != "-" and key != NAT:
                    difference = float(own) - float(other)
                    sign = int(math.copysign(1, difference)) if difference else 0
                    found.setdefault(key, {})[column] = sign
    return found


def _named() -> dict[str, str]:
    """Names of the paper's rows, without a duplicate of Tables 3 and 4."""
    return {row.key: row.name for title in ("Table 4", "Table 3") for row in paper.TABLES[title]}


def statements(report: Report) -> Iterator[Claim]:
    """Of each row of Tables 3 and 4 that is measured here, what the paper's numbers say of it."""
    for method, signs in _signs().items():
        for sign, (text, rule) in SAID.items():
            columns = [column for column in signs if signs[column] == sign]
            pairs = {c: _pair(report, method, c, sign) for c in columns}
            known = {column: pair for column, pair in pairs.items() if pair is not None}
            if known and method not in WITH_STATEMENTS:
                parts = [t for t, own in (("3", "MLP" in known), ("4", {*known} - {"MLP"})) if own]
                source = "Tables 3 and 4" if len(parts) == 2 else f"Table {parts[0]}"
                told = list(known.values())
                named = text.format(_named()[method])
                yield Claim(named, source, False, told, verdict(told, rule))


def against(report: Report) -> Table | None:
    """Differences to every method, in points; None if NAT is measured beside none."""
    listed = [method for each in report.all for method in each.variants.methods]
    methods = dict.fromkeys([*_named(), *listed])
    columns = [
        (each, column)
        for each in report.all
        for column in COLUMNS
        if each is report or any(_pair(each, method, column) for method in methods if method != NAT)
    ]
    rows: dict[str, list[Cell]] = {}
    heads = [each.heads[column in TRANSFERS.values()] for each, column in columns]
    for method in methods:
        pairs = [_pair(each, method, column) for each, column in columns]
        if method != NAT and any(pairs):
            known = {} if method in WITH_STATEMENTS else _named()
            name = known.get(method) or cited(method)
            rows[name] = [
                replace(pair.difference, data=head) if pair else Missing(NONE)
                for pair, head in zip(pairs, heads, strict=True)
            ]
    names = [(head + HERE, column) for head, (_, column) in zip(heads, columns, strict=True)]
    frame = pd.DataFrame(
        [*rows.values()],
        index=pd.Index([*rows], name="NAT minus"),
        columns=pd.MultiIndex.from_tuples(names),
        dtype=object,
    )
    caption = page.caption("against", report=report)
    return (
        Table("against", "NAT against each", caption, frame, [], [()] * len(rows)) if rows else None
    )
