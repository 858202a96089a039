"""Whole files or none: everything is written under a temporary name and renamed when complete."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nat.errors import UserError


@contextmanager
def whole(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` if the block succeeds.

    The block may create a file or a folder there. On an exception nothing is left behind and an
    existing ``path`` stays as it was.

    Raises:
        UserError: the folder of ``path`` cannot be written.
    """
    path = Path(path)
    check_writable(path)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent)) / path.name
    try:
        yield temporary
        if path.is_dir():  # replace() does not replace a folder that has entries
            shutil.rmtree(path)
        temporary.replace(path)
    finally:
        shutil.rmtree(temporary.parent, ignore_errors=True)


def check_writable(path: Path | str) -> None:
    """Fail now, before the work, if ``path`` cannot be written later.

    Raises:
        UserError: names the path.
    """
    folder = Path(path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); name another output "
            f"or mend the permissions of {folder}"
        ) from error


def write_json(path: Path | str, content: Any) -> None:
    """Write ``content`` as indented JSON with a final newline, whole."""
    with whole(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path | str, made_by: str, *needed: str) -> Any:
    """Read JSON that the command ``made_by`` wrote, with at least the keys ``needed``.

    Raises:
        UserError: missing, damaged or something else; names the command that makes it.
    """
    try:
        content = json.loads(Path(path).read_text())
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; make it with `python -m nat {made_by}`") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: not valid JSON ({error}); make it again with `python -m nat {made_by}`"
        ) from error
    if needed and not (isinstance(content, dict) and content.keys() >= set(needed)):
        raise UserError(
            f"{path}: has no {' and '.join(needed)}, so is not what `python -m nat {made_by}` "
            "writes; name its file, or make it again"
        )
    return content


def sha256(path: Path | str) -> str:
    """Hex digest of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
