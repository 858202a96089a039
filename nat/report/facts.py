"""The page's plain facts: settings, time, hardware, and where each number comes from."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from nat.report.frame import Report, anchor
from nat.report.names import TARGETS_LONG, label
from nat.report.results import OF_CLASS, Result, Run
from nat.report.settings import get
from nat.report.table import NONE


def settings(report: Report) -> dict[str, Any]:
    """Data, method and training of NAT's own run; what is not known is left out."""

    def used(name: str) -> Any:
        return get(report.settings, name)

    shown = report.illustrated.content.facts if report.illustrated else {}
    kind, period = used("target_type"), used("permute_every")
    size = used("targets.k" if kind == "onehot" else "targets.dimension")
    colours = "grey" if shown.get("channels") == 1 else "RGB"
    classes = f", {len(shown['classes'])} classes" if shown else ""
    rows = {
        "profile": used("profile"),
        "images": f"{report.data}{classes}",
        "n, training images (and targets)": report.images("train") or None,
        "test images": report.images("val") or None,
        "input": shown and f"{shown['crop']} px crops of {shown['size']} px, {colours}",
        "preprocessing": used("model.preprocessing"),
        "target_type": kind and f"{kind}: {TARGETS_LONG.get(kind, 'see its file')}",
        "dimension of the targets": size,
        "alignment": used("alignment"),
        "permute_every": f"{period} (epochs)" if isinstance(period, int) else period,
        "trunk": used("model.trunk"),
        "hidden units of the MLP": used("model.hidden"),
        "epochs": used("pretrain.epochs"),
        "batch size": used("pretrain.batch_size"),
        "learning rate": used("pretrain.lr"),
        "seeds": ", ".join(map(str, sorted({result.seed for result in report.counted}))),
    }
    known = {name: value for name, value in rows.items() if value not in (None, {})}
    return {name: f"{v:,}" if isinstance(v, int) else str(v) for name, v in known.items()}


def time(report: Report) -> list[tuple[str, str, int, str]]:
    """Stage, method, runs and minutes, of the methods' own runs and of section 4.1; then all."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for results in report.groups:
        run = results[0].run
        place = run.stage, label(run.method) + (" (section 4.1)" if run.override else "")
        seconds.setdefault(place, []).extend(r.provenance["seconds"] for r in results)
    rows = [(*place, len(each), _minutes(sum(each))) for place, each in seconds.items()]
    every = [one for each in seconds.values() for one in each]
    return [*rows, ("", "", len(every), _minutes(sum(every)))]


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}" if seconds >= 3 else "< 0.1"


def hardware_used(report: Report) -> list[str]:
    """Hardware, versions and commit, each once; several where the runs differ."""
    where = [result.provenance for result in report.counted]
    lines = {
        "Hardware": {hardware(p) for p in where},
        "Versions": {versions(p) for p in where},
        "Commit": {p["commit"] for p in where},
    }
    items = [f"{name}: {'; '.join(sorted(values))}" for name, values in lines.items()]
    if any(commit.endswith("+") for commit in lines["Commit"]):
        items.append("A + behind a commit: files differed from it.")
    return items


def hardware(where: dict[str, Any]) -> str:
    """Processor, device, threads, and processes if several, of a provenance."""
    text = f"{where['hardware']}, on {where['device']}, threads: {where['threads']}"
    processes = where.get("processes", 1)
    return text if processes == 1 else f"{text}, processes: {processes}"


def versions(where: dict[str, Any]) -> str:
    """Python and the libraries of a provenance."""
    libraries = (f"{name} {version}" for name, version in where["versions"].items())
    return ", ".join([f"Python {where['python']}", *libraries])


class Fact(NamedTuple):
    """A name, its value in each file of a run, and its anchor if numbers link to it."""

    name: str
    each: list[str]
    anchor: str = ""


class Source(NamedTuple):
    """The files of a run, by the seeds, with all that they tell; the numbers of classes apart."""

    run: Run
    files: str
    own: list[Fact]
    of_class: list[Fact]
    facts: list[Fact]
    parameters: list[Fact]


def source(results: list[Result]) -> Source:
    """Where the numbers of a run come from, which are ``results`` of several seeds."""
    run = results[0].run
    numbers = [
        Fact(name, each, anchor(run, name)) for name, each in _beside(r.measured for r in results)
    ]
    facts = _beside(
        {
            "file": r.file,
            "seed": r.seed,
            "data": r.data,
            "commit": r.provenance["commit"],
            "seconds": r.provenance["seconds"],
            "hardware": hardware(r.provenance),
            "versions": versions(r.provenance),
        }
        for r in results
    )
    parameters = _beside(dict(_flat(r.provenance["parameters"])) for r in results)
    return Source(
        run,
        files([result.file for result in results]),
        [fact for fact in numbers if OF_CLASS not in fact.name],
        [fact for fact in numbers if OF_CLASS in fact.name],
        [Fact(*fact) for fact in facts],
        [Fact(*parameter) for parameter in parameters],
    )


def _beside(tables: Iterable[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """Every name, and its value in each table; numbers with up to six digits, a dash for none."""
    known = list(tables)
    names = dict.fromkeys(name for table in known for name in table)
    return [(name, [_text(table.get(name)) for table in known]) for name in names]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return NONE if value is None else str(value)


def _flat(content: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _flat(value, f"{name}.{key}" if name else str(key))
    else:
        yield name, NONE if content is None else str(content)


def files(names: list[str]) -> str:
    """Names that differ in their seed alone in one: ``probe/nat-{0,1}.json``."""
    parts = [name.rpartition("-") for name in names]
    if len(names) == 1 or len({head for head, _, _ in parts}) > 1:
        return ", ".join(names)
    seeds = ",".join(tail.removesuffix(".json") for _, _, tail in parts)
    return f"{parts[0][0]}-{{{seeds}}}.json"
