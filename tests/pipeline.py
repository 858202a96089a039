"""Copies of the project with tiny settings, where stages run as a user runs them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML
from tiny import ALL, PROJECT, settings

ENVIRONMENT = os.environ | {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    "PYTHONDONTWRITEBYTECODE": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}
LEFT_BEHIND = shutil.ignore_patterns(
    ".git", ".venv*", "artifacts", "results", "reports", "scratch", "raw", "stores", "tmp", "cache",
    "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "*.lock", "checked",
    "images.json", "voc.json",
)  # fmt: skip


def run(folder: Path, *words: str) -> str:
    """Run in the copy; its own nat is imported, as `python -m nat` prefers the working folder."""
    done = subprocess.run(words, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def refused(folder: Path, *words: str) -> str:
    """What a command says that must fail."""
    done = subprocess.run(words, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode != 0, done.stdout
    return done.stdout + done.stderr


def start(folder: Path, *words: str, **variables: str) -> "subprocess.Popen[str]":
    """Start in the copy, with standard error in the output, and go on."""
    return subprocess.Popen(
        words,
        cwd=folder,
        env=ENVIRONMENT | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def stages_run(output: str) -> set[str]:
    return set(re.findall(r"Running stage '([^']+)'", output))


def reports(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "reports").rglob("*"))
        if path.is_file() and path.name != ".gitignore"
    }


def copy_project(folder: Path, images: Path, voc: Path) -> Path:
    shutil.copytree(PROJECT, folder, ignore=LEFT_BEHIND)
    content = settings(
        images={"source": "folder", "folder": str(images), **ALL},
        voc={"source": "devkit", "folder": str(voc)},
    )
    YAML().dump(content, folder / "params.yaml")
    return folder


def commit(folder: Path, message: str) -> None:
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", message)


def clone_with_remote(folder: Path, root: Path, *stages: str) -> Path:
    """Push a project's outputs to a new remote, ``root/remote``, and pull them into a clone.

    ``stages`` are words for push and pull; none is everything.
    """
    run(folder, "dvc", "remote", "add", "--default", "shared", str(root / "remote"))
    commit(folder, "remote")
    run(folder, "dvc", "push", *stages)
    run(root, "git", "clone", "-q", str(folder), "clone")
    run(root / "clone", "dvc", "pull", "--allow-missing", *stages)  # of stages never run
    return root / "clone"
