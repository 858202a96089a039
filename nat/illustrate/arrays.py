"""Arrays and facts in one small file, for stages that pick what a figure shows.

Plain arrays in an .npz archive; facts are JSON text, so nothing is pickled.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Protocol, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from nat.runtime.io.arrays import TEXT, Kinds, open_archive
from nat.runtime.io.files import atomic_write
from nat.runtime.io.foreign import reading
from nat.runtime.io.outputs import Kind, archive

Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Checked(BaseModel):
    """Strictly typed; other names may stand beside."""

    model_config = ConfigDict(strict=True)


class Provenance(Checked):
    """Where numbers come from (see nat/runtime/provenance.py)."""

    data: Annotated[str, Field(min_length=1)]
    store: str | None = None
    images: dict[str, Integer] = {}
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    device: str
    threads: Integer
    compiled: bool = False
    processes: Integer = 1
    launcher: str = "python"
    hardware: str
    python: str
    versions: dict[str, str]
    commit: str
    parameters: dict[str, Any]


class Checkable(Protocol):
    """What knows which numbers fit together."""

    def check(self) -> None:
        """Compare them.

        Raises:
            ValueError: they do not fit.
        """


Content = TypeVar("Content", bound=Checkable)
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
    with atomic_write(path, arrays_of(type(content))) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)


def load_arrays(
    kind: type[Content],
    path: Path,
    made_by: str,
    layout: Mapping[str, Kinds],
    facts: type[BaseModel],
) -> Content:
    """Read what ``save_arrays`` wrote.

    Args:
        kind: the dataclass, with a method ``check`` that refuses numbers which do not fit.
        path: of the file.
        made_by: the command that writes it.
        layout: types and shapes of the arrays.
        facts: what the facts should hold.

    Raises:
        UserError: missing, damaged, or of another version of this project.
    """
    what, remedy = "illustration of this project", f"make it with `python -m nat {made_by}`"
    text: Kinds = {TEXT: ()}
    arrays = open_archive(path, dict(layout) | dict.fromkeys(JSON, text), what, remedy)
    with reading(path, what, remedy):
        content: dict[str, Any] = arrays | {name: json.loads(str(arrays[name])) for name in JSON}
        facts.model_validate(content["facts"])
        Provenance.model_validate(content["provenance"])
        for name, array in arrays.items():
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise ValueError(f"{name} holds a number that is NaN or infinite")
        found = kind(**content)
        found.check()
        return found


def within(rows: Any, count: int, what: str) -> None:
    """Check that an integer array has rows of a list.

    Raises:
        ValueError: names the array.
    """
    if rows.size and not (rows.min() >= 0 and rows.max() < count):
        raise ValueError(f"{what} leaves 0 to {count - 1}")
