"""Every entry point says how OpenMP waits before PyTorch is loaded, which reads it once.

In PyTorch's place stands a package that tells what it would have read, and ends.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import PROJECT

TELLS = 'import os\nprint("read", os.environ.get("GOMP_SPINCOUNT"), flush=True)\nos._exit(0)\n'
ENTRIES = {
    "nat": ["-c", "from nat.__main__ import main; main()", "targets"],  # what the script calls
    "python -m nat": ["-m", "nat", "targets"],
    "python -m nat.launch": ["-m", "nat.launch", "-m", "nat", "targets"],
    "tests": ["-c", "import conftest"],
}


def read(folder: Path, *words: str, **variables: str) -> str:
    (folder / "torch").mkdir()
    (folder / "torch/__init__.py").write_text(TELLS)
    places = [str(folder), str(PROJECT), str(PROJECT / "tests")]
    left = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=PROJECT,
        env=left | {"PYTHONPATH": os.pathsep.join(places)} | variables,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip() or done.stderr


@pytest.mark.parametrize("entry", ENTRIES)
def test_it_is_set_before_pytorch_is_loaded(entry: str, tmp_path: Path) -> None:
    assert read(tmp_path, *ENTRIES[entry]) == "read 1000"


def test_a_setting_of_the_user_s_stays(tmp_path: Path) -> None:
    words = ENTRIES["python -m nat"]
    assert read(tmp_path, *words, GOMP_SPINCOUNT="7") == "read 7"
