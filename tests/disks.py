"""Every command on a disk that is full, read-only or another's: how to try it, and what must hold.

A command that fails so says in one line which file and why. Everything there was before is as it
was, or as it should become; nothing half-written is left; and once the trouble is over, the same
command ends in the bytes of one that never had any.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from commands import Done, Limits, command
from contents import FOLDER, Contents, contents
from recipes import Recipe, make_bench, recipes
from tiny import PROJECT, settings
from users import NOBODY

CAUSES = {
    "full": "No space left on device|MB are free",
    "names": "No space left on device",
    "read-only": "Read-only file system",
    "forbidden": "Permission denied",
    "size": "File too large",
    "quota": "Disk quota exceeded",
}
RECIPES = recipes("disks")
MOUNTED = ("full", "names", "read-only", "quota")
IMAGE = 2**28  # bytes of the file that a Btrfs lies in
PAGE = 4096  # bytes: what a tmpfs gives out at a time


@dataclass(frozen=True)
class Trouble:
    """What is wrong with the disk.

    Attributes:
        kind: one of CAUSES. full: a tmpfs with ``amount`` bytes left; names: one where ``amount``
            files may be made; size: no file may be larger than ``amount`` bytes; quota: a Btrfs
            whose quota leaves ``amount`` bytes.
        amount: see above.
        spares: "scratch" or "outs" if machine.scratch, or all outputs, lie on a good disk.
    """

    kind: str
    amount: int = 0
    spares: str = ""


def differences(found: Contents, expected: Contents) -> list[str]:
    """The files that differ; of locks, which are nobody's output, none."""
    return sorted(
        name
        for name in found.keys() | expected.keys()
        if found.get(name) != expected.get(name) and not name.endswith(".lock")
    )


@contextmanager
def small_disk(folder: Path, kind: str = "full") -> Iterator[None]:
    """A tmpfs at the empty ``folder``, or a Btrfs for a quota; none where ``kind`` needs none."""
    if kind not in MOUNTED:
        yield
        return
    image = folder.with_suffix(".btrfs")
    if kind == "quota":
        with open(image, "wb") as file:
            file.truncate(IMAGE)
        call("mkfs.btrfs", "-q", image)
        call("mount", "-o", "loop", image, folder)
    else:
        call("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", folder)
    try:
        if kind == "quota":
            call("btrfs", "quota", "enable", folder)
        yield
    finally:
        call("umount", folder)
        image.unlink(missing_ok=True)


def call(*words: str | Path) -> str:
    """What a program of the system prints, which must end well."""
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def remount(disk: Path, options: str) -> None:
    """Change a tmpfs's options, such as ``size=64k``."""
    call("mount", "-o", f"remount,{options}", disk)


def used_of_quota(disk: Path) -> int:
    """Bytes that count against a Btrfs's quota."""
    rows = call("btrfs", "qgroup", "show", "--raw", "--sync", disk).splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("0/5 "))


@cache
def cannot_mount(kind: str = "full") -> str | None:
    """Why no small disk can be had here; None if one can."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            (Path(folder) / "disk").mkdir()
            with small_disk(Path(folder) / "disk", kind):
                return None
        except (OSError, subprocess.CalledProcessError):
            if kind == "quota":
                return "a quota needs root, a loop device and btrfs-progs"
            return "mounting a small disk needs root; put `unshare --map-root-user --mount` before"


@cache
def cannot_be_another() -> str | None:
    """Why no other user can run the commands here; None if one can, or need not."""
    if os.geteuid() != 0:
        return None  # folders without permission stop us ourselves
    words = [sys.executable, "-c", f"import users; users.become({NOBODY})"]
    tried = subprocess.run(words, cwd=PROJECT / "tests", capture_output=True, text=True)
    return tried.stderr.strip().splitlines()[-1] if tried.returncode else None


class Bench:
    """Tries recipes on troubled disks.

    ``inputs`` is what the commands read, ``disk`` what they write, ``aside`` machine.scratch where
    one of these is spared. Each recipe finds an earlier output of its own.
    """

    def __init__(self, folder: Path) -> None:
        """Fill the empty ``folder``, which others may see."""
        folder.chmod(0o755)
        self.folder, self.disk, self.aside = folder, folder / "disk", folder / "aside"
        self.inputs = folder / "inputs"
        self.inputs.mkdir()
        make_bench(self.inputs, settings(), 6, self._made)
        self._whole: dict[str, Contents] = {}

    def _made(self, words: list[str]) -> None:
        done = command(self.inputs, *words)
        assert done.code == 0, (words, done)

    def run(self, name: str, spares: str = "", earlier: bool = False, **limits: Any) -> Done:
        """Run a recipe."""
        scratch = self.aside / "scratch" if spares else self.disk / "scratch"
        words = RECIPES[name].line(self.inputs, self.disk, scratch, earlier)
        return command(self.folder, *words, limits=Limits(**limits))

    def earlier(self, name: str) -> Path:
        """A copy of the disk with a recipe's earlier output, made with the umask 002."""
        kept, recipe = self.folder / "earlier" / name, RECIPES[name]
        if not kept.exists():
            self.disk.mkdir()
            if recipe.given:
                (self.disk / recipe.outs[0]).write_text(recipe.given)
            else:
                done = self.run(name, earlier=True, umask=0o002)
                assert done.code == 0, done
            kept.parent.mkdir(exist_ok=True)
            self.disk.rename(kept)
        return kept

    def whole(self, name: str) -> Path:
        """A copy of the disk after a recipe without trouble, umask 022, earlier output before."""
        kept = self.folder / "whole" / name
        if not kept.exists():
            shutil.copytree(self.earlier(name), self.disk)
            done = self.run(name)
            assert done.code == 0, done
            kept.parent.mkdir(exist_ok=True)
            self.disk.rename(kept)
            self._whole[name] = contents(kept)
        return kept

    def try_out(self, name: str, trouble: Trouble) -> tuple[Done, list[str]]:
        """Run a recipe in trouble, and again without.

        Returns:
            How the first ended, and what was wrong.
        """
        self.whole(name)
        place = self.aside if trouble.spares == "outs" else self.disk
        with _made(self.disk), _made(self.aside), small_disk(place, trouble.kind):
            shutil.copytree(self.earlier(name), self.disk, dirs_exist_ok=True)
            before = contents(self.disk)
            with troubled(place, trouble) as limits:
                done = self.run(name, trouble.spares, **limits)
            found = self._judge(name, trouble, done, before)
            if done.code and (any(self.aside.iterdir()) or contents(self.disk) != before):
                again = self.run(name, trouble.spares)
                if again.code:
                    found.append(f"run again, ends with {again.code}: {again.err}")
                elif wrong := self._unlike(name):
                    found.append(f"run again, differs: {', '.join(wrong)}")
        return done, found

    def _unlike(self, name: str) -> list[str]:
        """The files that differ from those after a run without trouble."""
        # nor is anything left of the state
        return differences(contents(self.disk), self._whole[name]) + [
            f for f in contents(self.aside) if f != "scratch" and ".lock" not in f
        ]

    def _judge(self, name: str, trouble: Trouble, done: Done, before: Contents) -> list[str]:
        whole, after = self._whole[name], contents(self.disk)
        if done.code == 0:
            wrong = self._unlike(name)
            return [f"ends well, differs: {', '.join(wrong)}"] if wrong else []
        found = wrongly_said(done, trouble, self.folder)
        if lost := sorted(before.keys() - after.keys()):
            found.append(f"lost: {', '.join(lost)}")
        known = before.keys() | whole.keys()
        right = {name: (before.get(name), whole.get(name)) for name in known}
        if half := [f for f in after if f in known and after[f] not in right[f]]:
            found.append(f"half-written: {', '.join(half)}")
        after |= {str(self.aside / file): FOLDER for file in contents(self.aside)}
        if left := [f for f in after if f not in known and not STATE.fullmatch(f)]:
            found.append(f"left: {', '.join(left)}")
        return found


# what an interrupted work may keep, to go on from
STATE = re.compile(r"(.*/)?scratch(/[^.][^/]*)*|data(/stores(/unfinished-.*)?)?")


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    folder.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(folder)


@contextmanager
def troubled(disk: Path, trouble: Trouble) -> Iterator[dict[str, Any]]:
    """Bring trouble about and end it; yields the limits that the command needs for it."""
    facts = os.statvfs(disk)
    if trouble.kind == "size":
        yield {"largest": trouble.amount}
    elif trouble.kind == "quota":
        call("btrfs", "qgroup", "limit", str(used_of_quota(disk) + trouble.amount), "0/5", disk)
        yield {}
        call("btrfs", "quota", "disable", disk)  # a full quota's limit cannot be changed
    elif trouble.kind == "full":
        used = (facts.f_blocks - facts.f_bfree) * facts.f_frsize
        remount(disk, f"size={max(used + trouble.amount, 1)}")  # 0 is no limit
        yield {}
        remount(disk, "size=1g")
    elif trouble.kind == "names":
        remount(disk, f"nr_inodes={facts.f_files - facts.f_ffree + trouble.amount}")
        yield {}
        remount(disk, "nr_inodes=1m")
    elif trouble.kind == "read-only":
        remount(disk, "ro")
        yield {}
        remount(disk, "rw")
    else:
        root = os.geteuid() == 0
        bench = disk.parent
        folders = [path for path in (disk, *disk.rglob("*")) if path.is_dir()]
        good = [p for top in ("disk", "aside") for p in (bench / top, *(bench / top).rglob("*"))]
        modes = {path: path.stat().st_mode for path in good if path.is_dir()}
        for path in modes:
            path.chmod(0o555 if path in folders else 0o777)
        yield {"user": NOBODY} if root else {}
        for path, mode in modes.items():
            path.chmod(mode)


BEFOREHAND = re.compile(
    r"images: |\S+ \d+/\d+: (loss|[\d,]+ images/s)|\S+: resuming at epoch |sift_fisher: "
)


def wrongly_said(done: Done, trouble: Trouble, folder: Path) -> list[str]:
    """What is wrong with how a command ended: it should name a file below ``folder``, and why."""
    if done.code != 1:
        return [f"ends with {done.code}: {done.err[-300:]}"]
    # what a store takes is said beforehand, and each epoch and step as it ends
    lines = [line for line in done.err.splitlines() if not BEFOREHAND.match(line)]
    if len(lines) != 1 or not lines[0].startswith("error: "):
        return [f"{len(lines)} lines, the last: {lines[-1] if lines else ''}"]
    found = []
    if not re.search(CAUSES[trouble.kind], lines[0]):
        found.append(f"another cause: {lines[0]}")
    if not lines[0].startswith(f"error: {folder}/") or "/." in lines[0]:
        found.append(f"no file, or one that nobody knows: {lines[0]}")
    return found


def modes(disk: Path, recipe: Recipe) -> dict[str, int]:
    """The permissions of a recipe's outputs, files alone."""
    files = [path for out in recipe.outs for path in (disk / out, *(disk / out).rglob("*"))]
    return {
        str(path.relative_to(disk)): stat.S_IMODE(path.stat().st_mode)
        for path in files
        if path.is_file()
    }
