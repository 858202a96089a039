"""The pipeline's graph, read from the dvc.yaml files themselves."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, reduce
from itertools import product
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from nat.runtime.errors import UserError


@dataclass(frozen=True)
class Stage:
    """A stage, with all its runs.

    Attributes:
        name: in its file.
        file: the dvc.yaml that declares it.
        description: its ``desc``.
        command: its words before the first option, such as ``baseline labels``.
        runs: how many the parameters make of it.
        deps: paths from the project's folder; ``*`` stands for what is not known.
        outs: the same.
    """

    name: str
    file: str
    description: str
    command: str
    runs: int
    deps: frozenset[str]
    outs: frozenset[str]


@dataclass(frozen=True)
class Node:
    """Stages of one file that call the same command."""

    stages: tuple[Stage, ...]

    @property
    def name(self) -> str:
        """The stage's name, or the command of several."""
        return self.stages[0].name if len(self.stages) == 1 else self.stages[0].command

    @property
    def file(self) -> str:
        """The dvc.yaml that declares them."""
        return self.stages[0].file

    @property
    def runs(self) -> int:
        """Of all stages."""
        return sum(stage.runs for stage in self.stages)


@dataclass(frozen=True)
class Graph:
    """Nodes, and arrows as pairs of their numbers: the first makes what the second needs.

    Arrows that follow from others are left out.
    """

    nodes: tuple[Node, ...]
    arrows: tuple[tuple[int, int], ...]


def read_graph(folder: Path, params: dict[str, Any]) -> Graph:
    """Read dvc.yaml and stages/*/dvc.yaml.

    Args:
        folder: the project's.
        params: what ``${...}`` is looked up in.

    Raises:
        UserError: a file is missing or no list of stages.
    """
    files = [folder / "dvc.yaml", *sorted(folder.glob("stages/*/dvc.yaml"))]
    stages = [stage for file in files for stage in _stages(file, folder, params)]
    together: dict[tuple[str, str], list[Stage]] = {}
    for stage in stages:
        together.setdefault((stage.file, stage.command), []).append(stage)
    nodes = tuple(Node(tuple(each)) for each in together.values())
    arrows = {
        (a, b)
        for a, b in product(range(len(nodes)), repeat=2)
        if a != b and _hands_on(nodes[a], nodes[b])
    }
    return Graph(nodes, tuple(sorted(reduced(arrows))))


def reduced(arrows: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """The arrows that do not follow from others, of a graph without cycles."""
    after: dict[int, set[int]] = {}
    for a, b in arrows:
        after.setdefault(a, set()).add(b)

    def reached(node: int) -> set[int]:
        found = set(after.get(node, ()))
        return reduce(set.union, (reached(b) for b in after.get(node, ())), found)

    return {(a, b) for a, b in arrows if not any(b in reached(c) for c in after[a] - {b})}


def _stages(file: Path, folder: Path, params: dict[str, Any]) -> Iterator[Stage]:
    name = file.relative_to(folder).as_posix()
    try:
        content = YAML(typ="safe").load(file.read_text())
        declared: dict[str, Any] = content["stages"]
        for stage, each in declared.items():
            yield _stage(stage, each, name, params)
    except OSError as error:
        raise UserError(f"{file}: {error.strerror}; name the project's folder") from error
    except (YAMLError, KeyError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{file}: no list of DVC stages ({reason})") from error


def _stage(name: str, declared: dict[str, Any], file: str, params: dict[str, Any]) -> Stage:
    base = (PurePosixPath(file).parent / declared.get("wdir", ".")).parts
    runs = list(_runs(declared.get("matrix", {}), params))

    def paths(*keys: str) -> frozenset[str]:
        entries = [entry for key in keys for entry in declared.get(key, ())]
        # an entry is a path, or a mapping from the path to its options
        texts = [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]
        return frozenset(_path(base, fill(text, run)) for text in texts for run in runs)

    words = declared["cmd"].split(" -m nat ")[-1].split()
    options = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    return Stage(
        name,
        file,
        declared.get("desc", ""),
        " ".join(words[:options]),
        len(runs),
        paths("deps"),
        paths("outs", "metrics"),
    )


def _runs(matrix: dict[str, Any], params: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What ``${...}`` is looked up in, for each run of a stage."""
    lists = {
        name: values if isinstance(values, list) else find(params, values.strip("${} "))
        for name, values in matrix.items()
    }
    lists = {name: values if isinstance(values, list) else ["*"] for name, values in lists.items()}
    for chosen in product(*lists.values()):
        yield params | {"item": dict(zip(lists, chosen, strict=True))}


def fill(text: str, names: dict[str, Any]) -> str:
    """``${...}`` replaced by its value, or by ``*`` where it has none."""

    def value(match: re.Match[str]) -> str:
        found = find(names, match[1])
        return str(found) if isinstance(found, str | int | float) else "*"

    return re.sub(r"\$\{([^}]*)\}", value, text)


def find(names: Any, dotted: str) -> Any:
    """``a.b[0]`` looked up; None where there is none."""
    for word in filter(None, re.split(r"[.\[\]]", dotted.strip())):
        if isinstance(names, dict):
            names = names.get(word)
        elif isinstance(names, list) and word.isdigit() and int(word) < len(names):
            names = names[int(word)]
        else:
            return None
    return names


def _path(base: Iterable[str], path: str) -> str:
    parts: list[str] = []
    for part in (*base, *PurePosixPath(path).parts):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def _hands_on(first: Node, second: Node) -> bool:
    outs = {out for stage in first.stages for out in stage.outs}
    deps = {dep for stage in second.stages for dep in stage.deps}
    return any(meet(out, dep) for out in outs for dep in deps)


def meet(one: str, other: str) -> bool:
    """Whether two paths are the same, or one lies in the other; ``*`` is anything."""
    return all(_alike(a, b) for a, b in zip(one.split("/"), other.split("/"), strict=False))


@cache
def _alike(a: str, b: str) -> bool:
    """Whether some name fits both patterns."""
    if not (a and b):
        return not (a + b).strip("*")
    if a[0] == "*":
        return _alike(a[1:], b) or _alike(a, b[1:])
    if b[0] == "*":
        return _alike(b, a)
    return a[0] == b[0] and _alike(a[1:], b[1:])
