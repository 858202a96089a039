"""The whole pipeline as its users run it: real DVC, a copy of the project, tiny parameters.

Stages run side by side at first, as `bash run.sh` runs them, and by DVC alone afterwards.
"""

import csv
import io
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from conftest import fake_objects, write_image_folder
from pipeline import clone_with_remote, commit, copy_project, reports, run, stages_run
from tiny import TINY, settings

from nat.runtime.settings.params import Params
from nat.voc.data import prepare

REPORT = "report"
OVERRIDES = TINY["ablations"]["nat"]


def shown(folder: Path) -> str:
    """Experiments with their parameters and metrics, as CSV."""
    return run(folder, "dvc", "exp", "show", "--csv")


@pytest.fixture(scope="module")
def devkit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A VOCdevkit folder of 24 + 24 images."""
    folder = tmp_path_factory.mktemp("voc")
    content = settings(machine={"data": str(folder), "scratch": str(folder)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "read_objects", lambda *_: fake_objects())
        prepare.prepare_voc(Params.model_validate(content), folder / "voc.json")
    return next(folder.glob("voc/*/VOCdevkit"))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, devkit: Path) -> Path:
    """A clone of the project after its first `nat lanes`, reports committed."""
    root = tmp_path_factory.mktemp("pipeline")
    write_image_folder(root / "images", a_class=40)
    folder = copy_project(root / "project", root / "images", devkit)
    run(folder, "git", "init", "-q")
    commit(folder, "start")
    told = run(folder, sys.executable, "-m", "nat", "lanes")
    assert len(re.findall(r"^ +MLP +linear", told, re.M)) == 2  # of the first methods, and of all
    assert told.index("ablations:probe") > told.index("probe@random")
    commit(folder, "results")
    return folder


def test_stages_side_by_side_make_the_bytes_of_dvc_s_own_run(project: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    before = {
        file: file.read_bytes() for file in (folder / "artifacts/networks/nat-0").rglob("*.*")
    }
    assert len(before) > 1
    ran = run(folder, "dvc", "repro", "--force", "--single-item", "pretrain@0", "probe@nat-0")
    assert stages_run(ran) == {"pretrain@0", "probe@nat-0"}
    assert {file: file.read_bytes() for file in before} == before
    results = (each / "artifacts/results/probe/nat-0.json" for each in (project, folder))
    ours, dvc_s = (json.loads(file.read_text()) for file in results)
    assert ours["measured"] == dvc_s["measured"]
    assert ours["provenance"]["threads"] == dvc_s["provenance"]["threads"] == 1


def test_one_command_makes_the_reports(project: Path) -> None:
    written = reports(project)
    for name in ("README.md", "index.html", "metrics.json", "results.csv"):
        assert written[f"reports/{name}"]
    for table in ("table1", "table2", "table3", "table4", "periods", "targets"):
        for ending in ("md", "csv", "tex"):
            assert written[f"reports/tables/{table}.{ending}"]
    assert "left out" not in written["reports/README.md"].decode()  # all results count
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
    assert "stages/ablations/dvc.lock" in tracked
    assert "results/tiny/probe/nat-0.json" in tracked
    sizes = [(project / name).stat().st_size for name in tracked if name.startswith("results/")]
    assert sum(sizes) < 10**6


def test_a_second_repro_does_nothing(project: Path) -> None:
    assert "up to date" in run(project, "dvc", "repro")


def test_tables_come_from_a_clone_alone(project: Path, tmp_path: Path) -> None:
    """What git has, and nothing else: no store, network, cache or remote."""
    run(tmp_path, "git", "clone", "-q", str(project), "clone")
    clone = tmp_path / "clone"
    before = reports(clone)
    assert before == reports(project)
    shutil.rmtree(clone / "reports")
    run(clone, sys.executable, "-m", "nat", "report")
    assert reports(clone) == before
    assert run(clone, "git", "status", "--porcelain") == ""


def test_a_clone_has_nothing_to_train(project: Path, tmp_path: Path) -> None:
    """The lock agrees with params.yaml, the code and the results: only data is missing."""
    run(tmp_path, "git", "clone", "-q", str(project), "clone")
    clone = tmp_path / "clone"
    status = json.loads(run(clone, "dvc", "status", "--json"))
    changes = {
        kind
        for stage in status.values()
        for change in stage
        for files in (change.values() if isinstance(change, dict) else [])
        for kind in files.values()
    }
    assert changes <= {"deleted", "not in cache"}
    assert stages_run(run(clone, "dvc", "repro", "--allow-missing")) <= {"check"}


def test_tables_keep_the_seeds_of_before(project: Path, tmp_path: Path) -> None:
    """Committed results of another seed stand beside those of a run; with other settings not."""
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    for name in ("train/nat", "probe/nat"):
        file = folder / f"results/tiny/{name}-0.json"
        content = json.loads(file.read_text()) | {"seed": 7}
        (folder / f"results/tiny/{name}-7.json").write_text(json.dumps(content))
    (folder / "artifacts/results/probe/nat-0.json").unlink()
    run(folder, sys.executable, "-m", "nat", "report")
    with open(folder / "reports/results.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["stage"] == "probe"]
    counted = {row["seed"] for row in rows if row["method"] == "nat" and row["counted"] == "1"}
    assert counted == {"0", "7"}
    told = run(folder, sys.executable, "-m", "nat", "report", "--set", "probe.epochs=3")
    assert "left out" in told


def test_tables_come_from_a_remote(project: Path, tmp_path: Path) -> None:
    """In a clone elsewhere, with what was pushed: no training, the same bytes."""
    folder = tmp_path / "project"
    shutil.copytree(project, folder, symlinks=True)
    clone = clone_with_remote(folder, tmp_path)
    shutil.rmtree(folder)
    before = reports(clone)
    assert before == reports(project)
    assert "up to date" in run(clone, "dvc", "repro")
    shutil.rmtree(clone / "reports")
    assert stages_run(run(clone, "dvc", "repro")) == {REPORT}
    assert reports(clone) == before


def test_an_experiment_reruns_exactly_what_depends_on_it(project: Path) -> None:
    output = run(project, "dvc", "exp", "run", "-n", "often", "-S", "permute_every=1")
    nat = {
        "check",
        "pretrain@0",
        "probe@nat-0",
        "finetune@nat-fc6-8-0",
        "finetune@nat-all-0",
        "detect@nat-0",
        "illustrate@0",
        "report",
    }
    # what is compared with NAT is trained as NAT is; but neither its targets, nor with labels
    ablations = {
        f"stages/ablations/dvc.yaml:{step}@{override}-0"
        for step in ("pretrain", "probe")
        for override in OVERRIDES
    }
    ran = stages_run(output)
    # which with P fixed gives the same trunk again, so that its probe is not run
    assert nat | ablations - {"stages/ablations/dvc.yaml:probe@permute_every=never-0"} == ran
    assert re.search(r"^permute_every: 1$", (project / "params.yaml").read_text(), re.M)
    changed = json.loads(run(project, "dvc", "metrics", "diff", "--json"))
    assert set(changed) <= {"reports/metrics.json"}
    ran = {row["Experiment"]: row for row in csv.DictReader(io.StringIO(shown(project)))}
    assert ran["often"]["permute_every"] == "1"
    run(project, "git", "reset", "-q", "--hard")
    run(project, "dvc", "checkout", "-q", "--allow-missing")


def test_a_group_runs_alone(project: Path) -> None:
    name = "artifacts/results/train/labels,model.preprocessing=clean-0.json"
    (project / name).unlink()
    output = run(project, "dvc", "repro", "stages/ablations/dvc.yaml")
    assert stages_run(output) == set()  # out of the cache
    assert (project / name).exists()


def test_columns_of_experiments_are_few(project: Path) -> None:
    columns = next(csv.reader(io.StringIO(shown(project))))
    code = [column for column in columns if column.startswith("nat/")]
    assert len(code) < 40
