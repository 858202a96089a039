"""Reads params.yaml and overrides, and says in one line what is wrong with them."""

from pathlib import Path
from typing import Any

from nat.runtime.errors import UserError
from nat.runtime.settings.faults import checked
from nat.runtime.settings.params import Params, pairs_of
from nat.runtime.settings.yaml_file import load, read_text


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
    return checked(Params, content, path)


def overridden(params: Params, override: str, path: Path | str = "params.yaml") -> Params:
    """Parameters of an ablation.

    Args:
        params: of params.yaml.
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
    return checked(Params, content, f"{path}: {override}")


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
