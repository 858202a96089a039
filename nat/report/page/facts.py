"""The page's plain facts: settings, time, machine, stages."""

from collections.abc import Iterable

from nat.report.ablations import Ablations
from nat.report.artifacts import Artifacts
from nat.report.names import METHODS, TARGETS_LONG, data_name
from nat.report.page.blocks import Bullets, Grid
from nat.report.page.graph import Graph
from nat.report.record import Record
from nat.report.words import Code, Strong, Words

Groups = Iterable[tuple[Record, ...]]


def settings(artifacts: Artifacts, profile: str) -> Grid:
    """Data, method and training of the spine's run."""
    facts, setting = artifacts.illustration.facts, artifacts.setting
    colours = "grey" if facts["channels"] == 1 else "RGB"
    kind = facts["target_type"]
    period = setting("permute_every")
    rows = (
        ("profile", profile),
        ("pictures", f"{data_name(facts['source'])}, {len(facts['classes'])} classes"),
        ("n, training pictures (and targets)", f"{facts['train']:,}"),
        ("test pictures", f"{facts['val']:,}"),
        ("input", f"{facts['crop']} px crops of {facts['size']} px, {colours}"),
        ("preprocessing", facts["preprocessing"]),
        ("target_type", f"{kind}: {TARGETS_LONG.get(kind, 'see its file')}"),
        ("dimension of the targets", f"{facts['dimension']:,}"),
        ("alignment", setting("alignment")),
        ("permute_every", period if period == "never" else f"{period} (epochs)"),
        ("trunk", f"{facts['trunk']}, MLP of {facts['hidden']} hidden units"),
        ("epochs", setting("pretrain", "epochs")),
        ("batch", setting("pretrain", "batch_size")),
        ("step size", setting("pretrain", "lr")),
        ("seeds", ", ".join(map(str, artifacts.seeds))),
    )
    return Grid(
        ("Setting", "Value of NAT's training"), tuple(((name,), (str(v),)) for name, v in rows)
    )


def time(artifacts: Artifacts, ablations: Ablations) -> Grid:
    """Minutes by stage and method, of the spine and of section 4.1."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for groups, remark in ((artifacts.groups(), ""), (ablations.groups(), " (section 4.1)")):
        for record in (record for records in groups for record in records):
            key = record.stage, METHODS.get(record.method, "") + remark
            seconds.setdefault(key, []).append(record.provenance["seconds"])
    rows: list[tuple[Words, ...]] = [
        ((Code(stage),), (method,), (str(len(each)),), (_minutes(sum(each)),))
        for (stage, method), each in seconds.items()
    ]
    total = _minutes(sum(sum(each) for each in seconds.values()))
    runs = sum(len(each) for each in seconds.values())
    rows.append(((Strong(("all",)),), ("",), (str(runs),), (Strong((total,)),)))
    return Grid(("Stage", "Method", "Runs", "Minutes, all runs"), tuple(rows), (2, 3))


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}" if seconds >= 3 else "< 0.1"


def machine(groups: Groups) -> Bullets:
    """Hardware, versions and commit, each once; several where the runs differ."""
    where = [record.provenance for records in groups for record in records]
    lines = {
        "Hardware": {hardware(p) for p in where},
        "Versions": {versions(p) for p in where},
        "Commit": {p["commit"] for p in where},
    }
    items: list[Words] = [
        (f"{name}: {'; '.join(sorted(values))}",) for name, values in lines.items()
    ]
    if any(commit.endswith("+") for commit in lines["Commit"]):
        items.append(("A + behind a commit: files differed from it.",))
    return Bullets(tuple(items))


def hardware(where: dict[str, object]) -> str:
    """Processor, device, threads, and processes if several, of a provenance."""
    text = f"{where['hardware']}, on {where['device']}, threads: {where['threads']}"
    processes = where.get("processes", 1)
    return text if processes == 1 else f"{text}, processes: {processes}"


def versions(where: dict[str, object]) -> str:
    """Python and the libraries of a provenance."""
    libraries = where["versions"]
    names = libraries.items() if isinstance(libraries, dict) else ()
    return ", ".join([f"Python {where['python']}", *(f"{name} {v}" for name, v in names)])


def stages(graph: Graph) -> Grid:
    """The stages in words."""
    rows: list[tuple[Words, ...]] = [
        ((Code(stage.name),), (Code(stage.file),), (stage.description,), (str(stage.runs),))
        for node in graph.nodes
        for stage in node.stages
    ]
    return Grid(("Stage", "Declared in", "Does", "Runs"), tuple(rows), (3,))
