"""Lanes over a small pipeline of shell commands: real DVC, real processes, real signals.

Packages that stages load are stood in for by empty ones, so that the server of processes starts at
once; `test_worker.py` has the true ones.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from ruamel.yaml import YAML
from tiny import PROJECT, settings

from nat.lanes import run as lanes
from nat.lanes.plan import REPORT, Plan, State
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Params

HEAVY = ("torch", "torchvision", "scipy", "sklearn", "pandas", "cv2")
LONG = 120.0  # seconds after which something hangs
Project = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    def make(lanes: int = 2, **stages: dict[str, Any]) -> Path:
        folder = tmp_path / "project"
        folder.mkdir()
        for name in HEAVY:
            (tmp_path / "empty" / name).mkdir(parents=True)
            (tmp_path / "empty" / name / "__init__.py").touch()
        YAML().dump(settings(machine={"lanes": lanes, "device": "cpu"}), folder / "params.yaml")
        YAML().dump({"stages": stages}, folder / "dvc.yaml")
        dvc(folder, "init", "--no-scm", "--quiet")
        return folder

    return make


def environment(folder: Path) -> dict[str, str]:
    places = (folder.parent / "empty", PROJECT)
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(map(str, places)),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def dvc(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def start(folder: Path, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "nat", "lanes", *words],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(folder: Path, *words: str, code: int = 0) -> str:
    process = start(folder, *words)
    told = process.communicate(timeout=LONG)[0]
    assert process.returncode == code, told
    return told


def wait_for(*files: Path) -> None:
    deadline = time.monotonic() + LONG
    while not all(file.exists() for file in files):
        assert time.monotonic() < deadline, files
        time.sleep(0.02)


def stage(command: str, *deps: str, out: str = "") -> dict[str, Any]:
    return {"cmd": command, "deps": list(deps), "outs": [out] if out else []}


def making(name: str, *deps: str, before: str = "true") -> dict[str, Any]:
    return stage(f"{before} && echo {name} > {name}", *deps, out=name)


def meeting(name: str, other: str) -> dict[str, Any]:
    """Ends when the other one has begun too."""
    wait = f"i=0; while [ ! -e {other}.began ] && [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done"
    return stage(f"touch {name}.began; {wait}; cp {other}.began {name}", out=name)


def entries(folder: Path) -> dict[str, Any]:
    return YAML(typ="safe").load((folder / "dvc.lock").read_text())["stages"]


def test_independent_stages_run_side_by_side(project: Project) -> None:
    folder = project(a=meeting("a", "b"), b=meeting("b", "a"), c=making("c", "a", "b"))
    told = run(folder)
    assert [told.count(f"{name} | done in ") for name in "abc"] == [1, 1, 1]
    assert told.index("c | started") > max(told.index(f"{name} | done") for name in "ab")
    assert dvc(folder, "status", "--json").strip() == "{}"
    assert run(folder).startswith("Everything is up to date")
    assert "up to date" in dvc(folder, "repro")


def test_what_dvc_keeps_is_what_its_own_run_keeps(project: Project) -> None:
    """Many lanes that end at once lose none of the lock file's entries."""
    stages = {f"s{i}": making(f"s{i}", *([f"s{i - 4}"] if i >= 4 else [])) for i in range(16)}
    folder = project(lanes=4, **stages)
    run(folder)
    side_by_side = entries(folder)
    assert side_by_side.keys() == stages.keys()
    (folder / "dvc.lock").unlink()
    dvc(folder, "repro", "--force")
    assert entries(folder) == side_by_side


def test_one_lane_fails_and_the_others_go_on(project: Project) -> None:
    folder = project(
        bad=stage("echo reason >&2; exit 3", out="bad"),
        after=making("after", "bad"),
        later=making("later", "after"),
        good=making("good"),
        better=making("better", "good"),
    )
    told = run(folder, code=1)
    assert "bad | reason" in told
    assert "exited with 3" in told
    assert re.search(r"^bad \| failed after ", told, re.M)
    last = told.splitlines()[-1]
    assert last == "error: failed, see above: bad; 2 not run, as they need what failed"
    assert (folder / "better").exists()
    assert entries(folder).keys() == {"good", "better"}
    assert run(folder, code=1).count("started") == 1  # what was made is not made again


def test_a_command_of_this_package_that_fails_is_a_failure(project: Project) -> None:
    """Which is forked, instead of started by DVC."""
    told = run(project(bad=stage("python -m nat no-such-command")), code=1)
    assert "No such command 'no-such-command'" in told
    assert "exited with 2" in told


def test_a_command_of_this_package_runs_in_its_stage_s_folder(project: Project) -> None:
    """Whose settings it refuses; those of the folder around it are right."""
    folder = project(inner={**stage("python -m nat check"), "wdir": "inner"})
    (folder / "inner").mkdir()
    (folder / "inner/params.yaml").write_text("seeds: [\n")
    assert re.search(r"^inner \| error: params\.yaml: .*line 2", run(folder, code=1), re.M)


def test_every_line_is_told_and_nothing_lives_on(project: Project) -> None:
    """The last line has no end; what a stage has left running is ended after it."""
    left = "sleep 600 & echo $! > pid; printf 'no end'"
    folder = project(a=making("a", before=left), b=making("b", before="echo 1; echo 2"))
    told = run(folder)
    assert {"a | no end", "b | 1", "b | 2"} <= set(told.splitlines())
    pid = int((folder / "pid").read_text())
    _, alive = psutil.wait_procs(
        [psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=10
    )
    assert not alive


def test_a_first_report_that_fails_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages go on, but the end tells it."""
    plan = Plan.__new__(Plan)
    plan.order = ["first", "later", REPORT]
    plan.first = {"first"}
    plan._state = dict.fromkeys(plan.order, State.WAITING)
    plan._needs = {"first": [], "later": ["first"], REPORT: ["later"]}
    started: list[str] = []

    class Lanes:
        free = True

        def __init__(self, _: object) -> None:
            self.jobs: list[str] = []

        def __enter__(self) -> "Lanes":
            return self

        def __exit__(self, *_: object) -> None:
            assert not self.jobs

        def start(self, name: str, *_: object, **__: object) -> None:
            started.append(name)
            self.jobs.append(name)

        def wait(self) -> list[tuple[str, int]]:
            name = self.jobs.pop(0)
            return [(name, int(name == "first report"))]

    def following() -> str | None:
        ready = (n for n in plan.order if plan._state[n] == State.WAITING)
        name = next((n for n in ready if plan.done(plan._needs[n])), None)
        if name:
            plan._state[name] = State.RUNNING
        return name

    monkeypatch.setattr(lanes, "Lanes", Lanes)
    monkeypatch.setattr(plan, "next", following)
    with pytest.raises(UserError, match=r"failed, see above: first report$"):
        lanes.follow(plan, Params.model_validate(settings()))
    assert set(started) == {"first", "later", "first report", REPORT}


def test_stages_that_are_up_to_date_are_passed_over(project: Project) -> None:
    """One that is run and makes the same again lets those behind it be."""
    folder = project(
        first=stage("cat source > /dev/null; echo 1 > first", "source", out="first"),
        second=making("second", "first"),
        third={**making("third", "second"), "params": ["seeds"]},
    )
    (folder / "source").write_text("1")
    run(folder)
    (folder / "source").write_text("2")
    assert re.findall(r"(\w+) \| started", run(folder)) == ["first"]
    content = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(content.replace("alignment: exact", "alignment: greedy"))
    assert run(folder).startswith("Everything is up to date")
    YAML().dump(settings(seeds=[1]), folder / "params.yaml")
    assert re.findall(r"(\w+) \| started", run(folder)) == ["third"]


def test_named_stages_and_what_they_need_alone(project: Project) -> None:
    folder = project(a=making("a"), b=making("b", "a"), c=making("c"))
    run(folder, "b")
    assert (folder / "b").exists()
    assert not (folder / "c").exists()
    assert "error: DVC: " in run(folder, "d", code=1)


def children(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_ends_every_child_and_leaves_what_goes_on(project: Project, how: int) -> None:
    long = "touch {}.began; while [ ! -e go ]; do sleep 0.1; done"
    folder = project(
        done=making("done"),
        a=making("a", "done", before=long.format("a")),
        b=making("b", "done", before=long.format("b")),
    )
    process = start(folder)
    wait_for(folder / "a.began", folder / "b.began")
    below = children(process)
    assert len(below) >= 4
    os.kill(process.pid, how)
    told = process.communicate(timeout=LONG)[0]
    assert process.returncode == 128 + how
    assert "run the same command again to go on" in told.splitlines()[-1]
    _, alive = psutil.wait_procs(below, timeout=10)
    assert not alive
    (folder / "go").touch()
    again = run(folder)
    assert set(re.findall(r"(\w+) \| started", again)) == {"a", "b"}
    assert dvc(folder, "status", "--json").strip() == "{}"


def test_nohup_goes_on_when_the_terminal_closes(project: Project) -> None:
    folder = project(a=making("a", before="touch began; while [ ! -e go ]; do sleep 0.1; done"))
    process = subprocess.Popen(
        ["nohup", sys.executable, "-m", "nat", "lanes"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    wait_for(folder / "began")
    os.killpg(process.pid, signal.SIGHUP)
    (folder / "go").touch()
    assert process.wait(LONG) == 0


def test_another_dvc_at_work_is_named(project: Project) -> None:
    folder = project(a=making("a", before="touch began; while [ ! -e go ]; do sleep 0.1; done"))
    words = [sys.executable, "-m", "dvc", "repro"]
    other = subprocess.Popen(words, cwd=folder, env=environment(folder), stdout=subprocess.DEVNULL)
    wait_for(folder / "began")
    told = run(folder, code=1)
    assert "is busy, it is being blocked by" in told
    assert f"(PID {other.pid})" in told
    (folder / "go").touch()
    assert other.wait(LONG) == 0
    assert json.loads(dvc(folder, "status", "--json")) == {}
