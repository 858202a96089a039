"""Families: folders of interchangeable files, of which params.yaml names one or several.

The file's name is the value in params.yaml: ``target_type: sphere`` is nat/targets/sphere.py. What
only one member of a family can be set to is described in that member's file, by a class
``Settings``; in params.yaml it is a group of the member's name.
"""

import ast
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel

from nat.runtime.errors import UserError
from nat.runtime.settings.yaml_file import shown

PACKAGE = Path(__file__).parents[2]


def members(family: str) -> list[str]:
    """The files of a family, a folder of this package: its choices, such as target types."""
    return sorted(file.stem for file in (PACKAGE / family).glob("[!._]*.py"))


def member_of(family: str) -> AfterValidator:
    """Refuses a name that has no file of its own in the family's folder."""

    def check(name: str) -> str:
        known = members(family)
        if name not in known:
            raise ValueError(f"unknown name {shown(name)}; known: {', '.join(known)}")
        return name

    return AfterValidator(check)


def groups_of(family: str) -> Any:
    """The type of groups of settings by member: names are checked, and the rest by ``own``."""
    return dict[Annotated[str, member_of(family)], dict[str, Any]]


def constant(family: str, name: str, word: str, otherwise: Any = None) -> Any:
    """A constant that a member's file begins with, read without importing it.

    Args:
        family: a folder of this package.
        name: of a file in it.
        word: of the constant, such as ``LABEL``.
        otherwise: what it is if the file sets no such constant to a plain value.
    """
    tree = ast.parse((PACKAGE / family / f"{name}.py").read_text(encoding="utf-8"))
    for statement in tree.body:
        if not (isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)):
            continue
        if word in (target.id for target in statement.targets if isinstance(target, ast.Name)):
            return statement.value.value
    return otherwise


def load_member(family: str, name: str, *needed: str) -> ModuleType:
    """The module of a member.

    Args:
        family: a folder of this package.
        name: of a file in it.
        needed: what the file has to define.

    Raises:
        UserError: the file lacks one of these; names it.
    """
    module = import_module(f"nat.{family}.{name}")
    for word in needed:
        if not hasattr(module, word):
            raise UserError(f"{module.__file__}: defines no {word}; see nat/{family}/__init__.py")
    return module


def own(
    kind: type[BaseModel], values: dict[str, Any], group: str, path: Path | str = "params.yaml"
) -> Any:
    """A member's settings, checked.

    Args:
        kind: ``Settings`` of its file.
        values: of its group in params.yaml.
        group: what the group is called there, such as baselines.labels.
        path: of the parameter file.

    Raises:
        UserError: a setting is unknown, missing or wrong.
    """
    from nat.runtime.settings.faults import checked  # which names members

    return checked(kind, values, path, group)
