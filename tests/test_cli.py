import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tiny import EMBEDDED, PROJECT

from nat.cli import main

COMMANDS = [
    [],
    ["check"],
    ["prepare"],
    ["prepare", "images"],
    ["prepare", "voc"],
    ["proposals"],
    ["targets"],
    ["pretrain"],
    ["train"],
    ["probe"],
    ["fisher"],
    ["finetune"],
    ["detect"],
    ["illustrate"],
    ["profile"],
    ["lanes"],
    ["export"],
    ["embed"],
    ["report"],
]


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(words: list[str]) -> None:
    result = run(*words, "--help")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert len(lines[2].strip()) > 20  # a sentence that says what it does
    options = [line for line in lines if line.strip().startswith("--")]
    assert all(len(line.split(None, 2)) > 2 or line.endswith("]") for line in options)


def test_all_commands_are_listed_here() -> None:
    assert set(main.commands) == {words[0] for words in COMMANDS if words}


def test_script_and_module_are_the_same() -> None:
    script = Path(sys.executable).with_name("nat")
    outputs = [
        subprocess.run(words, capture_output=True, text=True, check=True, cwd=PROJECT).stdout
        for words in ([str(script), "--help"], [sys.executable, "-m", "nat", "--help"])
    ]
    assert outputs[0].split("\n", 1)[1] == outputs[1].split("\n", 1)[1]


@pytest.mark.parametrize(
    "words",
    [
        ["targets", "--set", "targets.dimension=1", "--out", "t.npy"],
        ["targets", "--images", "none.json", "--out", "t.npy"],
        ["probe", "--network", "none", "--params", "none.yaml", "--out", "p.json"],
        ["prepare", "images", "--set", "images.folder=/none", "--out", "p.json"],
    ],
    ids=lambda words: words[0],
)
def test_a_fault_is_one_line_and_not_zero(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "params.yaml").write_text(EMBEDDED.read_text())
    monkeypatch.chdir(tmp_path)
    result = run(*words)
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["params.yaml"]


def test_targets_by_hand(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.npy"
    result = run("targets", "--params", EMBEDDED, "--images", manifest, "--out", out)
    assert result.exit_code == 0, result.output
    assert out.exists()
