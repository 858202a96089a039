"""Reads params.yaml and overrides, and says in one line what is wrong with them."""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from nat.runtime.errors import UserError
from nat.runtime.settings.families import members
from nat.runtime.settings.params import Params, pairs_of
from nat.runtime.settings.yaml_file import load, read_text, shown


def load_params(path: Path | str = "params.yaml", overrides: tuple[str, ...] = ()) -> Params:
    """Read and check a parameter file.

    Args:
        path: a YAML file with every setting of Params.
        overrides: ``NAME=VALUE`` texts, e.g. ``pretrain.epochs=3``; the value is YAML.

    Raises:
        UserError: the file is missing, is no YAML, or a setting is unknown, missing or wrong.
    """
    try:
        content = load(read_text(path), path)
    except OSError as error:
        raise UserError(
            f"{path}: {error.strerror}; run in the project's folder or name the file by --params"
        ) from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: should hold named settings, such as `permute_every: 3`")
    for override in overrides:
        _override(content, override)
    return check_params(content, path)


def check_params(content: dict[str, Any], path: Path | str) -> Params:
    """Check what was read from ``path``.

    Raises:
        UserError: a setting is unknown, missing or wrong.
    """
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {first_fault(error, Params)}") from error


def overridden(params: Params, override: str, path: Path | str = "params.yaml") -> Params:
    """Parameters of an ablation.

    Args:
        params: of the spine.
        override: ``NAME=VALUE``, several joined by commas; empty changes nothing.
        path: of the parameter file.

    Raises:
        UserError: a setting is unknown or wrong.
    """
    if not override:
        return params
    content = params.model_dump()
    try:
        pairs = pairs_of(override)
    except ValueError as error:
        raise UserError(f"--override {error}") from error
    for name, value in pairs:
        _set(content, name, value, f"{path}: {override}")
    try:
        return Params.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {override}: {first_fault(error, Params)}") from error


def _override(content: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    if not equals:
        raise UserError(f"--set {override}: should be NAME=VALUE, e.g. pretrain.epochs=3")
    _set(content, name, value, "--set")


def _set(content: dict[str, Any], name: str, value: str, where: str) -> None:
    *groups, last = name.split(".")
    group = content
    for word in groups:
        group = group.get(word, None) if isinstance(group, dict) else None  # type: ignore[assignment]
    if not isinstance(group, dict) or last not in group:
        raise UserError(f"{where} {name}: no such setting in the parameter file")
    group[last] = load(value, f"{where} {name}")


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
