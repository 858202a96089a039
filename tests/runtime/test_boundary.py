"""What a user reads of an error: a line for what can be mended, a traceback for a fault of ours."""

import errno
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import EMBEDDED, PROJECT

from nat.runtime.boundary import LAUNCHED, LONGEST, MEMORY, one_line, report, told
from nat.runtime.errors import UserError


def raised(code: str) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - of any kind
        exec(code, {"np": np, "torch": torch})
    return caught.value


def command(code: str) -> subprocess.CompletedProcess:
    """A process of `nat check` in which ``code`` ran first."""
    script = f"import sys\nsys.argv = ['nat', 'check', '--out', '/dev/null/x']\n{code}\n"
    script += "from nat.__main__ import main\nmain()"
    return subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    "code",
    [
        "np.empty((10**6, 10**6))",
        "torch.empty(10**14)",
        "raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 9 GiB.')",
        f"raise OSError({errno.ENOMEM}, 'Cannot allocate memory')",
        "raise MemoryError",
    ],
)
def test_too_little_memory_names_the_settings(code: str) -> None:
    line = told(raised(code), "pretrain")
    assert line is not None
    assert line.startswith("error: not enough memory (")
    assert "lower pretrain.batch_size, model.hidden or targets.dimension" in line


def test_settings_of_memory_exist() -> None:
    from nat.cli import main
    from nat.runtime.settings.load import load_params

    params = load_params(EMBEDDED)
    assert set(MEMORY) <= set(main.commands)
    for text in MEMORY.values():
        for word in text.replace(",", "").split():
            group, dot, setting = word.partition(".")
            assert not dot or hasattr(getattr(params, group), setting), word


def test_a_missing_package_is_named() -> None:
    line = told(raised("import no_such_package.part"), "probe")
    assert line is not None
    assert "the Python package no_such_package is not installed" in line
    assert "bash run.sh" in line


@pytest.mark.parametrize(
    "code",
    [
        "import nat.nothing",
        "from nat.runtime.errors import nothing",
        "1 / 0",
        "{}['a']",
        "assert 0",
    ],
)
def test_a_fault_of_ours_is_not_hidden(code: str) -> None:
    assert told(raised(code), "probe") is None


def test_a_lost_process_is_told_among_several_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("[gloo/pair.cc:534] Connection closed by peer [127.0.0.1]:1")
    assert told(error, "pretrain") is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    line = told(error, "pretrain")
    assert line is not None
    assert line.startswith("error: launcher: lost the other processes")


def test_a_bug_says_so_below_its_traceback() -> None:
    ended = command("import nat.runtime.io.files as files\nfiles.atomic_write = None")
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("Traceback")
    assert lines[-1].startswith("bug: TypeError: this is the project's fault, not yours")


def test_an_early_end_of_a_file_is_not_just_aborted() -> None:
    ended = command(
        "import nat.runtime.io.files as files\n"
        "def end(*_): raise EOFError('no data left')\nfiles.atomic_write = end"
    )
    assert ended.returncode == 1
    assert "Aborted!" not in ended.stderr
    assert "no data left" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("bug: ")


def test_a_package_that_the_commands_need_is_missed_in_one_line() -> None:
    ended = command("sys.modules['pydantic'] = None")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith("error: the Python package pydantic is not installed")


def test_the_systems_refusal_is_one_line() -> None:
    ended = command("")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert ended.stderr.startswith("error: /dev/null/x")


def test_the_script_goes_through_the_same_entry() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    assert project["project"]["scripts"] == {"nat": "nat.__main__:main"}


def test_a_line_stays_one() -> None:
    assert one_line("a\nb\r\tc \x1b[31m\udc80é") == "a b c \\x1b[31m\\udc80é"
    assert len(one_line("x" * 10_000)) < LONGEST + 10


def test_of_several_processes_the_first_tells_and_all_leave_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    file = tmp_path / "error.json"
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(file))
    for rank, launched, said in (("0", False, True), ("1", False, False), ("0", True, False)):
        monkeypatch.setenv("LOCAL_RANK", rank)
        if launched:
            monkeypatch.setenv(LAUNCHED, "1")
        report("error: pretrain.lr: too large")
        assert capsys.readouterr().err == ("error: pretrain.lr: too large\n" if said else "")
        # as torch reads it
        from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

        failure = ProcessFailure(int(rank), 1, 1, str(file))
        assert failure.message["message"] == "error: pretrain.lr: too large"
        assert json.loads(file.read_text())
        file.unlink()


def test_user_errors_are_told() -> None:
    assert told(UserError("a: b")) == "error: a: b"
