"""Stages depend on what decides their results: dvc.yaml, runtime/code.py and the imports agree."""

import ast
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tiny import EMBEDDED, PROJECT

from nat.runtime.code import DECIDES, code_of
from nat.runtime.settings.load import load_params

DECIDES_NOTHING = ("nat/runtime/", "nat/__init__.py")
# By the stage's code, the command of nat/cli.py that it is.
COMMANDS = {"prepare images": "prepare_images", "prepare voc": "prepare_voc"}
# Families whose files a stage imports by the names in params.yaml.
FAMILIES = {
    "prepare images": "datasets",
    "targets": "targets",
    "pretrain": "alignments",
    "train": "methods",
}


def imported(tree: ast.AST) -> set[str]:
    files = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nat"):
            base = PROJECT / node.module.replace(".", "/")
            names = [base / f"{name.name}.py" for name in node.names]
            both = [base.with_suffix(".py"), base / "__init__.py", *names]
            files |= {str(p.relative_to(PROJECT)) for p in both if p.is_file()}
    return files


def closure(files: set[str]) -> set[str]:
    """All that is imported, by way of what decides a result."""
    todo, seen = set(files), set()
    while todo:
        file = todo.pop()
        if file.startswith(DECIDES_NOTHING):
            continue
        seen.add(file)
        todo |= imported(ast.parse((PROJECT / file).read_text())) - seen
    return seen


def needed(stage: str) -> set[str]:
    """The files that a stage's command imports, read from its function in nat/cli.py."""
    name = COMMANDS.get(stage, stage)
    (function,) = (
        node
        for node in ast.parse((PROJECT / "nat/cli.py").read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name == name
    )
    files = imported(function)
    if stage in FAMILIES:
        members = PROJECT.glob(f"nat/{FAMILIES[stage]}/*.py")
        files |= {str(file.relative_to(PROJECT)) for file in members}
    return closure(files)


def within(file: str, patterns: tuple[str, ...]) -> bool:
    for pattern in patterns:
        head, brace, _ = f"nat/{pattern}".partition("{")
        if file == head or file.startswith(head if brace else f"{head}/"):
            return True
    return False


@pytest.mark.parametrize("stage", DECIDES)
def test_code_that_a_stage_imports_is_named(stage: str) -> None:
    named = DECIDES[stage]
    if stage == "train":
        named = (*named, "methods/nat.py", *DECIDES["pretrain"])  # which the folder has beside it
    assert {file for file in needed(stage) if not within(file, named)} == set()


@pytest.mark.parametrize("stage", DECIDES)
def test_nothing_is_named_that_is_not_imported(stage: str) -> None:
    for pattern in DECIDES[stage]:
        if (stage, pattern) == ("report", "methods"):
            continue  # whose names it reads without importing them
        assert any(within(file, (pattern,)) for file in needed(stage)), pattern


def test_what_decides_nothing_imports_nothing_that_decides() -> None:
    """One direction of flow: from the methods to the runtime, never back."""
    for file in PROJECT.glob("nat/runtime/**/*.py"):
        tree = ast.parse(file.read_text())
        allowed = (*DECIDES_NOTHING, "nat/cli.py")  # which boundary.py runs
        found = {f for f in imported(tree) if not f.startswith(allowed)}
        assert found == set(), file
    for folder in ("data", "datasets", "network", "evaluation", "methods", "voc", "illustrate"):
        for file in PROJECT.glob(f"nat/{folder}/**/*.py"):
            found = imported(ast.parse(file.read_text()))
            assert not [f for f in found if f.startswith(("nat/report", "nat/api"))], file


def declared_stages() -> dict[str, dict[str, Any]]:
    yaml = YAML(typ="safe")
    stages = {}
    for file in (PROJECT / "dvc.yaml", *PROJECT.glob("stages/*/dvc.yaml")):
        for name, stage in yaml.load(file.read_text())["stages"].items():
            stages[f"{file.parent.name}:{name}" if file.parent != PROJECT else name] = stage
    return stages


def code_named(stage: str) -> str:
    """What runtime/code.py calls a stage of dvc.yaml."""
    name = stage.rpartition(":")[2]
    return {"images": "prepare images", "voc": "prepare voc", "labels": "train"}.get(name, name)


@pytest.mark.parametrize("stage", [name for name in declared_stages() if name != "check"])
def test_a_stage_depends_on_the_code_that_decides_its_result(stage: str) -> None:
    declaration = declared_stages()[stage]
    deps = {d.removeprefix("nat/") for d in declaration["deps"] if d.startswith("nat/")}
    expected = set(DECIDES[code_named(stage)])
    expected = {
        name.replace("{target_type}", "${target_type}")
        .replace("{alignment}", "${alignment}")
        .replace("{method}", "${item.method}")
        for name in expected
    }
    if stage == "ablations:pretrain":  # overrides choose targets and alignments
        expected -= {"alignments/__init__.py", "alignments/${alignment}.py"}
        expected = expected - {"targets/__init__.py"} | {"alignments", "targets"}
    if stage == "ablations:labels":
        expected = expected - {"methods/${item.method}.py"} | {"methods/labels.py"}
    assert deps == expected


@pytest.mark.parametrize("stage", declared_stages())
def test_a_stage_says_what_it_does(stage: str) -> None:
    assert declared_stages()[stage]["desc"]


def test_ablations_depend_on_the_settings_of_the_pipeline() -> None:
    stages = declared_stages()
    for name, of in (("pretrain", "pretrain"), ("probe", "probe"), ("labels", "train")):
        expected = [p.replace("${item.method}", "labels") for p in stages[of]["params"]]
        assert stages[f"ablations:{name}"]["params"] == expected


def test_declarations_stay_readable() -> None:
    files = [PROJECT / "dvc.yaml", *PROJECT.glob("stages/*/dvc.yaml")]
    lines = [len(file.read_text().splitlines()) for file in files]
    assert lines[0] <= 140
    assert sum(lines) <= 300


def test_an_interrupted_run_is_keyed_by_the_code_that_decides_it(tmp_path: Path) -> None:
    params = load_params(EMBEDDED)
    nat, labels = (code_of("train", method, params) for method in ("nat", "labels"))
    assert {"alignments/exact.py", "methods/nat.py", "network/model.py"} <= nat.keys()
    assert {"methods/labels.py", "data/loader.py"} <= labels.keys()
    assert "methods/nat.py" not in labels
    assert "alignments/greedy.py" not in nat
    assert not [name for name in nat if name.startswith(("api", "report", "runtime", "cli"))]
    assert "voc/classification/finetune.py" in code_of("finetune-all", "nat", params)
    assert "voc/detection/train.py" in code_of("detect", "labels", params)
