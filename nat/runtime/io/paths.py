"""Where the folders and files that params.yaml names lie.

Image stores and training state lie outside DVC's cache: a store may hold 84 GB, and a training's
state must outlive its interruption. Queued experiments (``dvc exp run --queue``) run in copies of
the project below ``.dvc/tmp/exps`` that hold tracked files only; seen from such a copy, a relative
path is that of the project itself, so that data is found and an interrupted run resumes.
"""

import os
from contextlib import suppress
from pathlib import Path

from nat.runtime.errors import UserError

# of the project: outputs, and what stages depend on
TRACKED = ("artifacts", "reports", "results", "nat")


def project_folder(start: Path | None = None) -> Path:
    """The working folder, or the project around it when it is a queued experiment's copy."""
    folder = (start or Path.cwd()).resolve()
    for parent in [folder, *folder.parents]:
        if parent.parts[-3:] == (".dvc", "tmp", "exps"):
            return parent.parents[2]
    return folder


def place(folder: str) -> Path:
    """A path of params.yaml as an absolute one, relative ones seen from the project.

    Every setting that names a file or a folder is read through this.

    Raises:
        UserError: it begins with ``~NAME`` and there is no such user.
    """
    expanded = os.path.expanduser(folder)  # noqa: PTH111 - to Path's own, ./~ is ~
    if expanded.startswith("~"):
        raise UserError(
            f"{folder}: there is no such user, or no home folder; write the path out, or put ./ "
            "before a name that begins with ~"
        )
    return project_folder() / expanded


def from_here(path: Path) -> Path:
    """A path as people read it: relative to the working folder where it lies in that."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def check_untracked(setting: str, folder: str) -> None:
    """Refuse a working folder in one that DVC removes before a stage, or counts as changed.

    Args:
        setting: its name, such as machine.scratch.
        folder: its value.

    Raises:
        UserError: names the setting and the folder.
    """
    found = place(folder).resolve()
    for name in TRACKED:
        if found.is_relative_to((project_folder() / name).resolve()):
            raise UserError(
                f"{setting}: {folder} lies in the project's {name}, in which DVC tracks what "
                "stages need and write; name a folder outside of it"
            )


def own_name(folder: Path, name: str) -> str:
    """A name in a folder that may be shared: in another user's, with one's own number behind it.

    Two users whose runs are the same then never wait for, nor write into, each other's files.
    """
    with suppress(OSError):  # whoever writes there says what is wrong
        folder.mkdir(parents=True, exist_ok=True)
    while not folder.exists():
        folder = folder.parent
    user = os.getuid()
    return name if folder.stat().st_uid == user else f"{name}-u{user}"
