"""What lies in a folder of images: the one search of every reader, which opens no file.

Links are followed, to files and to folders. Hidden names, and those that systems leave behind, are
neither images nor classes. What is found and not used is counted, by kind.
"""

import os
from bisect import insort
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from nat.data.formats import ENDINGS
from nat.runtime.errors import UserError

# Of macOS, NAS devices, file systems and Windows; compared in lower case.
LEFTOVERS = frozenset(
    (
        "__macosx",
        "icon\r",
        "@eadir",
        "#recycle",
        "@recycle",
        "#snapshot",
        "lost+found",
        "$recycle.bin",
        "system volume information",
        "desktop.ini",
        "thumbs.db",
        "ehthumbs.db",
    )
)

# What is counted
OTHER = "files of other kinds"
LEFT = "hidden or left by a system"
DANGLING = "dangling links"
LOOPS = "links to a folder around them"
SPECIAL = "pipes, sockets or devices"
EMPTY = "folders without images"
LOOSE = "images beside the class folders"
BESIDE = "folders beside train, test and val"
NO_CLASS = "folders that are no class"

SHOWN = 3  # names or endings of a kind


class Unused:
    """What a folder holds that is not used, by kind; as text, one line."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._names: dict[str, list[str]] = {}  # the first in their order
        self._endings: Counter[str] = Counter()

    def add(self, kind: str, name: str) -> None:
        """Count one; ``name`` may be shown."""
        self._counts[kind] += 1
        if kind == OTHER:
            self._endings[ending(name.rpartition("/")[2]) or "no ending"] += 1
            return
        names = self._names.setdefault(kind, [])
        insort(names, name)
        del names[SHOWN:]

    def include(self, other: "Unused", folder: str) -> None:
        """Count what another search has found, in ``folder``."""
        for kind, count in other._counts.items():
            names = [f"{folder}/{name}" for name in other._names.get(kind, [])]
            self._counts[kind] += count
            self._names[kind] = sorted(self._names.get(kind, []) + names)[:SHOWN]
        self._endings += other._endings

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __str__(self) -> str:
        return "; ".join(
            f"{kind}: {count:,} ({self._examples(kind, count)})"
            for kind, count in sorted(self._counts.items())
        )

    def _examples(self, kind: str, count: int) -> str:
        if kind == OTHER:
            by_count = sorted(self._endings.items(), key=lambda item: (-item[1], item[0]))
            found = [f"{shown(end)} {n:,}" for end, n in by_count[:SHOWN]]
            more = len(self._endings) > SHOWN
        else:
            found = [shown(name) for name in self._names[kind]]
            more = count > SHOWN
        return ", ".join(found) + (", ..." if more else "")


class File(NamedTuple):
    """An image's file, as far as its folder tells.

    Attributes:
        name: its path below the root, with slashes.
        size: bytes.
        changed: when it was last written, nanoseconds.
    """

    name: str
    size: int
    changed: int


class Folder(NamedTuple):
    """A folder below the root.

    Attributes:
        name: its path below the root, with slashes; empty for the root.
        trail: device and inode of it and of all folders that it was reached through.
    """

    name: str
    trail: tuple[tuple[int, int], ...]


def look(
    root: Path, unused: Unused, folder: Folder | None = None
) -> tuple[list[Folder], list[File]]:
    """Folders and images directly in a folder, by default the root, in order of their names.

    Raises:
        UserError: it cannot be read.
    """
    folders, files = _scan(root, unused, folder)
    return sorted(folders), sorted(files)


def _scan(root: Path, unused: Unused, folder: Folder | None) -> tuple[list[Folder], list[File]]:
    """As ``look``, in any order."""
    folders, files = [], []
    try:
        if folder is None:
            real = root.resolve()
            around = [path.stat() for path in (real, *real.parents)]
            folder = Folder("", tuple((facts.st_dev, facts.st_ino) for facts in around))
        with os.scandir(root / folder.name) as entries:
            for entry in entries:
                name = f"{folder.name}/{entry.name}" if folder.name else entry.name
                if leftover(entry.name):
                    unused.add(LEFT, name)
                elif entry.is_symlink() and not _leads_somewhere(entry):
                    unused.add(DANGLING, name)
                elif entry.is_dir():
                    facts = entry.stat()
                    identity = (facts.st_dev, facts.st_ino)
                    if identity in folder.trail:
                        unused.add(LOOPS, name)
                    else:
                        folders.append(Folder(name, (*folder.trail, identity)))
                elif ending(entry.name) not in ENDINGS:
                    unused.add(OTHER, name)
                elif entry.is_file():
                    facts = entry.stat()
                    files.append(File(name, facts.st_size, facts.st_mtime_ns))
                else:
                    unused.add(SPECIAL, name)
    except OSError as error:
        where = root / folder.name if folder else root
        raise UserError(
            f"{shown(str(where))}: cannot be looked into ({error.strerror or error}); "
            "make it readable, or take it away"
        ) from error
    return folders, files


def search(root: Path, unused: Unused, folder: Folder | None = None) -> list[File]:
    """All images in a folder, by default the root, and below, in order of their paths' parts.

    Raises:
        UserError: a folder cannot be read.
    """
    folders, found = _scan(root, unused, folder)
    while folders:  # a loop, as folders may lie deeper in each other than calls can
        inner, files = _scan(root, unused, folders.pop())
        folders += inner
        found += files
    return sorted(found, key=lambda file: file.name.split("/"))


def _leads_somewhere(link: os.DirEntry) -> bool:
    try:
        link.stat()
    except OSError:  # it is missing, not to be reached, or the link itself
        return False
    return True


def leftover(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or left behind by a system."""
    return name.startswith(".") or name.lower() in LEFTOVERS


def ending(name: str) -> str:
    """Of a file's name, with the dot, in lower case; empty if it has none."""
    _, dot, after = name.rpartition(".")
    return f".{after.lower()}" if dot else ""


def shown(name: str) -> str:
    """A file's name as part of a line: what is not printable, such as a line's end, as escapes."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in name
    )


def require_text(name: str, what: str) -> None:
    """Check that a name can be written into a file of text.

    Args:
        name: of a file or folder, as the system gives it.
        what: names it in the error.

    Raises:
        UserError: it is not UTF-8.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise UserError(f"{what}: its name is not valid UTF-8; rename it") from error


def no_images(folder: Path, unused: Unused) -> str:
    """An error's text: what was looked for in vain, and what is there."""
    found = f"; found {unused}" if unused else ""
    return f"{folder}: no images ({', '.join(sorted(ENDINGS))}) in it{found}"
