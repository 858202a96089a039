"""The page's plain facts: settings, time, hardware, and where each number comes from."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import pandas as pd

from nat.report import paper
from nat.report.frame import Report, anchor
from nat.report.names import TARGETS, label
from nat.report.results import OF_CLASS, ON_VOC, Result
from nat.report.table import NONE, Table

TASKS = ("Classification, fc6-8 trained", "Classification, all trained", "Detection")


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
        "test images": report.images("val") or None,
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
        whose = label(result.run.method) + (" (section 4.1)" if result.run.override else "")
        rows.append((result.run.stage, whose, result.provenance["seconds"]))
    frame = pd.DataFrame(rows, columns=["stage", "method", "seconds"])
    by_stage = frame.groupby(["stage", "method"], sort=False)["seconds"]
    return by_stage.agg(runs="size", seconds="sum")


def minutes(seconds: float) -> str:
    """Seconds in minutes, with one decimal."""
    return f"{seconds / 60:.1f}" if seconds >= 3 else "< 0.1"


def circumstances(result: Result) -> dict[str, Any]:
    """Where and how a result was measured."""
    where = result.provenance
    hardware = f"{where['hardware']}, on {where['device']}, threads: {where['threads']}"
    if where.get("processes", 1) > 1:
        hardware += f", processes: {where['processes']}"
    libraries = (f"{name} {version}" for name, version in where["versions"].items())
    return {
        "file": result.file,
        "seed": result.seed,
        "data": result.data,
        "commit": where["commit"],
        "seconds": where["seconds"],
        "hardware": hardware,
        "versions": ", ".join([f"Python {where['python']}", *libraries]),
    }


def hardware_used(report: Report) -> list[str]:
    """Hardware, versions and commit, each once; several where the runs differ."""
    used = pd.DataFrame([circumstances(result) for result in report.counted])
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


def missing(report: Report, tables: Iterable[Table]) -> Iterator[str]:
    """What the paper measured and this page does not."""
    if report.data != "ImageNet":
        yield (
            "ImageNet: what is said here of Tables 1 to 3, of section 4.1 and of the figures is of "
            f"{report.data}."
        )
    if report.voc != "VOC 2007":
        yield "VOC 2007, classification and detection."
    run = {result.run.stage for result in report.counted}
    for stage, task in zip(ON_VOC, TASKS, strict=True):
        if stage not in run:
            yield f"{task}, on any data."
    known = {row.name for row in (*paper.TABLE_1, *paper.TABLE_2, *paper.TABLE_3, *paper.TABLE_4)}
    for table in tables:
        if quoted := [name for name in table.quoted_only() if name in known]:
            yield f"{table.title}, rows quoted only: {', '.join(quoted)}."


class Fact(NamedTuple):
    """A name, its value in each file of a run, and its anchor if numbers link to it."""

    name: str
    each: list[str]
    anchor: str = ""


def sources(report: Report) -> Iterator[dict[str, Any]]:
    """Where the numbers of each run come from: Facts of its files, those of classes apart."""
    for results in report.groups:
        run = results[0].run
        facts = _beside([result.measured for result in results])
        numbers = [fact._replace(anchor=anchor(run, fact.name)) for fact in facts]
        yield {
            "run": run,
            "files": files([result.file for result in results]),
            "own": [fact for fact in numbers if OF_CLASS not in fact.name],
            "of_class": [fact for fact in numbers if OF_CLASS in fact.name],
            "facts": _beside([circumstances(result) for result in results]),
            "parameters": _beside([_flat(r.provenance["parameters"]) for r in results]),
        }


def _beside(tables: list[dict[str, Any]]) -> list[Fact]:
    """Every name, and its value in each table; numbers with up to six digits, a dash for none."""
    frame = pd.DataFrame(tables, dtype=object).map(_text, na_action="ignore").T.fillna(NONE)
    return [Fact(name, values) for name, *values in frame.itertuples()]


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _flat(parameters: dict[str, Any]) -> dict[str, str]:
    """Settings as text by their dotted names."""
    flat = pd.json_normalize(parameters).astype(object).iloc[0]
    return {name: NONE if value is None else str(value) for name, value in flat.items()}


def files(names: list[str]) -> str:
    """Names that differ in their seed alone in one: ``probe/nat-{0,1}.json``."""
    parts = [name.rpartition("-") for name in names]
    if len(names) == 1 or len({head for head, _, _ in parts}) > 1:
        return ", ".join(names)
    seeds = ",".join(tail.removesuffix(".json") for _, _, tail in parts)
    return f"{parts[0][0]}-{{{seeds}}}.json"
