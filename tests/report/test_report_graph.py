"""The pipeline's graph, read from dvc.yaml files; DVC's own graph is the oracle."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML
from tiny import PROJECT

from nat.report.page.drawing import draw_graph
from nat.report.page.graph import Graph, fill, find, meet, read_graph, reduced
from nat.runtime.errors import UserError


def params() -> dict[str, Any]:
    return YAML(typ="safe").load((PROJECT / "params.yaml").read_text())


def names(graph: Graph) -> list[str]:
    return [f"{node.file}:{node.name}" for node in graph.nodes]


def reaches(arrows: set[tuple[Any, Any]]) -> set[tuple[Any, Any]]:
    """Every pair that some way of arrows joins."""
    found = set(arrows)
    while more := {(a, d) for a, b in found for c, d in found if b == c} - found:
        found |= more
    return found


def test_it_is_dvcs_own_graph(tmp_path: Path) -> None:
    for file in (PROJECT / "dvc.yaml", *PROJECT.glob("stages/*/dvc.yaml"), PROJECT / "params.yaml"):
        to = tmp_path / file.relative_to(PROJECT)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, to)
    environment = os.environ | {"DVC_NO_ANALYTICS": "1"}
    code = (
        "import json, sys\n"
        "from dvc.repo import Repo\n"
        "repo = Repo.init(sys.argv[1], no_scm=True)\n"
        "print(json.dumps([[a.addressing, b.addressing] for a, b in repo.index.graph.edges]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    graph = read_graph(PROJECT, params())
    of_stage = {
        (stage.file, stage.name): index
        for index, node in enumerate(graph.nodes)
        for stage in node.stages
    }

    def node(address: str) -> int:
        file, _, name = address.rpartition(":")
        path = Path(file or "dvc.yaml")
        path = path.relative_to(tmp_path) if path.is_absolute() else path
        return of_stage[path.as_posix(), name.partition("@")[0]]

    # DVC's edges lead from a stage to what it needs
    theirs = {(node(b), node(a)) for a, b in json.loads(done.stdout.splitlines()[-1])}
    assert reaches({(a, b) for a, b in theirs if a != b}) == reaches(set(graph.arrows))
    assert not any((a, a) in reaches(set(graph.arrows)) for a in range(len(graph.nodes)))


def test_runs_are_counted_by_the_parameters() -> None:
    graph = read_graph(PROJECT, params() | {"seeds": [0, 1]})
    runs = {stage.name: stage.runs for node in graph.nodes for stage in node.stages}
    assert runs["pretrain"] == 2
    assert runs["finetune"] == 12
    assert runs["pretrain-k"] == 2 * len(params()["ablations"]["k"])
    assert runs["prepare-pictures"] == 1


def test_boxes_are_called_as_stages_or_commands() -> None:
    graph = read_graph(PROJECT, params())
    assert len(set(names(graph))) == len(graph.nodes)
    assert {*names(graph)} >= {
        "dvc.yaml:prepare-pictures",
        "dvc.yaml:pretrain",
        "dvc.yaml:probe",
        "stages/ablations/dvc.yaml:pretrain",
        "stages/ablations/dvc.yaml:baseline labels",
        "stages/ablations/dvc.yaml:tabulate",
        "stages/baselines/dvc.yaml:random",
    }
    assert not [name for name in names(graph) if "$" in name or "*" in name]


def test_without_parameters_names_are_wildcards() -> None:
    graph = read_graph(PROJECT, {})
    assert len(graph.nodes) == len(read_graph(PROJECT, params()).nodes)
    assert {*names(graph)} >= {"dvc.yaml:pretrain", "stages/ablations/dvc.yaml:pretrain"}
    place = names(graph).index
    arrows = reaches(set(graph.arrows))
    spine, ablations = "dvc.yaml:{}", "stages/ablations/dvc.yaml:{}"
    assert (place(spine.format("targets")), place(spine.format("pretrain"))) in arrows
    assert (place(ablations.format("targets")), place(ablations.format("pretrain"))) in arrows
    assert (place(spine.format("pretrain")), place(ablations.format("pretrain"))) not in arrows


@pytest.mark.parametrize(
    ("one", "other", "together"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c.json", True),
        ("a/b/c.json", "a", True),
        ("a/b", "a/bc", False),
        ("a/nat-*", "a/*-0", True),
        ("a/nat-*", "a/random-*", False),
        ("a/*/x", "a/b/y", False),
    ],
)
def test_paths_meet(one: str, other: str, together: bool) -> None:
    assert meet(one, other) == meet(other, one) == together


def test_names_are_looked_up() -> None:
    content = {"a": {"b": [3, 4]}, "item": {"x": "y"}}
    assert find(content, "a.b[1]") == 4
    assert find(content, "a.c") is None
    assert fill("p/${item.x}-${a.b[0]}-${no.such}", content) == "p/y-3-*"


@given(st.sets(st.tuples(st.integers(0, 7), st.integers(0, 7)).filter(lambda e: e[0] < e[1])))
def test_reduction_keeps_what_is_reached_with_the_fewest_arrows(
    arrows: set[tuple[int, int]],
) -> None:
    kept = reduced(arrows)
    assert kept <= arrows
    assert reaches(kept) == reaches(arrows)
    for arrow in kept:
        assert arrow not in reaches(kept - {arrow})


def test_a_file_that_is_no_pipeline_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dvc\.yaml: No such file"):
        read_graph(tmp_path, {})
    for text in ("", "stages: [", "stages: {a: 3}", "other: {}"):
        (tmp_path / "dvc.yaml").write_text(text)
        with pytest.raises(UserError, match=r"dvc\.yaml: no list of DVC stages"):
            read_graph(tmp_path, {})


def test_drawing_has_every_box_and_arrow_apart() -> None:
    import re

    graph = read_graph(PROJECT, params())
    svg = draw_graph(graph)
    boxes = [
        tuple(map(float, box))
        for box in re.findall(
            r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"', svg
        )
    ]
    assert len(boxes) == len(graph.nodes)
    assert svg.count('class="arrow"') == len(graph.arrows)
    for i, (x, y, w, h) in enumerate(boxes):
        for x2, y2, w2, h2 in boxes[i + 1 :]:
            assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
    # what makes a file stands left of what needs it
    assert all(boxes[a][0] + boxes[a][2] < boxes[b][0] for a, b in graph.arrows)
