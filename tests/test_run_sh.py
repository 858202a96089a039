"""run.sh: an environment that is whole or made anew, whatever happened to it before.

Environments here are real ones without pip; a stand-in for pip takes as long as a test needs and,
as the real one does, takes what a killed pip left half for installed.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny import PROJECT
from users import another_user

SETTINGS = {
    "GIT_AUTHOR_NAME": "test",
    "GIT_AUTHOR_EMAIL": "test@example.org",
    "GIT_COMMITTER_NAME": "test",
    "GIT_COMMITTER_EMAIL": "test@example.org",
}

# what stands for Python: environments get the stand-in for pip
PYTHON = f"""#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
  mkdir -p "$3/bin"
  sleep "${{SLOW:-0}}"
  {sys.executable} -m venv --without-pip "$3" || exit
  sleep "${{SLOW:-0}}"
  site="$(echo "$3"/lib/python*/site-packages)"
  mkdir "$site/pip"
  : > "$site/pip/__init__.py"
  cp "$(dirname "$0")/pip.py" "$site/pip/__main__.py"
  exit
fi
exec {sys.executable} "$@"
"""
PIP = f"""
import os, sys, time
from pathlib import Path
site, scripts = Path(__file__).parents[1], Path(sys.prefix, "bin")
if sys.argv[1] == "--version":
    sys.exit()
with open(site / "pip.log", "a") as log:
    log.write(" ".join(sys.argv[1:]) + "\\n")
if os.environ.get("OFFLINE"):
    sys.exit("stand-in: no network")
def script(name, text):
    (scripts / name).write_text(f"#!/bin/sh\\n{{text}}\\n")
    (scripts / name).chmod(0o755)
if not (site / "half").exists() or "--ignore-installed" in sys.argv:
    (site / "half").touch()
    time.sleep(float(os.environ.get("SLOW", 0)))
    script("dvc", 'exec python -m dvc "$@"' if "DVC" in os.environ else "echo dvc")
    script("pip-licenses", 'echo licences "$@"')
    script("pip-audit", os.environ.get("AUDIT", ""))
    if "DVC" in os.environ:
        (site / "dvc.pth").write_text({str(Path(pytest.__file__).parents[1])!r})
    time.sleep(float(os.environ.get("SLOW", 0)))
    (site / "whole").touch()
    (site / "half").unlink()
"""
# what stands for nat: its lanes are DVC's own order
NAT = """
import os, sys
if sys.argv[1] == "lanes":
    os.execvp("dvc", ["dvc", "repro"])
print(*sys.argv[1:])
"""
STAGE = "stages:\n  s:\n    cmd: echo ${x} > made\n    outs: [made]\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """What run.sh needs of the project, and a pipeline of one short stage."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python3").write_text(PYTHON)
    (tools / "python3").chmod(0o755)
    (tools / "pip.py").write_text(PIP)
    folder = tmp_path / "pro ject"
    folder.mkdir()
    for name in ("run.sh", "pyproject.toml", "constraints.txt", ".gitignore", ".dvcignore"):
        shutil.copy(PROJECT / name, folder)
    shutil.copytree(PROJECT / ".dvc/without-git", folder / ".dvc/without-git")
    for name in ("config", ".gitignore"):
        shutil.copy(PROJECT / ".dvc" / name, folder / ".dvc")
    (folder / "dvc.yaml").write_text(STAGE)
    (folder / "params.yaml").write_text("x: 1\n")
    (folder / "nat").mkdir()
    (folder / "nat/__main__.py").write_text(NAT)
    with open(folder / ".gitignore", "a") as file:
        file.write("/made\n")
    return folder


def environment(project: Path, **settings: str) -> dict[str, str]:
    tools = project.parent / "tools"
    git = {"GIT_CONFIG_GLOBAL": str(tools / "gitconfig")}  # of none, not the user's
    left = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NAT_VENV", "PYTHONPATH", "VIRTUAL_ENV")
    }
    return left | SETTINGS | git | {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"} | settings


def start(project: Path, *words: str, **settings: str) -> subprocess.Popen[str]:
    """Start run.sh in a group of its own, from a folder that is not the project's."""
    return subprocess.Popen(
        ["bash", str(project / "run.sh"), *words],
        cwd=project.parent,
        env=environment(project, **settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(project: Path, *words: str, **settings: str) -> str:
    process = start(project, *words, **settings)
    told = process.communicate(timeout=120)[0]
    assert process.returncode == 0, told
    return told


def refused(project: Path, *words: str, **settings: str) -> str:
    process = start(project, *words, **settings)
    told = process.communicate(timeout=120)[0]
    assert process.returncode == 1, told
    assert told.splitlines()[-1].startswith("error: "), told
    return told


def site(venv: Path) -> Path:
    return next(venv.glob("lib/python*/site-packages"))


def is_whole(venv: Path) -> bool:
    return (site(venv) / "whole").exists() and not (site(venv) / "half").exists()


def installations(venv: Path) -> int:
    return len((site(venv) / "pip.log").read_text().splitlines())


def contents(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_second_start_installs_nothing(project: Path) -> None:
    assert "Installing" in run(project, DVC="real")
    assert (project / "made").read_text() == "1\n"
    assert "Installing" not in run(project)
    assert installations(project / ".venv") == 1


@pytest.mark.parametrize("moment", [0.05, 0.15, 0.3, 0.45, 0.6, 0.75, 0.9])
def test_a_killed_start_is_made_good(project: Path, moment: float) -> None:
    killed = start(project, SLOW="0.2")
    time.sleep(moment)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    run(project)
    assert is_whole(project / ".venv")


def test_a_killed_update_is_made_good(project: Path) -> None:
    run(project)
    with open(project / "constraints.txt", "a") as file:
        file.write("another==1\n")
    killed = start(project, SLOW="30")
    wait_for(site(project / ".venv") / "half")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert "made anew" in run(project)
    assert is_whole(project / ".venv")


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.01)


def test_pip_that_outlives_the_script_is_waited_for(project: Path) -> None:
    killed = start(project, SLOW="1")
    wait_for(project / ".venv/bin/python")
    wait_for(site(project / ".venv") / "half")
    killed.kill()  # the script alone
    told = run(project)
    assert f"{project}/.venv: another start of run.sh is at work in it; waiting" in told
    assert is_whole(project / ".venv")
    killed.communicate()


def test_two_at_once_install_once(project: Path) -> None:
    both = [start(project, SLOW="0.5", NAT_VENV="shared") for _ in range(2)]
    told = [process.communicate(timeout=120)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert sum("Installing" in text for text in told) == 1, told
    assert sum("shared: another start of run.sh is at work" in text for text in told) == 1, told
    assert installations(project / "shared") == 1


def test_two_at_once_run_each_stage_once(project: Path) -> None:
    (project / "dvc.yaml").write_text(STAGE.replace("echo", "sleep 2; echo"))
    run(project, "test", "--version", DVC="real")
    first = start(project)
    wait_for(project / ".dvc/tmp/rwlock")
    told = run(project)
    assert f"{project}: another start of run.sh is at work in it; waiting" in told
    assert "up to date" in told
    assert "Running stage" in first.communicate(timeout=120)[0]
    assert first.returncode == 0


def test_a_failed_update_leaves_the_environment_that_worked(project: Path) -> None:
    run(project)
    with open(project / "constraints.txt", "a") as file:
        file.write("another==1\n")
    told = refused(project, OFFLINE="1")
    assert "not installed, as pip says above" in told
    assert is_whole(project / ".venv")
    assert "made anew" not in run(project)
    assert installations(project / ".venv") == 3


@pytest.mark.parametrize("fault", ["vanished", "moved", "stamp"])
def test_an_environment_that_cannot_work_is_made_anew(project: Path, fault: str) -> None:
    run(project)
    if fault == "vanished":  # the system's Python, to which bin/python is a link, was removed
        for link in (project / ".venv/bin").glob("python*"):
            link.unlink()
            link.symlink_to("/nowhere/python3")
    elif fault == "moved":  # scripts within name its former place
        project = project.rename(project.with_name("elsewhere"))
    else:  # a power cut
        (project / ".venv/nat-installed").write_text("")
    assert "made anew" in run(project)
    assert is_whole(project / ".venv")
    assert "Installing" not in run(project)


def own_environment(project: Path, venv: Path) -> None:
    """One that the user made."""
    words = [str(project.parent / "tools/python3"), "-m", "venv", str(venv)]
    subprocess.run(words, check=True)
    (venv / "mine").touch()


def test_the_user_s_own_environment_is_installed_into_and_never_removed(project: Path) -> None:
    venv = project.parent / "own"
    own_environment(project, venv)
    killed = start(project, NAT_VENV=str(venv), SLOW="30")
    wait_for(site(venv) / "half")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    run(project, NAT_VENV=str(venv))
    assert is_whole(venv)
    assert "Installing" not in run(project, NAT_VENV=f"{venv}/")
    (venv / "bin/python").unlink()
    before = contents(venv)
    told = refused(project, NAT_VENV=str(venv))
    assert f"error: {venv}: no environment with a working Python and pip" in told
    assert contents(venv) - {"nat-lock"} == before - {"nat-lock"}


@pytest.mark.parametrize("named", [".", ".dvc", "..", "params.yaml", "params.yaml/x"])
def test_what_is_no_environment_is_left_alone(project: Path, named: str) -> None:
    before = contents(project.parent)
    refused(project, NAT_VENV=named)
    left = {name for name in contents(project.parent) if not name.endswith("nat-lock")}
    assert left == before


def test_a_relative_environment_is_seen_from_the_project(project: Path) -> None:
    run(project, NAT_VENV="../en vü/x/")
    assert is_whole(project.parent / "en vü/x")
    assert "Installing" not in run(project, NAT_VENV="../en vü/x")
    (project.parent / "link").symlink_to(project)
    assert "Installing" not in run(project.parent / "link", NAT_VENV="../en vü/x")


def test_a_home_folder_in_quotes(project: Path, tmp_path: Path) -> None:
    run(project, NAT_VENV="~/v", HOME=str(tmp_path))
    assert is_whole(tmp_path / "v")


def test_wrong_words_and_an_old_python_are_refused_before_anything(project: Path) -> None:
    before = contents(project)
    for words in (["tets"], ["--hlep"], ["--force"], ["quick", "tets"], ["", "tets"]):
        assert f"error: unknown word '{words[-1]}'; " in refused(project, *words)
    assert "use: bash run.sh [quick | report | repro | test | audit]" in refused(project, "all")
    for word in ("--help", "-h", "help"):
        told = run(project, word)
        assert "bash run.sh quick " in told
        assert not [line for line in told.splitlines() if line.startswith(("#", "set "))]
    assert "error: /nowhere/python is missing or older than Python 3.11" in refused(
        project, PYTHON="/nowhere/python"
    )
    assert contents(project) == before


def test_a_project_that_cannot_be_written(project: Path) -> None:
    project.chmod(0o555)

    def told(*words: str) -> str:
        words = (*another_user(), "bash", str(project / "run.sh"), *words)
        done = subprocess.run(words, env=environment(project), capture_output=True, text=True)
        assert done.returncode == 1
        return done.stderr

    assert f"error: {project}: cannot be written; copy or clone the project" in told()
    assert f"error: {project}/.venv: cannot be written; name another place" in told("test")
    project.chmod(0o755)


def dvc(project: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """DVC as a user calls it, without run.sh."""
    return subprocess.run(
        [sys.executable, "-m", "dvc", *words],
        cwd=project,
        env=environment(project),
        capture_output=True,
        text=True,
    )


def git(folder: Path, *words: str) -> None:
    done = subprocess.run(
        ["git", *words], cwd=folder, env=environment(folder), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def repository(folder: Path) -> None:
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "start")


def test_an_archive_that_becomes_a_repository(project: Path) -> None:
    run(project, DVC="real")  # works without git
    assert not (project / ".dvc/config.local").exists()
    repository(project)
    done = dvc(project, "exp", "run", "-S", "x=2")
    assert done.returncode == 0, done.stderr
    assert (project / "made").read_text() == "2\n"


def test_a_setting_left_by_an_earlier_version_is_removed(project: Path) -> None:
    dvc(project, "config", "--local", "core.no_scm", "true")
    run(project, DVC="real")
    repository(project)
    assert "Only supported for Git" in dvc(project, "exp", "run").stderr
    assert "core.no_scm removed" in run(project, DVC="real")
    assert dvc(project, "exp", "run", "-S", "x=2").returncode == 0


@pytest.mark.parametrize("kind", ["subfolder", "worktree"])
def test_a_repository_of_another_shape(project: Path, kind: str) -> None:
    if kind == "subfolder":
        repository(project.parent)
    else:
        repository(project)
        git(project, "worktree", "add", "-q", "../tree")
        project = project.parent / "tree"
        assert (project / ".git").is_file()
    run(project, DVC="real")
    assert not (project / ".dvc/config.local").exists()
    git(project, "add", "-A", ".")
    git(project, "commit", "-qm", "results")
    done = dvc(project, "exp", "run", "-S", "x=2")
    assert done.returncode == 0, done.stderr
    assert (project / "made").read_text() == "2\n"
    done = dvc(project, "exp", "run", "--temp", "-S", "x=3")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["a#b", "bücher"])
def test_a_path_that_queued_experiments_do_not_work_in(project: Path, name: str) -> None:
    """DVC's git library takes the path for an address; this says when that has changed."""
    project = project.rename(project.with_name(name))
    assert "not with --queue or --temp" in run(project, DVC="real")
    repository(project)
    assert dvc(project, "exp", "run", "-S", "x=2").returncode == 0
    assert dvc(project, "exp", "run", "--temp", "-S", "x=3").returncode != 0


def test_a_path_that_dvc_does_not_work_in(project: Path) -> None:
    project = project.rename(project.with_name("a{b}"))
    assert "DVC does not run in a folder with { or } in its path" in refused(project)
    assert not (project / ".venv").exists()


@pytest.mark.parametrize(
    ("audit", "told"),
    [
        ("exit 0", "No known vulnerability in the versions of constraints.txt"),
        ("echo found; exit 1", "found\nerror: constraints.txt: known vulnerabilities, see above"),
        (
            "echo Traceback >&2; echo 'ConnectionError: unreachable' >&2; exit 1",
            "error: constraints.txt: not checked, as the list of vulnerabilities cannot be asked "
            "(ConnectionError: unreachable)",
        ),
    ],
)
def test_an_audit_tells_what_was_found_and_whether_it_could_look(
    project: Path, audit: str, told: str
) -> None:
    done = (run if audit == "exit 0" else refused)(project, "audit", "-s", "osv", AUDIT=audit)
    assert told in done
    assert "Traceback" not in done
    assert f"licences --python {project}/.venv/bin/python" in done
    assert is_whole(project / ".venv-audit")


def test_an_audit_asks_for_every_version(project: Path) -> None:
    """Strict: what the service does not know would be passed over."""
    told = refused(project, "audit", "-s", "osv", AUDIT='echo "$@"; exit 1')
    assert "--requirement constraints.txt --no-deps --disable-pip --strict" in told
    assert told.splitlines()[-2].endswith("-s osv")
