"""The page's plain facts: settings, time, hardware, and where each number comes from."""

from collections.abc import Iterator
from typing import Any

from nat.report.blocks import Bullets, Fact, Grid, Source
from nat.report.frame import Report, anchor, subject
from nat.report.names import TARGETS_LONG, label
from nat.report.results import Result
from nat.report.settings import get
from nat.report.table import NONE
from nat.report.verdict import Styled, Words


def settings(report: Report) -> Grid:
    """Data, method and training of NAT's own run; what is not known is left out."""

    def used(name: str) -> Any:
        return get(report.settings, name)

    shown = report.illustrated.content.facts if report.illustrated else None
    kind, period = used("target_type"), used("permute_every")
    size = used("targets.k" if kind == "onehot" else "targets.dimension")
    train, val = (report.images(part) for part in ("train", "val"))
    seeds = sorted({result.seed for result in report.counted})
    rows: dict[str, Any] = {
        "profile": used("profile"),
        "images": f"{report.data}, {len(shown['classes'])} classes" if shown else report.data,
        "n, training images (and targets)": f"{train:,}" if train else None,
        "test images": f"{val:,}" if val else None,
        "input": _input(shown) if shown else None,
        "preprocessing": used("model.preprocessing"),
        "target_type": f"{kind}: {TARGETS_LONG.get(kind, 'see its file')}" if kind else None,
        "dimension of the targets": f"{size:,}" if size else None,
        "alignment": used("alignment"),
        "permute_every": f"{period} (epochs)" if isinstance(period, int) else period,
        "trunk": used("model.trunk"),
        "hidden units of the MLP": used("model.hidden"),
        "epochs": used("pretrain.epochs"),
        "batch size": used("pretrain.batch_size"),
        "learning rate": used("pretrain.lr"),
        "seeds": ", ".join(map(str, seeds)),
    }
    known: list[tuple[Words, ...]] = [
        ((name,), (str(value),)) for name, value in rows.items() if value is not None
    ]
    return Grid(("Setting", "Value of NAT's training"), known)


def _input(shown: dict[str, Any]) -> str:
    colours = "grey" if shown["channels"] == 1 else "RGB"
    return f"{shown['crop']} px crops of {shown['size']} px, {colours}"


def time(report: Report) -> Grid:
    """Minutes by stage and method, of the methods' own runs and of section 4.1."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for results in report.groups:
        for result in results:
            remark = " (section 4.1)" if result.override else ""
            place = result.stage, label(result.method) + remark
            seconds.setdefault(place, []).append(result.provenance["seconds"])
    rows: list[tuple[Words, ...]] = [
        ((Styled(stage, "code"),), (method,), (str(len(each)),), (_minutes(sum(each)),))
        for (stage, method), each in seconds.items()
    ]
    total = Styled(_minutes(sum(map(sum, seconds.values()))), "strong")
    runs = str(sum(map(len, seconds.values())))
    rows.append(((Styled("all", "strong"),), ("",), (runs,), (total,)))
    return Grid(("Stage", "Method", "Runs", "Minutes, all runs"), rows, (2, 3))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}" if seconds >= 3 else "< 0.1"


def hardware_used(report: Report) -> Bullets:
    """Hardware, versions and commit, each once; several where the runs differ."""
    where = [result.provenance for result in report.counted]
    lines = {
        "Hardware": {hardware(p) for p in where},
        "Versions": {versions(p) for p in where},
        "Commit": {p["commit"] for p in where},
    }
    items: list[Words] = [(f"{name}: {'; '.join(sorted(v))}",) for name, v in lines.items()]
    if any(commit.endswith("+") for commit in lines["Commit"]):
        items.append(("A + behind a commit: files differed from it.",))
    return Bullets(items)


def hardware(where: dict[str, Any]) -> str:
    """Processor, device, threads, and processes if several, of a provenance."""
    text = f"{where['hardware']}, on {where['device']}, threads: {where['threads']}"
    processes = where.get("processes", 1)
    return text if processes == 1 else f"{text}, processes: {processes}"


def versions(where: dict[str, Any]) -> str:
    """Python and the libraries of a provenance."""
    libraries = (f"{name} {version}" for name, version in where["versions"].items())
    return ", ".join([f"Python {where['python']}", *libraries])


def sources(report: Report) -> list[Source]:
    """Every result that counts, with all that its files tell."""
    return [_source(results) for results in report.groups]


def _source(results: list[Result]) -> Source:
    first = results[0]
    run = (first.stage, first.method, first.override)
    where = [result.provenance for result in results]
    names = dict.fromkeys(name for result in results for name in result.measured)
    numbers = [
        Fact(name, [_figure(r.measured.get(name)) for r in results], anchor(*run, name))
        for name in names
    ]
    return Source(
        anchor(*run),
        first.stage,
        subject(first),
        files([result.file for result in results]),
        [result.seed for result in results],
        numbers,
        [
            Fact("file", [result.file for result in results]),
            Fact("seed", [str(result.seed) for result in results]),
            Fact("data", [result.data for result in results]),
            Fact("commit", [p["commit"] for p in where]),
            Fact("seconds", [_figure(p["seconds"]) for p in where]),
            Fact("hardware", [hardware(p) for p in where]),
            Fact("versions", [versions(p) for p in where]),
        ],
        _parameters(where),
    )


def _parameters(where: list[dict[str, Any]]) -> list[Fact]:
    found = [dict(_flat(each["parameters"])) for each in where]
    names = dict.fromkeys(name for each in found for name in each)
    return [Fact(name, [each.get(name, NONE) for each in found]) for name in names]


def _flat(content: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, NONE if content is None else str(content)


def _figure(number: float | None) -> str:
    """A number with up to six digits; a dash for none."""
    return NONE if number is None else f"{number:.6g}"


def files(names: list[str]) -> str:
    """Names that differ in their last number alone in one: ``probe/nat-{0,1}.json``."""
    parts = [name.rpartition("-") for name in names]
    heads = {head for head, _, _ in parts}
    if len(names) == 1 or len(heads) > 1 or not all(tail.endswith(".json") for *_, tail in parts):
        return ", ".join(names)
    seeds = ",".join(tail.removesuffix(".json") for *_, tail in parts)
    return f"{heads.pop()}-{{{seeds}}}.json"
