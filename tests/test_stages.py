"""Stages depend on what decides their results: the declared modules are those imported."""

import ast
from typing import Any

import pytest
from ruamel.yaml import YAML
from tiny import PROJECT

# Modules of the running, not of the result: how files are written, progress shown, runs resumed.
PLUMBING = {
    "nat/__init__.py",
    "nat/errors.py",
    "nat/files.py",
    "nat/params.py",
    "nat/places.py",
    "nat/pretrained.py",
    "nat/training/device.py",
    "nat/training/history.py",
    "nat/training/progress.py",
    "nat/training/provenance.py",
    "nat/training/run.py",
}


def command_modules() -> dict[str, set[str]]:
    """What each command imports, read from the functions of nat/cli.py."""
    found = {}
    for node in ast.parse((PROJECT / "nat/cli.py").read_text()).body:
        if isinstance(node, ast.FunctionDef):
            for branch in ast.walk(node):
                if isinstance(branch, ast.If):
                    word = branch.test.comparators[0].value  # method == "random"
                    found[f"{node.name} {word}"] = imported(ast.Module(branch.body, []))
                    found[f"{node.name} labels"] = imported(ast.Module(branch.orelse, []))
            found[node.name] = imported(node)
    return found


def imported(tree: ast.AST) -> set[str]:
    files = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("nat"):
            base = PROJECT / node.module.replace(".", "/")
            names = [base / f"{name.name}.py" for name in node.names]
            files |= {str(p.relative_to(PROJECT)) for p in [base.with_suffix(".py"), *names]
                      if p.is_file()}  # fmt: skip
    return files


def closure(files: set[str]) -> set[str]:
    todo, seen = set(files), set()
    while todo:
        file = todo.pop()
        seen.add(file)
        todo |= imported(ast.parse((PROJECT / file).read_text())) - seen
    return seen


def declared_stages() -> dict[str, dict[str, Any]]:
    yaml = YAML(typ="safe")
    stages = {}
    for file in (PROJECT / "dvc.yaml", *PROJECT.glob("stages/*/dvc.yaml")):
        stages |= yaml.load(file.read_text())["stages"]
    return stages


@pytest.mark.parametrize("stage", declared_stages())
def test_a_stage_depends_on_the_modules_that_decide_its_result(stage: str) -> None:
    declaration = declared_stages()[stage]
    words = declaration["cmd"].split()[3:]
    name = {"prepare": f"prepare_{words[1]}", "baseline": f"baseline {words[1]}"}.get(
        words[0], words[0]
    )
    needed = closure(command_modules()[name]) - PLUMBING
    deps = {dep for dep in declaration["deps"] if dep.startswith("nat/")}
    folders = tuple(f"{dep}/" for dep in deps if not dep.endswith(".py"))
    assert {file for file in needed if not file.startswith(folders)} == {
        dep for dep in deps if dep.endswith(".py")
    }
    assert declaration["desc"]
