"""The whole pipeline as its users run it: real DVC, a copy of the project, tiny parameters."""

import csv
import io
import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import fake_objects, write_picture_folder
from pipeline import clone_with_remote, commit, copy_project, reports, run, stages_run
from tiny import settings

from nat.runtime.settings.params import Params
from nat.voc.data import prepare

TABLES = ("stages/ablations/dvc.yaml:tabulate", "tabulate", "page")


def shown(folder: Path) -> str:
    """Experiments with their parameters and metrics, as CSV."""
    return run(folder, "dvc", "exp", "show", "--csv")


@pytest.fixture(scope="module")
def devkit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VOCdevkit folder of 24 + 24 pictures."""
    folder = tmp_path_factory.mktemp("voc")
    content = settings(machine={"data": str(folder), "scratch": str(folder)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "read_objects", lambda *_: fake_objects())
        prepare.prepare_voc(Params.model_validate(content), folder / "voc.json")
    return next(folder.glob("voc/*/VOCdevkit"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, devkit: Path) -> Path:
    """A clone of the project after its first `dvc repro`, reports committed."""
    root = tmp_path_factory.mktemp("pipeline")
    write_picture_folder(root / "pictures", a_class=40)
    folder = copy_project(root / "project", root / "pictures", devkit)
    run(folder, "git", "init", "-q")
    commit(folder, "start")
    run(folder, "dvc", "repro")
    commit(folder, "results")
    return folder


def test_one_command_makes_the_reports(project: Path) -> None:
    written = reports(project)
    for name in ("README.md", "metrics.json", "table3.md", "table3.csv", "table3.tex", "table4.md"):
        assert written[f"reports/{name}"]
    for figure in ("figure1", "figure2_left", "figure3", "figure4", "detections"):
        assert written[f"reports/figures/{figure}.png"].startswith(b"\x89PNG")
        assert b"<svg" in written[f"reports/figures/{figure}.svg"][:1000]
    metrics = json.loads(written["reports/metrics.json"])
    assert all(0 <= value <= 100 for value in metrics.values())
    assert str(project).encode() not in b"".join(written.values())


def test_nothing_large_or_derived_is_tracked_by_git(project: Path) -> None:
    tracked = run(project, "git", "ls-files").split()
    assert not [name for name in tracked if name.startswith(("artifacts/", "scratch/"))]
    assert not [name for name in tracked if name.startswith("data/") and name.endswith(".npy")]
    assert "dvc.lock" in tracked
    assert {f"stages/{group}/dvc.lock" for group in ("ablations", "baselines")} <= set(tracked)


def test_a_second_repro_does_nothing(project: Path) -> None:
    assert "up to date" in run(project, "dvc", "repro")


def test_tables_come_from_the_small_artifacts_alone(project: Path, tmp_path: Path) -> None:
    """Metrics and small artifacts in the workspace, nothing else: no store, network or cache."""
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    for bulky in ("artifacts/networks", "artifacts/targets", "data/stores", ".dvc/cache"):
        shutil.rmtree(folder / bulky)
    before = reports(folder)
    shutil.rmtree(folder / "reports" / "figures")
    shutil.rmtree(folder / "reports" / "ablations")
    (folder / "reports" / "README.md").unlink()
    output = run(folder, "dvc", "repro", "--single-item", *TABLES)
    assert stages_run(output) == set(TABLES)
    assert reports(folder) == before


def test_tables_come_from_a_remote(project: Path, tmp_path: Path) -> None:
    """In a clone elsewhere, with nothing but what was pushed: no training, the same bytes."""
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    clone = clone_with_remote(folder, tmp_path)
    shutil.rmtree(folder)
    before = reports(clone)
    assert before == reports(project)
    assert "up to date" in run(clone, "dvc", "repro")
    shutil.rmtree(clone / "reports")
    assert stages_run(run(clone, "dvc", "repro")) == set(TABLES)
    assert reports(clone) == before


def test_an_experiment_reruns_exactly_what_depends_on_it(project: Path) -> None:
    output = run(project, "dvc", "exp", "run", "-n", "often", "-S", "permute_every=1")
    nat = {
        "check",
        "pretrain@0",
        "probe@nat-0",
        "evolution@0",
        "finetune@nat-fc6-8-0",
        "finetune@nat-all-0",
        "detect@nat-0",
        "illustrate@0",
        "illustrate-detections@0",
        "tabulate",
        "page",
    }
    # what is compared with NAT is trained as NAT is; but neither its targets, nor training with
    # labels, nor the comparison of periods, which sets its own
    ablations = {
        f"{step}-{name}@{name}-{value}-0"
        for step in ("pretrain", "probe")
        for name, value in (
            ("k", 4),
            ("dimension", 4),
            ("target_type", "mixture"),
            ("alignment", "greedy"),
        )
    } | {"tabulate"}
    assert stages_run(output) == nat | {f"stages/ablations/dvc.yaml:{name}" for name in ablations}
    assert re.search(r"^permute_every: 1$", (project / "params.yaml").read_text(), re.M)
    changed = json.loads(run(project, "dvc", "metrics", "diff", "--json"))
    assert set(changed) <= {"reports/metrics.json"}
    ran = {row["Experiment"]: row for row in csv.DictReader(io.StringIO(shown(project)))}
    assert ran["often"]["permute_every"] == "1"
    run(project, "git", "reset", "-q", "--hard")
    run(project, "dvc", "checkout", "-q", "--allow-missing")


def test_a_group_runs_alone(project: Path) -> None:
    (project / "reports" / "ablations" / "table1.md").unlink()
    output = run(project, "dvc", "repro", "stages/ablations/dvc.yaml")
    assert stages_run(output) == {"stages/ablations/dvc.yaml:tabulate"}
    assert (project / "reports" / "ablations" / "table1.md").exists()
