"""Arrays and facts in one small file, for stages that pick what a figure shows.

Plain arrays in an .npz archive; facts are JSON text, so nothing is pickled.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np

from nat.errors import UserError
from nat.files import whole
from nat.outputs import Kind, archive

Content = TypeVar("Content")
JSON = ("facts", "provenance")


def arrays_of(kind: type) -> Kind:
    """What the file of a dataclass may replace: one of the same."""
    return archive("an illustration of this project", [f.name for f in dataclasses.fields(kind)])


def save_arrays(content: Any, path: Path) -> None:
    """Write ``path`` (.npz), whole.

    Args:
        content: a dataclass with the dicts facts and provenance, and arrays.
        path: to write.
    """
    arrays: dict[str, Any] = {
        field.name: json.dumps(value) if field.name in JSON else value
        for field in dataclasses.fields(content)
        for value in [getattr(content, field.name)]
    }
    with whole(path, arrays_of(type(content))) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


def load_arrays(kind: type[Content], path: Path, made_by: str) -> Content:
    """Read what ``save_arrays`` wrote.

    Args:
        kind: the dataclass.
        path: of the file.
        made_by: the command that writes it.

    Raises:
        UserError: missing, damaged, or of another version of this project.
    """
    remedy = f"`python -m nat {made_by}`"
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    try:
        with np.load(path, allow_pickle=False) as file:
            content: dict[str, Any] = {name: file[name] for name in names}
        content |= {name: json.loads(str(content[name])) for name in JSON}
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; make it with {remedy}") from error
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"{path}: no illustration of this project ({reason}); make it again with {remedy}"
        ) from error
    return kind(**content)
