"""The page's plain facts: settings, time, hardware, and where each number comes from."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from nat.report.frame import Report
from nat.report.names import TARGETS, data_name, label
from nat.report.results import OF_CLASS, Result
from nat.report.table import NONE


def settings(report: Report) -> dict[str, str]:
    """Data, method and training of NAT's own run; what is not known is left out."""
    used = report.used
    shown = report.illustrated.content.facts if report.illustrated else {}
    kind, period = used("target_type"), used("permute_every")
    _, targets = TARGETS.get(kind, (kind, "see its file"))
    colours = "grey" if shown.get("channels") == 1 else "RGB"
    classes = f", {len(shown['classes'])} classes" if shown else ""
    rows = {
        "profile": used("profile"),
        "images": f"{report.data}{classes}",
        "n, training images (and targets)": report.images("train") or None,
        "test images": report.images("test") or None,
        "input": f"{shown['crop']} px crops of {shown['size']} px, {colours}" if shown else None,
        "preprocessing": used("model.preprocessing"),
        "target_type": kind and f"{kind}: {targets}",
        "dimension of the targets": used("targets.k" if kind == "onehot" else "targets.dimension"),
        "alignment": used("alignment"),
        "permute_every": f"{period} (epochs)" if isinstance(period, int) else period,
        "trunk": used("model.trunk"),
        "hidden units of the MLP": used("model.hidden"),
        "epochs": used("pretrain.epochs"),
        "batch size": used("pretrain.batch_size"),
        "learning rate": used("pretrain.lr"),
        "seeds": ", ".join(map(str, sorted({result.seed for result in report.counted}))),
    }
    known = {name: value for name, value in rows.items() if value is not None}
    return {name: f"{v:,}" if isinstance(v, int) else str(v) for name, v in known.items()}


def time(report: Report) -> pd.DataFrame:
    """Runs and seconds by stage and method, of the methods' own runs and of section 4.1."""
    rows = []
    for result in (result for results in report.groups for result in results):
        whose = label(result.method) + (" (section 4.1)" if result.override else "")
        rows.append((result.stage, whose, result.provenance.seconds))
    frame = pd.DataFrame(rows, columns=["stage", "method", "seconds"])
    by_stage = frame.groupby(["stage", "method"], sort=False)["seconds"]
    return by_stage.agg(runs="size", seconds="sum")


def circumstances(result: Result) -> dict[str, Any]:
    """Where and how a result was measured."""
    where = result.provenance
    hardware = f"{where.hardware}, on {where.device}, threads: {where.threads}"
    if where.processes > 1:
        hardware += f", processes: {where.processes}"
    libraries = (f"{name} {version}" for name, version in where.versions.items())
    return {
        "file": result.file,
        "seed": result.seed,
        "data": data_name(where.data),
        "commit": where.commit,
        "seconds": where.seconds,
        "hardware": hardware,
        "versions": ", ".join([f"Python {where.python}", *libraries]),
    }


def hardware_used(report: Report) -> list[str]:
    """Hardware, versions and commit, each once; several where the runs differ."""
    counted = [result for each in report.all for result in each.counted]
    used = pd.DataFrame([circumstances(result) for result in counted])
    items = [
        f"{name.capitalize()}: {'; '.join(sorted(used[name].unique()))}"
        for name in ("hardware", "versions", "commit")
    ]
    if used["commit"].str.endswith("+").any():
        items.append("A + behind a commit: files differed from it.")
    return items


def left_out(report: Report) -> str:
    """How many results do not count, and why; empty if all do."""
    counts = Counter(result.dropped for result in report.results if result.dropped).most_common()
    if not counts:
        return ""
    (why, first), *others = counts
    told = [f"{first} result{'s' if first > 1 else ''} {why}", *(f"{n} {why}" for why, n in others)]
    return f"{', '.join(told)} {'are' if first > 1 or others else 'is'} left out."


def sources(report: Report) -> Iterator[dict[str, Any]]:
    """Where the numbers of each run come from: what each of its files says, in a column each."""
    for prefix, results in ((each.prefix, group) for each in report.all for group in each.groups):
        numbers = _beside([result.numbers for result in results])
        of_class = numbers.filter(like=OF_CLASS, axis=0)
        parameters = (pd.json_normalize(r.provenance.parameters).map(str) for r in results)
        yield {
            "run": results[0].run,
            "prefix": prefix,
            "files": files([result.file for result in results]),
            "own": numbers.drop(of_class.index),
            "of_class": of_class,
            "facts": _beside([circumstances(result) for result in results]),
            "parameters": _beside([each.iloc[0] for each in parameters]),
        }


def _beside(tables: Sequence[Any]) -> pd.DataFrame:
    """A row for every name; numbers with up to six digits, a dash for none."""
    frame = pd.DataFrame(tables, dtype=object).T
    texts = frame.map(lambda value: f"{value:.6g}" if isinstance(value, float) else str(value))
    return texts.where(frame.notna(), NONE)


def files(names: list[str]) -> str:
    """Names that differ in their seed alone in one: ``probe/nat-{0,1}.json``."""
    parts = [name.rpartition("-") for name in names]
    if len(names) == 1 or len({head for head, _, _ in parts}) > 1:
        return ", ".join(names)
    seeds = ",".join(tail.removesuffix(".json") for _, _, tail in parts)
    return f"{parts[0][0]}-{{{seeds}}}.json"
