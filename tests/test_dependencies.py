"""Dependencies are few and named: declared, pinned, used and explained are the same packages."""

import ast
import re
import sys
import tomllib

from tiny import PROJECT

DECLARED = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
IMPORTED_AS = {
    "opencv-contrib-python-headless": "cv2",
    "pillow": "PIL",
    "scikit-learn": "sklearn",
    "ruamel.yaml": "ruamel",
    "lapx": "lap",
}


def name(requirement: str) -> str:
    return re.split(r"[<>=!~ \[]", requirement)[0]


NEEDED = {name(one) for one in DECLARED["dependencies"]}
EXTRAS = {name(one) for group in DECLARED["optional-dependencies"].values() for one in group}


def imported() -> set[str]:
    """The packages that nat imports, without Python's own."""
    found = set()
    for file in PROJECT.glob("nat/**/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {one.name.split(".")[0] for one in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add((node.module or "").split(".")[0])
    return found - sys.stdlib_module_names - {"nat"}


def test_what_is_declared_is_used_and_what_is_used_is_declared() -> None:
    by_import = {IMPORTED_AS.get(one, one): one for one in NEEDED | EXTRAS}
    unknown = imported() - by_import.keys()
    assert not unknown
    assert {by_import[one] for one in imported()} & NEEDED == NEEDED


def test_each_is_explained() -> None:
    text = (PROJECT / "docs/dependencies.md").read_text()
    rows = re.findall(r"^\| ([\w.-]+) \| .+ \|$", text, re.M)
    assert rows[:2] == ["package", "---"]
    assert rows[2:] == sorted(NEEDED)
    for one in EXTRAS:
        assert f"`{one}`" in text, one


def test_each_has_a_tested_version_that_the_declaration_allows() -> None:
    lines = (PROJECT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    pinned = {one.lower(): version for one, version in pinned.items()}
    for requirement in DECLARED["dependencies"]:
        one, least = name(requirement), requirement.split(">=")[1]
        numbers = [[int(part) for part in re.findall(r"\d+", v)] for v in (pinned[one], least)]
        assert numbers[0] >= numbers[1], requirement
