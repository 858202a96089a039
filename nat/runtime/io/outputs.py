"""What an output may replace: an earlier one of the same command, told by its content.

A name proves nothing: ``--out`` may be mistyped. So each command says how its own output is
recognised, and anything else that stands at the path is left alone. Empty files and folders hold
nothing to lose and may always be replaced.
"""

import json
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

from safetensors import SafetensorError, safe_open

LARGEST = 2**28  # bytes of a JSON file that is read to recognise it
# what foreign content may lead to while it is looked into
FOREIGN = (
    ValueError, LookupError, TypeError, AttributeError, RecursionError, EOFError, BadZipFile,
    SafetensorError,
)  # fmt: skip
# what DVC, file managers and NAS devices put into any folder, and nobody would miss
OF_OTHERS = re.compile(
    r"\.gitignore|\.DS_Store|\._.*|\.ipynb_checkpoints|@eaDir|Thumbs\.db|desktop\.ini"
)


@dataclass(frozen=True)
class Kind:
    """A kind of output.

    Attributes:
        what: in words, as in "exists and is not ...".
        is_mine: whether a path, which exists, holds one; may fail on foreign content.
        folder: whether it is a folder.
    """

    what: str
    is_mine: Callable[[Path], bool]
    folder: bool = False

    def may_replace(self, path: Path) -> bool:
        """Whether what is at ``path`` is empty, or of this kind."""
        if path.is_dir() != self.folder:
            return False
        if not (any(path.iterdir()) if self.folder else path.stat().st_size):
            return True
        with suppress(*FOREIGN):
            return self.is_mine(path)
        return False


NOTHING = Kind("empty", lambda _: False)
FILE_OF_OURS = Kind("a file", lambda _: True)  # in scratch, under a name that nobody else gives
FOLDER_OF_OURS = Kind("a folder", lambda _: True, folder=True)


def beginning(what: str, *starts: bytes) -> Kind:
    """A file that begins with one of ``starts``."""

    def is_mine(path: Path) -> bool:
        with open(path, "rb") as file:
            return file.read(max(map(len, starts))).startswith(starts)

    return Kind(what, is_mine)


def array(what: str, named: bool = False) -> Kind:
    """An .npy file, with or without the names of its rows beside it (see ``names_of``)."""
    npy = beginning(what, b"\x93NUMPY")
    return Kind(what, lambda path: npy.is_mine(path) and names_of(path).is_file() == named)


def names_of(path: Path) -> Path:
    """Where the names of the rows of an .npy file lie."""
    return path.with_suffix(".names.json")


def json_like(content: Any) -> Kind:
    """JSON of the same kind as ``content``: with the same keys, or a list."""

    def is_mine(path: Path) -> bool:
        found = _json(path)
        if isinstance(content, dict):
            return isinstance(found, dict) and found.keys() == content.keys()
        return type(found) is type(content)

    return Kind("JSON of the same command", is_mine)


def json_where(what: str, holds: Callable[[Any], bool]) -> Kind:
    """JSON of whose content something holds."""
    return Kind(what, lambda path: holds(_json(path)))


def tensors(what: str, key: str) -> Kind:
    """A safetensors file whose metadata have ``key``."""

    def is_mine(path: Path) -> bool:
        with safe_open(path, "np") as file:
            return key in (file.metadata() or {})

    return Kind(what, is_mine)


def archive(what: str, names: Collection[str]) -> Kind:
    """An .npz file of these arrays."""

    def is_mine(path: Path) -> bool:
        if not is_zipfile(path):
            return False
        with ZipFile(path) as file:
            return {name.removesuffix(".npy") for name in file.namelist()} == set(names)

    return Kind(what, is_mine)


def folder(what: str, key: str, others: str = "", of: Kind | None = None) -> Kind:
    """A folder of files that the command names itself.

    Args:
        what: in words.
        key: a file that must be there.
        others: regular expression of the other names that may be.
        of: the kind of ``key``.
    """

    def is_mine(path: Path) -> bool:
        names = _names(path)
        known = all(name == key or re.fullmatch(others, name) for name in names)
        return known and key in names and (of is None or of.may_replace(path / key))

    return Kind(what, is_mine, folder=True)


def any_of(what: str, names: str) -> Kind:
    """A folder of files whose names match the regular expression ``names``."""

    def is_mine(path: Path) -> bool:
        return all(re.fullmatch(names, name) for name in _names(path))

    return Kind(what, is_mine, folder=True)


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if not OF_OTHERS.fullmatch(entry.name)}


def _json(path: Path) -> Any:
    if path.stat().st_size > LARGEST:
        return None
    return json.loads(path.read_text())
