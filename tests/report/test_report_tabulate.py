"""The stage as a whole: the same bytes, nothing half-written, nothing foreign touched."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny import PROJECT

from nat.report.ablation_tables import TABLES
from nat.report.artifacts import read_artifacts
from nat.report.claims import of_comparison
from nat.report.figures import DRAWINGS, OF_ABLATIONS, OF_DETECTION, evolution, training
from nat.report.figures.filters import mosaic
from nat.report.figures.style import apart
from nat.report.page.stage import write_page
from nat.report.tabulate import tabulate, tabulate_ablations
from nat.runtime.errors import UserError

NAMES = {"metrics.json", "evolution.csv", "training.csv"}
NAMES |= {f"table{number}.{ending}" for number in (3, 4) for ending in ("md", "csv", "tex")}
NAMES |= {f"figures/{drawing.stem}.{ending}" for drawing in DRAWINGS for ending in ("png", "svg")}
OF_DETECTION_NAMES = {
    f"figures/{d.stem}.{ending}" for d in OF_DETECTION for ending in ("png", "svg")
}
OF_ABLATIONS_NAMES = {"ablations.csv", "by_period.csv"}
OF_ABLATIONS_NAMES |= {f"{stem}.{ending}" for stem in TABLES for ending in ("md", "csv", "tex")}
OF_ABLATIONS_NAMES |= {f"{d.stem}.{ending}" for d in OF_ABLATIONS for ending in ("png", "svg")}
PAGES = {"README.md", "index.html"}


def test_same_artifacts_give_the_same_bytes(
    make_artifacts: Any, overrides: Any, tmp_path: Path
) -> None:
    """Two processes: ids of objects differ between them, and must not reach the files."""
    detections = {"random": 20.0, "labels": 50.0, "nat": 40.0}
    folder = make_artifacts(seeds=(0, 1), detections=detections)
    code = (
        "import sys; from pathlib import Path\n"
        "from nat.runtime.settings.load import load_params\n"
        "from nat.report.page.stage import write_page\n"
        "from nat.report.tabulate import tabulate, tabulate_ablations\n"
        "project, artifacts, out = map(Path, sys.argv[1:4])\n"
        "params = load_params(project / 'params.yaml', sys.argv[4:])\n"
        "tabulate(params, artifacts, out)\n"
        "tabulate_ablations(params, artifacts, out / 'ablations')\n"
        "write_page(params, artifacts, project, out)\n"
        "assert 'torch' not in sys.modules, 'slow to import, and not needed here'\n"
    )
    running, found = [], []
    for name in ("one", "two"):
        out = tmp_path / name
        words = [sys.executable, "-c", code, str(PROJECT), str(folder), str(out), *overrides]
        running.append(subprocess.Popen(words))
    for process, name in zip(running, ("one", "two"), strict=True):
        assert process.wait() == 0
        out = tmp_path / name
        files = [path for path in out.rglob("*") if path.is_file()]
        found.append({str(path.relative_to(out)): path.read_bytes() for path in files})
    ablations = {f"ablations/{name}" for name in OF_ABLATIONS_NAMES}
    assert found[0].keys() == NAMES | OF_DETECTION_NAMES | PAGES | ablations
    assert found[0] == found[1]
    for name, content in found[0].items():
        assert str(tmp_path).encode() not in content, name
        assert b"<dc:date>" not in content, name


def test_writes_beside_foreign_files(make_artifacts: Any, make_params: Any, tmp_path: Path) -> None:
    out = tmp_path / "reports"
    (out / "figures").mkdir(parents=True)
    (out / "figures" / "mine.txt").write_text("kept")
    tabulate(make_params(seeds=[0]), make_artifacts(), out)
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert written == NAMES | {"figures/mine.txt"}
    flat = json.loads((out / "metrics.json").read_text())
    assert flat["nat_mlp"] == 70
    assert flat["labels_voc_fc"] == 60
    assert flat["random_voc_all"] == 40
    assert all(isinstance(value, float) for value in flat.values())
    lines = (out / "evolution.csv").read_text().splitlines()
    assert lines[:2] == ["epoch,mlp,linear,knn", "0,50.00,48.00,49.00"]
    assert lines[-1] == "6,70.00,66.00,67.00"


def test_missing_artifact_writes_nothing(
    make_artifacts: Any, make_params: Any, tmp_path: Path
) -> None:
    folder = make_artifacts()
    (folder / "finetune/nat-all-0.json").unlink()
    with pytest.raises(UserError, match=r"nat-all-0\.json: not found"):
        tabulate(make_params(seeds=[0]), folder, tmp_path / "reports")
    assert not list((tmp_path / "reports").iterdir())


def test_ablations_write_their_folder(
    make_artifacts: Any, make_params: Any, listed: Any, tmp_path: Path
) -> None:
    folder, params = (
        make_artifacts(),
        make_params(seeds=[0], ablations=listed, pictures={"train": 1000}),
    )
    tabulate_ablations(params, folder, tmp_path / "ablations")
    assert {path.name for path in (tmp_path / "ablations").iterdir()} == OF_ABLATIONS_NAMES
    (folder / "ablations/probe/k-10-0.json").unlink()
    with pytest.raises(UserError, match=r"k-10-0\.json: not found"):
        tabulate_ablations(params, folder, tmp_path / "none")
    assert not list((tmp_path / "none").iterdir())


def test_the_page_needs_every_part(
    make_artifacts: Any, make_params: Any, listed: Any, tmp_path: Path
) -> None:
    folder, params = (
        make_artifacts(),
        make_params(seeds=[0], ablations=listed, pictures={"train": 1000}),
    )
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"dvc\.yaml"):
        write_page(params, folder, tmp_path / "empty", tmp_path / "reports")
    assert not list((tmp_path / "reports").iterdir())
    write_page(params, folder, PROJECT, tmp_path / "reports")
    assert {path.name for path in (tmp_path / "reports").iterdir()} == PAGES


@pytest.mark.parametrize(("every", "words"), [("never", "stays as it was"), (1, "in every epoch")])
def test_other_paces_of_reassignment(make_artifacts: Any, every: Any, words: str) -> None:
    artifacts = read_artifacts(make_artifacts(permute_every=every), [0])
    assert words in training.caption(artifacts)
    texts = [text.get_text() for axes in training.draw(artifacts).axes for text in axes.texts]
    assert ("never" in texts) == (every == "never")


def test_curve_without_checkpoints(make_artifacts: Any) -> None:
    artifacts = read_artifacts(make_artifacts(between=()), [0])
    line = evolution.draw(artifacts).axes[0].lines[0]
    assert line.get_xdata().tolist() == [0, 6]
    assert any("from epoch 0 to 6" in claim.text for claim in of_comparison(artifacts))


def test_labels_are_moved_apart_and_keep_their_order() -> None:
    moved = apart([1.0, 1.1, 5.0], 1.0)
    assert moved == pytest.approx([0.55, 1.55, 5.0])
    around = apart([0.1, 6.2], 1.0, 2 * np.pi)
    assert (around[0] - around[1]) % (2 * np.pi) == pytest.approx(1.0)


@pytest.mark.parametrize(("n", "shape"), [(32, (4, 8)), (96, (8, 12)), (1, (1, 1)), (7, (3, 3))])
def test_mosaic_shows_every_filter(n: int, shape: tuple[int, int]) -> None:
    filters = np.random.default_rng(0).normal(size=(n, 3, 3)) * np.arange(1, n + 1)[:, None, None]
    grid = mosaic(filters)
    fine = 3 * 8
    assert grid.shape == tuple(side * (fine + 6) - 6 for side in shape)
    strongest = filters[np.square(filters).sum((1, 2)).argmax()]
    np.testing.assert_allclose(grid[:fine:8, :fine:8], strongest / np.abs(strongest).max())
    assert np.nanmax(np.abs(grid)) == 1
