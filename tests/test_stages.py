"""Stages depend on what decides their results: the declared modules are those imported."""

import ast
from typing import Any

import pytest
from ruamel.yaml import YAML
from tiny import EMBEDDED, PROJECT

# Modules of the running, not of the result: how files are written, and read or refused, progress
# shown, runs resumed.
PLUMBING = {
    "nat/__init__.py",
    "nat/runtime/io/arrays.py",
    "nat/runtime/errors.py",
    "nat/runtime/io/files.py",
    "nat/runtime/io/foreign.py",
    "nat/datasets/filling/journal.py",
    "nat/data/manifest.py",
    "nat/datasets/filling/space.py",
    "nat/runtime/io/locks.py",
    "nat/runtime/io/outputs.py",
    "nat/runtime/settings/params.py",
    "nat/runtime/io/paths.py",
    "nat/runtime/processes.py",
    "nat/runtime/settings/yaml_file.py",
    "nat/runtime/signals.py",
    "nat/report/schema.py",
    "nat/runtime/pretrained.py",
    "nat/runtime/io/tensors.py",
    "nat/runtime/device.py",
    "nat/runtime/history.py",
    "nat/runtime/progress.py",
    "nat/runtime/provenance.py",
    "nat/runtime/resume.py",
}

# Folders of interchangeable files, of which a stage uses one: by the command that does, the
# parameter that names it.
FAMILIES = {"targets": ("nat/targets", "target_type"), "pretrain": ("nat/alignments", "alignment")}


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
            both = [base.with_suffix(".py"), base / "__init__.py", *names]
            files |= {str(p.relative_to(PROJECT)) for p in both if p.is_file()}
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
        for name, stage in yaml.load(file.read_text())["stages"].items():
            stages[f"{file.parent.name}:{name}" if file.parent != PROJECT else name] = stage
    return stages


@pytest.mark.parametrize("stage", declared_stages())
def test_a_stage_depends_on_the_modules_that_decide_its_result(stage: str) -> None:
    declaration = declared_stages()[stage]
    words = declaration["cmd"].split()[3:]
    command = words[0].replace("-", "_")
    name = {"prepare": f"prepare_{words[1]}", "baseline": f"baseline {words[1]}"}.get(
        command, command
    )
    deps = [dep for dep in declaration.get("deps", []) if dep.startswith("nat/")]
    needed = closure(command_modules()[name])
    if command in FAMILIES:
        family, parameter = FAMILIES[command]
        chosen = [word.partition("=")[2] for word in words if word.startswith(f"{parameter}=")]
        deps.remove(f"{family}/{chosen[0] if chosen else f'${{{parameter}}}'}.py")
        files = {str(file.relative_to(PROJECT)) for file in PROJECT.glob(f"{family}/[!_]*.py")}
        needed = closure(needed | files) - files  # what any of them needs
    needed -= PLUMBING
    folders = tuple(f"{dep}/" for dep in deps if not dep.endswith(".py"))
    assert {file for file in needed if not file.startswith(folders)} == {
        dep for dep in deps if dep.endswith(".py")
    }
    assert declaration["desc"]


ABLATIONS = [
    name
    for name in declared_stages()
    if name.startswith("ablations:") and not name.endswith("tabulate")
]


@pytest.mark.parametrize("stage", ABLATIONS)
def test_an_ablation_depends_on_every_setting_but_its_own(stage: str) -> None:
    """Of the same command on the spine; so another default reruns what it changes and no more."""
    stages = declared_stages()
    step, factor = stage.removeprefix("ablations:").split("-", 1)
    spine = stages["baselines:labels" if step == "labels" else step]
    values = YAML(typ="safe").load(EMBEDDED.read_text())

    def leaves(names: list[str]) -> set[str]:
        found = set()
        for param in names:
            value = values
            for word in param.split("."):
                value = value[word]
            found |= {f"{param}.{leaf}" for leaf in value} if isinstance(value, dict) else {param}
        return found

    fixed = {word.partition("=")[0] for word in stages[stage]["cmd"].split() if "=" in word}
    expected = leaves(spine["params"]) - {f for f in fixed if not f.startswith("pretrain.")}
    if step == "targets" and factor != "target_type":
        # the type is fixed, and with it which of the settings it uses
        expected = {"targets.precision"} if factor == "dimension" else set()
    assert leaves(stages[stage].get("params", [])) == expected
