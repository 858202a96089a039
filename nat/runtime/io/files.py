"""Whole files or none: everything is written under a temporary name and renamed when complete.

An output replaces only what the same command wrote (see outputs.py). What a killed process left
under a temporary name is removed by the next one that writes the same output; of a folder that it
was about to replace, the former content is put back.
"""

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from nat.runtime.errors import UserError
from nat.runtime.io.locks import is_open, try_lock
from nat.runtime.io.outputs import NOTHING, Kind, json_like
from nat.runtime.signals import held

TEMPORARY = ".part"  # how the names of temporary folders end
RANDOM = 8  # characters that mkdtemp draws
FORMER = "former"  # in a temporary folder: the content of a folder that is being replaced
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.ESTALE)


@contextmanager
def atomic_write(path: Path | str, kind: Kind = NOTHING) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` if the block succeeds.

    The block may create a file or a folder there. On an exception nothing is left behind and an
    existing ``path`` stays as it was. A link at ``path`` is replaced, not what it points to, which
    may be in DVC's cache.

    Args:
        path: to write.
        kind: what there may be replaced.

    Raises:
        UserError: ``path`` holds something else, its folder cannot be written, or the disk is full.
    """
    path = check_output(path, kind)
    with disk_faults(path), workplace(path) as folder:
        temporary = folder / path.name
        yield temporary
        _settle(temporary)
        _move_in(temporary, path, folder)


@contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Tell of a full or failing disk, within, in a line that names ``path``, which is written.

    Raises:
        UserError: in place of the system's own error, which often names no file.
    """
    try:
        yield
    except OSError as error:
        # a file elsewhere is another's to tell of, one in a workplace is the whole output's
        elsewhere = error.filename and path.parent not in Path(error.filename).parents
        if error.errno not in DISK or elsewhere or _in_workplace(path):
            raise
        raise UserError(
            f"{path}: {os.strerror(error.errno)}; make room there, or name another place, and run "
            "the same command again"
        ) from error


def check_output(path: Path | str, kind: Kind = NOTHING) -> Path:
    """Fail now, before the work, if ``path`` cannot be written later, or should not be.

    Args:
        path: the output's; its folder is made where it is missing.
        kind: what there may be replaced.

    Returns:
        The path, free of dots.

    Raises:
        UserError: names the path.
    """
    path = Path(path)
    if path.name in ("", ".."):
        path = path.resolve()
    if Path.cwd().is_relative_to(path.resolve()):
        raise UserError(f"{path}: is the working folder, or holds it; name another output")
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise UserError(f"{path}: is a device, pipe or socket, not a file; name another output")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        sweep(path)
        foreign = path.exists() and not kind.may_replace(path)
    except OSError as error:
        if _in_workplace(path):
            raise
        raise UserError(
            f"{path}: cannot be written ({error.strerror or error}); name another output "
            f"or mend the permissions of {path.parent}"
        ) from error
    if foreign:
        raise UserError(
            f"{path}: exists and is not {kind.what}, so it is not replaced; name another output, "
            "or move it away"
        )
    return path


@contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """A temporary folder beside ``path`` that is gone afterwards.

    It is locked for as long as its process lives, by which ``sweep`` tells the forgotten ones.
    """
    sweep(path)
    folder: Path | None = None
    try:
        with held():
            folder, handle = _claimed(path)
        yield folder
    finally:
        with held():
            if folder is not None:
                _put_back(folder, path)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(handle)


def _claimed(path: Path) -> tuple[Path, int]:
    """A new temporary folder beside ``path``, and its handle, by which it is locked."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=TEMPORARY, dir=path.parent))
        try:
            handle = os.open(folder, os.O_RDONLY)
        except FileNotFoundError:  # somebody swept it already
            continue
        with suppress(OSError):  # a disk without locks
            try_lock(handle)
        if is_open(folder, handle):  # nobody swept it before it was locked
            return folder, handle
        os.close(handle)


def _in_workplace(path: Path) -> bool:
    """Whether a path is below a temporary folder, which tells a user nothing."""
    return any(name.startswith(".") and name.endswith(TEMPORARY) for name in path.parts[:-1])


def sweep(path: Path) -> None:
    """Remove what killed processes left on their way to ``path``; put a former folder back."""
    start = f".{path.name}."
    length = len(start) + RANDOM + len(TEMPORARY)
    with os.scandir(path.parent) as entries:
        found = [
            Path(entry)
            for entry in entries
            if entry.name.startswith(start)
            and entry.name.endswith(TEMPORARY)
            and len(entry.name) == length
        ]
    for folder in found:
        with suppress(OSError):  # another user's, or another process was faster
            handle = os.open(folder, os.O_RDONLY)
            try:
                if try_lock(handle):
                    _put_back(folder, path)
                    shutil.rmtree(folder)
            finally:
                os.close(handle)


def _move_in(new: Path, path: Path, folder: Path) -> None:
    """Rename ``new`` to ``path``; a folder that is there moves into the workplace ``folder``."""
    former = folder / FORMER
    while True:
        try:
            # a folder with entries is not renamed over, nor is a link by a folder
            if path.is_dir() or (path.is_symlink() and new.is_dir()):
                path.rename(former)
            new.replace(path)
            return
        except OSError as error:
            # another process has put the same output there, or is about to, in between
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT) or not new.exists():
                raise
            shutil.rmtree(former, ignore_errors=True)


def _put_back(folder: Path, path: Path) -> None:
    """Undo the first half of ``_move_in`` if its second half did not come."""
    former = folder / FORMER
    if former.exists() and not path.exists():
        former.rename(path)


def replace_folder(new: Path, path: Path) -> None:
    """Rename the folder ``new`` to ``path`` on the same disk, in place of a folder of ours.

    After a kill meanwhile the former folder is at ``path``, or ``sweep`` puts it back.
    """
    with workplace(path) as folder:
        _move_in(new, path, folder)


def discard(path: Path) -> None:
    """Remove a folder at once: a process that is killed meanwhile leaves no half of it."""
    with workplace(path) as folder, suppress(FileNotFoundError):
        path.rename(folder / path.name)


def _settle(path: Path) -> None:
    """Give a new file or folder the modes of the umask; wait until the disk has a file.

    Some libraries write files that their owner alone can read. Of a folder's files, those that
    matter were written whole themselves; to wait for each of a data set's would take minutes.
    """
    mask = os.umask(0o077)
    os.umask(mask)
    if path.is_file():
        path.chmod(0o666 & ~mask)
        sync(path)
    for folder, _, names in os.walk(path):
        Path(folder).chmod(0o777 & ~mask)
        for name in names:
            Path(folder, name).chmod(0o666 & ~mask)


def sync(path: Path) -> None:
    """Wait until the disk has what was written into the file, by whichever process."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path | str, content: Any, kind: Kind | None = None) -> None:
    """Write ``content`` as indented JSON with a final newline, whole.

    Args:
        path: to write.
        content: of dicts, lists, texts, numbers, booleans and None.
        kind: what may be replaced; None: JSON with the same keys.
    """
    with atomic_write(path, json_like(content) if kind is None else kind) as temporary:
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path | str, made_by: str, *needed: str) -> Any:
    """Read JSON that the command ``made_by`` wrote, with at least the keys ``needed``.

    Raises:
        UserError: missing, damaged or something else; names the command that makes it.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; make it with `python -m nat {made_by}`") from error
    except (ValueError, RecursionError) as error:
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
