"""Experiments with a part of the pipeline: real DVC, a copy of the project, tiny parameters."""

import csv
import io
import json
import re
import shutil
import time
from pathlib import Path

import pytest
from conftest import write_image_folder
from ilsvrc import write_tree
from pipeline import commit, copy_project, refused, run, stages_run, start
from ruamel.yaml import YAML
from tiny import ALL, PROJECT, settings

README = PROJECT / "README.md"
WITHOUT_GIT = ".dvc/without-git"  # what run.sh sets in an archive


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of the project in which NAT was trained and probed."""
    root = tmp_path_factory.mktemp("experiments")
    folder = copy_project(root / "project", Path("data/raw/images"), root)
    write_image_folder(folder / "data/raw/images", a_class=40)
    run(folder, "git", "init", "-q")
    commit(folder, "start")
    run(folder, "dvc", "repro", "probe@nat-0")
    commit(folder, "results")
    return folder


def test_a_target_type_of_ones_own_is_one_file(project: Path) -> None:
    """The README's example, taken from the README."""
    example = re.search(r"```python\n# nat/targets/(\w+)\.py\n(.*?)```", README.read_text(), re.S)
    assert example
    name, code = example.groups()
    (project / "nat" / "targets" / f"{name}.py").write_text(code)
    output = run(
        project, "dvc", "exp", "run", "-n", name, "-S", f"target_type={name}", "probe@nat-0"
    )
    assert stages_run(output) == {"check", "targets@0", "pretrain@0", "probe@nat-0"}
    measured = json.loads((project / "artifacts/results/probe/nat-0.json").read_text())["measured"]
    assert 0 < measured["mlp"] <= 100
    run(project, "git", "reset", "-q", "--hard")
    run(project, "git", "clean", "-qfd", "nat")
    run(project, "dvc", "checkout", "-q", "--allow-missing")


@pytest.mark.parametrize(
    ("setting", "fault"),
    [
        ("target_type=cube", "target_type: unknown name 'cube'; known: lowdiscrepancy, mixture, "),
        (
            'ablations.nat=["target_type=cube"]',
            "target_type=cube: target_type: unknown name 'cube'",
        ),
        ("seeds=[]", "seeds: empty; name at least one"),
        ("seeds=[0, 0]", "seeds: 0 is named twice; name each once"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_before_anything_runs(
    project: Path, setting: str, fault: str
) -> None:
    """Among them those by which DVC multiplies stages; test_params.py has all kinds."""
    params = (project / "params.yaml").read_bytes()
    told = refused(project, "dvc", "exp", "run", "-S", setting)
    # not by git, to which a file changed in the same moment, as long as before, may look the same
    (project / "params.yaml").write_bytes(params)
    assert f"error: params.yaml: {fault}" in told
    assert stages_run(told) == {"check"}


def test_queued_experiments_find_their_data(project: Path) -> None:
    """Two workers at once, each in a copy of the project, fill one store and train in one scratch.

    The images lie in a folder that is named relative to the project and that git does not track.
    """
    periods = {"fixed": "never", "often": "1"}
    for name, period in periods.items():
        words = ["-n", name, "-S", f"permute_every={period}", "-S", "images.test=20"]
        run(project, "dvc", "exp", "run", "--queue", *words, "pretrain@0")
    run(project, "dvc", "queue", "start", "--jobs", "2")
    deadline = time.monotonic() + 480
    ended = r"\b(Success|Failed)\b"
    while len(re.findall(ended, status := run(project, "dvc", "queue", "status"))) < 2:
        assert time.monotonic() < deadline, status
        time.sleep(1)
    assert "Failed" not in status, status + "".join(
        run(project, "dvc", "queue", "logs", name) for name in periods
    )
    logs = {name: run(project, "dvc", "queue", "logs", name) for name in periods}
    for name, period in periods.items():
        assert "images" in stages_run(logs[name])
        shown = run(project, "dvc", "exp", "show", "--csv")
        ran = {row["Experiment"]: row for row in csv.DictReader(io.StringIO(shown))}
        assert ran[name]["permute_every"] == period
    assert not list((project / "scratch").glob("*"))
    assert "permute_every: 3" in (project / "params.yaml").read_text()


def test_two_lanes_of_one_pipeline(project: Path) -> None:
    """Stages that do not need each other, each with a DVC of its own, in one folder."""
    lanes = [f"train@{method}-0" for method in ("random", "labels")]
    both = [start(project, "dvc", "--wait-for-lock", "repro", "-s", lane) for lane in lanes]
    for lane, process in zip(lanes, both, strict=True):
        told = process.communicate(timeout=240)[0]
        assert process.returncode == 0, told
        assert stages_run(told) == {lane}
    for lane in lanes:
        assert "up to date" in run(project, "dvc", "status", lane)
    run(project, "git", "reset", "-q", "--hard")


def test_two_clones_share_scratch_and_data(tmp_path: Path) -> None:
    """The same run at once: nothing half, the same bytes, nothing left."""
    write_image_folder(tmp_path / "images", a_class=20)
    clones = [copy_project(tmp_path / n, tmp_path / "images", tmp_path) for n in ("a", "b")]
    places = {"data": str(tmp_path / "data"), "scratch": str(tmp_path / "scratch")}
    for clone in clones:
        content = YAML().load((clone / "params.yaml").read_text())
        content["machine"] |= places
        YAML().dump(content, clone / "params.yaml")
    both = [start(clone, "dvc", "repro", "probe@nat-0", DVC_SYSTEM_CONFIG_DIR=WITHOUT_GIT)
            for clone in clones]  # fmt: skip
    for process in both:
        told = process.communicate(timeout=240)[0]
        assert process.returncode == 0, told
    for name in ("data/images.json", "artifacts/networks/nat-0/network.safetensors"):
        assert (clones[0] / name).read_bytes() == (clones[1] / name).read_bytes()
    first, second = (
        json.loads((c / "artifacts/results/probe/nat-0.json").read_text()) for c in clones
    )
    assert first["measured"] == second["measured"]
    assert not list((tmp_path / "scratch").iterdir())
    assert len(list((tmp_path / "data/stores").iterdir())) == 1


def test_an_archive_without_git_works(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "images", a_class=10)
    folder = copy_project(tmp_path / "archive", tmp_path / "images", tmp_path)
    process = start(folder, "dvc", "repro", "images", DVC_SYSTEM_CONFIG_DIR=WITHOUT_GIT)
    output = process.communicate(timeout=240)[0]
    assert stages_run(output) == {"check", "images"}
    assert (folder / "data" / "images.json").exists()


def test_dvc_asks_for_the_manifest_and_not_for_the_images(tmp_path: Path) -> None:
    """ImageNet's folder and the store are gone, and nothing is out of date."""
    images = write_tree(tmp_path / "imagenet")
    folder = copy_project(tmp_path / "project", images, tmp_path)
    group = {"source": "imagenet", "folder": str(images), **ALL}
    YAML().dump(settings(images=group), folder / "params.yaml")
    run(folder, "dvc", "config", "--local", "core.no_scm", "true")
    run(folder, "dvc", "repro", "images")
    cached = {p.read_bytes() for p in (folder / ".dvc/cache/files").rglob("*") if p.is_file()}
    assert cached == {(folder / "data" / name).read_bytes() for name in ("checked", "images.json")}
    shutil.rmtree(images)
    shutil.rmtree(folder / "data" / "stores")
    assert "up to date" in run(folder, "dvc", "status", "images")
    assert not stages_run(run(folder, "dvc", "repro", "images"))
