"""The report as a whole: the same bytes, nothing half-written, nothing foreign touched."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.font_manager import FontEntry, FontProperties, fontManager
from report.conftest import ACCURACIES, PRECISIONS, SETTINGS

from nat.report import page
from nat.report.figures import DRAWINGS, curves, draw_all, transfer
from nat.report.figures.curves import by_epoch
from nat.report.figures.learned import mosaic
from nat.report.figures.style import apart, prefer_own_fonts
from nat.report.frame import Report
from nat.report.numbers import FILES
from nat.report.write import write_report
from nat.runtime.errors import UserError

TABLE_NAMES = ("table1", "table2", "table3", "table4", "against", "periods", "targets")
NAMES = {"README.md", "index.html", *FILES}
NAMES |= {f"tables/{name}.{ending}" for name in TABLE_NAMES for ending in ("md", "csv", "tex")}
NAMES |= {f"figures/{stem}.{ending}" for stem in DRAWINGS for ending in ("png", "svg")}
NAMES -= {"figures/tasks.png", "figures/tasks.svg"}  # of methods with a pretext task


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("has_own", [False, True])
def test_matplotlib_s_own_fonts_come_before_the_system_s(
    has_own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [
        FontEntry(f"/the/system/s/{weight}.ttf", name="DejaVu Sans", weight=weight, size="scalable")
        for weight in (400, 700)
    ]
    own = [font for font in fontManager.ttflist if "/mpl-data/" in font.fname]
    monkeypatch.setattr(fontManager, "ttflist", [*others, *(own if has_own else [])])
    prefer_own_fonts()
    for weight, name in ((400, "DejaVuSans.ttf"), (700, "DejaVuSans-Bold.ttf")):
        asked = FontProperties(family="DejaVu Sans", weight=weight, size=7.25)  # never before
        file = fontManager.findfont(asked, rebuild_if_missing=False)
        assert file == f"{matplotlib.get_data_path()}/fonts/ttf/{name}"


def test_same_results_give_the_same_bytes(make_results: Any, tmp_path: Path) -> None:
    """Two processes: ids of objects differ between them, and must not reach the files."""
    folder = make_results(seeds=(0, 1))
    code = (
        "import json, sys; from pathlib import Path\n"
        "import nat.report\n"
        "assert not {'pandas', 'jinja2', 'matplotlib'} & sys.modules.keys(), 'slow to import'\n"
        "from nat.report.write import write_report\n"
        "assert 'matplotlib' not in sys.modules, 'slow to import'\n"
        "print(*write_report(json.loads(sys.argv[1]), *map(Path, sys.argv[2:])), sep='\\n')\n"
        "assert 'torch' not in sys.modules, 'slow to import, and not needed here'\n"
    )
    outs = [tmp_path / name for name in ("one", "two")]
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, json.dumps(SETTINGS), str(folder.parent), str(out)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for out in outs
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert said[0].splitlines()[1].startswith("NAT     70.5 ± 0.7")
    assert said[0].splitlines()[-1].endswith(f"{outs[0]}/README.md, {outs[0]}/index.html")
    found = [contents(out) for out in outs]
    assert found[0].keys() == NAMES
    assert found[0] == found[1]
    for name, content in found[0].items():
        assert str(tmp_path).encode() not in content, name
        assert b"<dc:date>" not in content, name
    assert len(found[0]["index.html"]) < 3_000_000


def test_accuracy_in_training_stands_beside_that_in_test(make_results: Any) -> None:
    folder = make_results()
    for method in ("nat", "random"):
        file = folder / f"probe/{method}-0.json"
        content = json.loads(file.read_text())
        for row in (content["measured"], *content.get("checkpoints", [])):
            row["mlp_train"] = row["mlp"] + 10
        file.write_text(json.dumps(content))
    report = Report(SETTINGS, folder)
    lines = FILES["evolution.csv"](report).splitlines()
    assert lines[:2] == ["epoch,mlp,linear,knn,mlp_train", "0,50.00,48.00,49.00,60.00"]
    assert [line.split(",")[4] for line in lines[1:]] == [
        f"{float(line.split(',')[1]) + 10:.2f}" for line in lines[1:]
    ]
    texts = [text.get_text() for text in by_epoch(report).axes[0].texts]
    assert "MLP, in training 80.0 %" in texts
    (folder / "probe/random-0.json").write_text(
        (folder / "probe/random-0.json").read_text().replace("mlp_train", "mlp_other")
    )
    report = Report(SETTINGS, folder)
    assert FILES["evolution.csv"](report).startswith("epoch,mlp,linear,knn\n")
    assert not any("training" in text.get_text() for text in by_epoch(report).axes[0].texts)


def test_how_transfer_was_trained_is_shown_where_it_is_recorded(make_results: Any) -> None:
    """Of results without a history, as of earlier versions, nothing is shown, and nothing wrong."""
    folder = make_results(seeds=(0, 1))
    shown = transfer.transfers(Report(SETTINGS, folder))
    assert list(shown.by_stage) == ["probe", "finetune-all", "detect"]
    figure = transfer.draw(shown)
    probe, classification, detection = figure.axes
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["NAT", "Random", "Labels"]  # one seed
    test, training = probe.lines[:2]
    assert test.get_xydata().tolist() == [[1, 63], [2, 65], [3, 67]]
    assert training.get_ydata().tolist() == [66, 68, 70]
    assert classification.lines[0].get_xydata().tolist() == [[10, 51], [20, 53], [30, 55]]
    assert detection.lines[0].get_ydata().tolist() == [36, 38, 40]
    assert [len(axes.lines) for axes in figure.axes] == [6, 3, 3]
    assert len({line.get_color() for line in detection.lines}) == 3
    for file in folder.rglob("*.json"):
        content = json.loads(file.read_text())
        if content["stage"] in ("probe", "detect"):
            content.pop("history", None)
            file.write_text(json.dumps(content))
    drawn = draw_all(Report(SETTINGS, folder))["transfer"]
    assert "Classification" in drawn["caption"]
    assert "Probe" not in drawn["caption"]
    assert {run.stage for run in drawn["runs"]} == {"finetune-all"}
    for file in folder.glob("finetune-all/*.json"):
        file.unlink()
    assert "transfer" not in draw_all(Report(SETTINGS, folder))


def test_methods_beyond_the_first_three_share_a_name(make_results: Any) -> None:
    """However many there are, the figure's legend fits, and what is the paper's stands out."""
    shown = transfer.transfers(Report(SETTINGS, make_results()))
    others = [
        result.model_copy(update={"method": method})
        for result in shown.by_stage["probe"][:1]
        for method in ("gan", "dino", "jigsaw")
    ]
    probes = [*shown.by_stage["probe"], *others]
    figure = transfer.draw(shown._replace(by_stage=shown.by_stage | {"probe": probes}))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["NAT", "Random", "Labels", "each other method"]
    assert len(figure.axes[0].lines) == 3 * 2 + 3
    assert len({line.get_color() for line in figure.axes[0].lines[6:]}) == 1


def test_numbers_alone(make_results: Any) -> None:
    report = Report(SETTINGS, make_results())
    texts = {name: make(report) for name, make in FILES.items()}
    flat = json.loads(texts["metrics.json"])
    assert (flat["nat_mlp"], flat["labels_voc_fc"], flat["random_voc_all"]) == (70, 60, 40)
    assert flat["nat_voc_detection"] == 40
    assert all(isinstance(value, float) for value in flat.values())
    lines = texts["evolution.csv"].splitlines()
    assert lines[:2] == ["epoch,mlp,linear,knn", "0,50.00,48.00,49.00"]
    assert lines[-1] == "6,70.00,66.00,67.00"
    assert texts["training.csv"].splitlines()[:2] == ["epoch,loss,reassigned", "1,1.80000,80.0000"]
    assert texts["by_period.csv"].splitlines()[-1] == "never,54.00,50.00,51.00"
    lines = texts["results.csv"].splitlines()
    assert lines[0] == (
        "stage,method,override,factor,value,seed,metric,number,data,file,commit,counted"
    )
    assert (
        'probe,nat,"target_type=onehot,targets.k=10",targets.k,10,0,mlp,56.0,fashion-mnist,'
        '"results/probe/nat,target_type=onehot,targets.k=10-0.json",0123456789ab,1'
    ) in lines
    assert any(line.startswith('probe,nat,,,,0,"epoch 2, mlp",60.0') for line in lines)
    assert any(line.startswith("detect,nat,,,,0,ap: across,39.0") for line in lines)


def test_values_are_told_as_params_yaml_has_them(make_results: Any, settings: Any) -> None:
    settings["ablations"] = {"nat": ["targets.dimension=8"]}
    report = Report(settings, make_results(settings=settings, illustrated=False))
    lines = FILES["results.csv"](report).splitlines()
    assert any(
        line.startswith("probe,nat,targets.dimension=8,targets.dimension,8,0") for line in lines
    )


def test_numbers_of_nothing_keep_their_heads(make_results: Any) -> None:
    folder = make_results(accuracies={}, illustrated=False)
    for path in folder.glob("[tp]r*/*"):
        path.unlink()
    report = Report(SETTINGS, folder)
    assert FILES["evolution.csv"](report) == "epoch,mlp,linear,knn\n"
    assert FILES["training.csv"](report) == "epoch,loss,reassigned\n"
    assert FILES["by_period.csv"](report) == "period,mlp,linear,knn\n"
    assert draw_all(report).keys() == {"transfer"}  # of VOC alone


def test_writes_beside_foreign_files(make_results: Any, tmp_path: Path) -> None:
    out = tmp_path / "reports"
    (out / "figures").mkdir(parents=True)
    (out / "figures" / "mine.txt").write_text("kept")
    folder = make_results()
    write_report(SETTINGS, folder.parent, out)
    first = contents(out)
    assert first.keys() == NAMES | {"figures/mine.txt"}
    write_report(SETTINGS, folder.parent, out)
    assert contents(out) == first


def test_a_page_of_an_earlier_version_is_replaced(make_results: Any, tmp_path: Path) -> None:
    page_file = tmp_path / "reports/index.html"
    page_file.parent.mkdir()
    new, former = page.heads()
    assert (new.rpartition(">")[2], former.rpartition(">")[2]) == (
        "Unsupervised Learning by Predicting Noise: results",
        "Results - Noise As Targets",
    )
    page_file.write_text(f"{former}</title>")
    write_report(SETTINGS, make_results().parent, tmp_path / "reports")
    assert page_file.read_text().startswith(new)


@pytest.mark.parametrize("name", ["index.html", "tables/table3.md"])
def test_foreign_outputs_are_not_replaced(make_results: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / "reports" / name
    path.parent.mkdir(parents=True)
    path.write_text("mine")
    with pytest.raises(UserError, match=r"exists and is not .*so it is not replaced"):
        write_report(SETTINGS, make_results().parent, tmp_path / "reports")
    assert set(contents(tmp_path / "reports").values()) == {b"mine"}


def test_a_refused_result_writes_nothing(make_results: Any, tmp_path: Path) -> None:
    folder = make_results()
    (folder / "probe/nat-0.json").write_text("{}")
    with pytest.raises(UserError, match=r"nat-0\.json"):
        write_report(SETTINGS, folder.parent, tmp_path / "reports")
    assert not contents(tmp_path / "reports")


@pytest.mark.parametrize(("every", "words"), [("never", "stays as it was"), (1, "in every epoch")])
def test_other_paces_of_reassignment(
    make_results: Any, settings: Any, every: Any, words: str
) -> None:
    settings["permute_every"] = every
    report = Report(settings, make_results(settings=settings))
    assert words in page.caption("training", report=report)
    texts = [text.get_text() for axes in curves.training(report).axes for text in axes.texts]
    assert ("never" in texts) == (every == "never")


def test_curve_without_checkpoints_or_labels(make_results: Any) -> None:
    accuracies = {method: ACCURACIES[method] for method in ("nat", "random")}
    report = Report(SETTINGS, make_results(between=(), accuracies=accuracies))
    axes = curves.by_epoch(report).axes[0]
    assert axes.lines[0].get_xdata().tolist() == [0, 6]
    assert "labels" not in page.caption("figure2_left", report=report)
    assert not [text for text in axes.texts if "labels" in text.get_text()]


def test_figures_of_factors_show_what_was_measured(make_results: Any) -> None:
    folder = make_results(seeds=(0, 1))
    for path in folder.glob("probe/nat,*targets.k=100-*"):
        path.unlink()
    for path in folder.glob("probe/nat,targets.dimension*"):
        path.unlink()
    report = Report(SETTINGS, folder)
    drawn = draw_all(report)
    assert "dimension" not in drawn
    assert list(curves.measured(report, "targets.k").points) == [10, 1000]
    assert "Markers: means of 2 seeds" in drawn["classes"]["caption"]
    axes = curves.by_factor(curves.measured(report, "permute_every")).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "3", "6", "never"]
    lines = [text.get_text() for text in axes.texts]
    assert "untrained, MLP 50.5 %" in lines
    assert "MLP 54.5 %" in lines


def test_a_spread_without_precisions_shows_no_detections(make_results: Any) -> None:
    folder = make_results(precisions={m: means[:2] for m, means in PRECISIONS.items()})
    assert "detections" not in draw_all(Report(SETTINGS, folder))


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
