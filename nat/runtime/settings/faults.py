"""What is wrong with settings, in one line that names the setting."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from nat.runtime.errors import UserError
from nat.runtime.settings.families import members
from nat.runtime.settings.yaml_file import shown

Settings = TypeVar("Settings", bound=BaseModel)


def checked(kind: type[Settings], content: Any, path: Path | str, group: str = "") -> Settings:
    """Settings of a kind.

    Args:
        kind: of settings.
        content: what the parameter file has.
        path: of that file.
        group: what they are called there, such as baselines.labels; empty for the whole of it.

    Raises:
        UserError: a setting is unknown, missing or wrong.
    """
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {first_fault(error, kind, group)}") from error


def first_fault(error: ValidationError, kind: type[BaseModel], group: str = "") -> str:
    """The first fault as ``name: what is wrong (got value)``, and how many more there are.

    Args:
        error: of validating a ``kind``.
        kind: a group of settings.
        group: what it is called in params.yaml; empty for the whole of it.
    """
    faults = error.errors(include_url=False)
    fault = faults[0]
    # unions add the tried type's name to the location: settings' own names are enough
    known = _setting_names(kind) | {*members("methods"), *members("targets")}
    place = tuple(part for part in fault["loc"] if part != "[key]")
    parts = [str(part) for part in place if str(part) in known or type(part) is int]
    name = ".".join([*filter(None, [group]), *parts])
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    if fault["type"] == "extra_forbidden":
        words = [str(part) if str(part).isidentifier() else shown(part) for part in place]
        siblings: Any = kind
        for part in place[:-1]:
            siblings = siblings.model_fields[part].annotation
        name = ".".join([*filter(None, [group]), *words])
        return f"{name}: unknown setting; known here: {', '.join(siblings.model_fields)}{more}"
    if fault["type"] == "missing":
        missing = ".".join([*filter(None, [group]), *(str(part) for part in place)])
        return f"{missing}: missing; add it{more}"
    if fault["type"] == "value_error":
        said = fault["msg"].removeprefix("Value error, ")
        return f"{name}: {said}{more}" if name else said
    alternatives = [f for f in faults if f["loc"][: len(fault["loc"]) - 1] == fault["loc"][:-1]]
    texts = [f["msg"].removeprefix("Value error, ").removeprefix("Input ") for f in alternatives]
    if len(alternatives) > 1 and all(str(f["loc"][-1]) not in known for f in alternatives):
        return f"{name}: {' or '.join(texts)} (got {shown(fault['input'])})"
    return f"{name}: {texts[0]} (got {shown(fault['input'])}){more}"


def _setting_names(group: type[BaseModel]) -> set[str]:
    names = set(group.model_fields)
    for field in group.model_fields.values():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names |= _setting_names(field.annotation)
    return names
