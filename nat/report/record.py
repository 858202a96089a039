"""A file that a stage wrote: its numbers, and where they come from."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from nat.report.names import METHODS, data_name
from nat.report.schema import Written
from nat.runtime.errors import UserError
from nat.runtime.io.files import read_json
from nat.runtime.io.foreign import reason

OF_CLASS = ": "  # between a number's key and the class it is of


@dataclass(frozen=True)
class Record:
    """A JSON file of a stage.

    Attributes:
        file: its name, the artifacts' folder first; never an absolute path.
        stage: the command that wrote it.
        method: whose numbers they are; empty where a file belongs to none.
        measured: its numbers.
        provenance: see nat/runtime/provenance.py.
        detail: what sets it apart from others of its stage and method; may be empty.
    """

    file: str
    stage: str
    method: str
    measured: Any
    provenance: dict[str, Any]
    detail: str = ""

    @property
    def data(self) -> str:
        """The name for people of the data it was measured on."""
        return data_name(self.provenance["data"])

    @property
    def subject(self) -> str:
        """Whose numbers these are, for people."""
        return ", ".join(filter(None, (METHODS.get(self.method, self.method), self.detail)))

    def number(self, key: str) -> float:
        """One of its numbers.

        Raises:
            UserError: it has no such number.
        """
        return number(self.measured, key, self)

    def rows(self) -> list[Any]:
        """Its numbers where they are a list.

        Raises:
            UserError: they are not.
        """
        if not isinstance(self.measured, list):
            raise UserError(
                f"{self.file}: no list of epochs; make it again with `python -m nat {self.stage}`"
            )
        return self.measured

    def parameter(self, *names: str) -> Any:
        """A setting that it was made with.

        Raises:
            UserError: it does not tell.
        """
        value = self.provenance["parameters"]
        for name in names:
            if not isinstance(value, dict) or name not in value:
                raise UserError(
                    f"{self.file}: no parameter {'.'.join(names)}; "
                    f"make it again with `python -m nat {self.stage}`"
                )
            value = value[name]
        return value

    def numbers(self) -> Iterator[tuple[str, float | None]]:
        """All its numbers with their keys, as ``Measured.key`` names them."""
        if isinstance(self.measured, list):
            for row in self.measured:
                for key, value in row.items():
                    if key != "epoch":
                        yield epoch_key(row.get("epoch"), key), value
            return
        for key, value in self.measured.items():
            if isinstance(value, dict):
                yield from ((f"{key}{OF_CLASS}{name}", each) for name, each in value.items())
            else:
                yield key, value


def epoch_key(epoch: Any, key: str) -> str:
    """The key of a number that was measured at several epochs."""
    return f"epoch {epoch}, {key}"


def number(content: Any, key: str, record: Record) -> float:
    """A finite number of a record's ``content``.

    Raises:
        UserError: there is none; names the file and the command that makes it.
    """
    value = content.get(key) if isinstance(content, dict) else None
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not abs(value) <= sys.float_info.max  # NaN is not, nor an integer beyond any float
    ):
        raise UserError(
            f"{record.file}: no number {key!r}; make it again with `python -m nat {record.stage}`"
        )
    return float(value)


@dataclass(frozen=True)
class Folder:
    """The artifacts' folder and the seeds to read from it."""

    path: Path
    seeds: tuple[int, ...]

    def name(self, path: str) -> str:
        """What the reports call a file: absolute paths would differ from machine to machine."""
        return f"{self.path.resolve().name}/{path}"

    def each(self, pattern: str, stage: str, method: str, detail: str = "") -> tuple[Record, ...]:
        """The records of all seeds, in their order.

        Args:
            pattern: path within the folder, ``{}`` for the seed.
            stage: the command that makes them.
            method: of the records.
            detail: of the records.

        Raises:
            UserError: one is missing or damaged; names it and the command.
        """
        return tuple(self._read(pattern.format(seed), stage, method, detail) for seed in self.seeds)

    def _read(self, path: str, stage: str, method: str, detail: str) -> Record:
        content = read_json(self.path / path, stage)
        try:
            Written.model_validate(content)
        except ValidationError as error:
            raise UserError(
                f"{self.name(path)}: does not hold numbers and where they come from "
                f"({reason(error)}); make it again with `python -m nat {stage}`"
            ) from error
        return Record(
            self.name(path), stage, method, content["measured"], content["provenance"], detail
        )


def check_same_data(records: list[Record]) -> None:
    """Refuse to join what was measured on different data.

    Raises:
        UserError: names two files that differ.
    """
    for record in records[1:]:
        if record.data != records[0].data:
            raise UserError(
                f"{record.file}: measured on {record.data}, but {records[0].file} on "
                f"{records[0].data}; make both again with `python -m nat {record.stage}`"
            )
