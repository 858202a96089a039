"""What a command loads before it begins: no more than it needs, as each stage pays for it."""

import subprocess
import sys

import pytest
from tiny import PROJECT

SLOW = ("dvc", "matplotlib", "pandas", "sklearn", "torch", "torchvision")


def loaded(statement: str) -> set[str]:
    """Which of the libraries that take long a statement loads."""
    code = f"{statement}\nimport sys\nprint(*(name for name in {SLOW} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "needed"),
    [
        ("import nat.cli", set()),
        ("import nat.lanes.run, nat.lanes.quick", set()),
        ("import nat.report.write", {"pandas"}),
        ("import nat.methods.nat, nat.methods.labels", {"torch"}),
        ("import nat.probe", {"torch"}),
        ("import nat.voc.classification.finetune", {"torch", "sklearn", "pandas"}),
    ],
)
def test_a_command_loads_what_it_needs(statement: str, needed: set[str]) -> None:
    assert loaded(statement) == needed
