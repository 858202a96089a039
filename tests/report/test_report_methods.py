"""Compared methods in the report: their rows, the comparisons with NAT, their pretext tasks."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from matplotlib import rc_context
from matplotlib.figure import Figure
from report.conftest import VOC_STAGES, Make, make_folder, result, write
from shown import CLASSES

from nat.report import paper
from nat.report.against import against, statements
from nat.report.claims import HELD, NOT_HELD, OPEN
from nat.report.figures import draw_all, tasks
from nat.report.frame import Report
from nat.report.page import TEMPLATES, caption, render
from nat.report.results import Run
from nat.report.settings import Settings
from nat.report.table import Difference, Table
from nat.report.tables import COMPOSED, tables
from nat.runtime.results import SETTINGS as FILE
from nat.runtime.settings.families import PACKAGE

Add = Callable[..., None]


@pytest.fixture
def add(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Add:
    """Adds a method: its file, with these constants, and its name to the settings."""
    copytree(PACKAGE / "methods", tmp_path / "nat/methods")
    (tmp_path / "nat/fisher").symlink_to(PACKAGE / "fisher")
    monkeypatch.setattr("nat.runtime.settings.families.PACKAGE", tmp_path / "nat")

    def added(name: str, **constants: str) -> None:
        lines = [f"{word} = {text!r}" for word, text in constants.items()]
        (tmp_path / f"nat/methods/{name}.py").write_text("\n".join(["import torch", *lines]))
        settings["methods"].append(name)
        settings["baselines"][name] = {}

    return added


def probed(folder: Path, method: str, *values: float) -> None:
    measured = dict(zip(("mlp", "linear", "knn"), values, strict=True))
    write(folder, result("probe", method, measured))


def transferred(folder: Path, method: str, *means: float) -> None:
    for stage, mean in zip(VOC_STAGES, means, strict=True):
        each = {name: mean + i - 1 for i, name in enumerate(CLASSES)}
        write(folder, result(stage, method, {"map": mean, "ap": each}, data="fashion-mnist-voc"))


def trained(folder: Path, method: str, **more: Any) -> None:
    own = {"parameters": {"baselines": {method: more.pop("used", {})}}}
    measured = {"loss": 1.0, "images_per_second": 1234}
    write(folder, result("train", method, measured, provenance=own, **more))


def texts(made: Table, name: str) -> list[str]:
    return [str(cell) for cell in made.frame.loc[name]]


def notes(made: Table, name: str) -> list[str]:
    marks = made.marks[list(made.frame.index).index(name)]
    return [made.notes[mark - 1] for mark in marks]


def test_rows_are_in_order_what_is_measured_first(
    make_results: Make, settings: Settings, add: Add
) -> None:
    add("newer", LABEL="Newer", REFERENCE="N, 2020", WHEN="later")
    add("older", LABEL="Older", REFERENCE="O, 2001", WHEN="cited")
    add("mine", LABEL="Mine", REFERENCE="")
    add("plain")
    add("bigan", LABEL="BiGAN", REFERENCE="D")
    folder = make_results()
    for method in ("newer", "older", "mine", "bigan"):
        probed(folder, method, 60.0, 61.0, 62.0)
    trained(folder, "newer")
    made = tables(Report(settings, folder))["table3"]
    quoted = [row.name for row in paper.TABLES["Table 3"]]
    here = ["Random (Noroozi & Favaro, 2016)", "BiGAN (Donahue et al., 2016)", "NAT"]
    others = ["Labels", "Mine", "Older (O, 2001)", "Newer (N, 2020)"]
    rest = [name for name in quoted if name not in here]
    assert list(made.frame.index) == [*here, *others, *rest]  # and "plain" was not tried
    assert Report(settings, folder).not_tried == ["plain"]
    assert texts(made, "Newer (N, 2020)") == ["–", "60.0", "61.0", "62.0", "90", "1,234"]  # noqa: RUF001
    assert texts(made, "Mine")[-2:] == ["–", "–"]  # noqa: RUF001 - no training is known
    assert notes(made, "Newer (N, 2020)") == ["later than the paper"]
    assert notes(made, "Older (O, 2001)")[0].startswith("related work that the paper cites")
    assert notes(made, "Mine") == ["a row that the paper's table does not have"]
    assert made.frame.index[made.own] == "NAT"


def test_why_a_method_was_not_run_is_told(make_results: Make, settings: Settings, add: Add) -> None:
    add("colorization", LABEL="Colorization", REFERENCE="Z", MEASURE="loss")
    folder = make_results()
    own = {"colorization": {"bins": 313}}
    settings["baselines"] |= own
    where = {"parameters": {"baselines": own}}
    for stage in ("train", "probe", *VOC_STAGES):  # of the images' data, whichever the stage
        left_out = {"not_run": "needs colour: images.channels is 1", "provenance": where}
        write(folder, result(stage, "colorization", {}, **left_out))
    report = Report(settings, folder)
    assert [r.dropped for r in report.results if r.not_run] == [""] * 5
    assert report.voc == "composed VOC-format set"
    assert not any(r.not_run for r in report.counted)
    made = tables(report)
    row = "Zhang et al. (2016)"
    assert texts(made["table3"], row)[1:4] == ["not run: needs colour", "not run", "not run"]
    assert texts(made["table4"], row)[3:] == ["not run: needs colour", "not run", "not run"]
    shown = {"told": {"embedded": []}, "tables": made, "images": {}}
    shown["helped"] = {key: [] for key in "abcd"}
    for text in render(report, **shown).values():
        assert "Colorization: needs colour: images.channels is 1." in text
    settings["baselines"]["colorization"] = {"bins": 10}  # the finding was of other settings
    dropped = [r for r in Report(settings, folder).results if r.not_run and r.dropped]
    assert len(dropped) == 5


def test_composed_motion_is_marked(make_results: Make, settings: Settings, add: Add) -> None:
    add("tracking", LABEL="Tracking", REFERENCE="W")
    folder = make_results()
    probed(folder, "tracking", 60.0, 61.0, 62.0)
    for frames, marked in ((None, [COMPOSED]), ("data/film", [])):
        settings["baselines"]["tracking"] = {"frames": frames}
        trained(folder, "tracking", used={"frames": frames})
        made = tables(Report(settings, folder))["table3"]
        assert notes(made, "Wang & Gupta (2015)") == marked
        assert COMPOSED not in notes(made, "Labels")


def test_sift_and_fisher_vectors_count_without_a_training(
    make_results: Make, settings: Settings, add: Add
) -> None:
    folder = make_results()
    used = {"parameters": {"fisher": {"step": 4}, "probe": settings["probe"]}}
    measured = {"mlp": 81.0, "linear": 80.0, "knn": 79.0}
    write(folder, result("probe", "sift_fisher", measured, provenance=used))
    assert Report(settings, folder).measured("sift_fisher", "mlp") is None  # no such group
    settings["fisher"] = {"step": 4}
    made = tables(Report(settings, folder))
    assert texts(made["table3"], "SIFT+FV (Sánchez et al., 2013)")[:3] == ["55.6", "81.0", "80.0"]
    assert not [name for name in made["table4"].frame.index if "SIFT" in name]
    assert "SIFT+FV (Sánchez et al., 2013)" in made["against"].frame.index
    settings["fisher"]["step"] = 8
    assert Report(settings, folder).measured("sift_fisher", "mlp") is None


def test_nat_is_compared_with_every_method(
    make_results: Make, settings: Settings, add: Add
) -> None:
    add("context_prediction", LABEL="Context", REFERENCE="D")
    add("newer", LABEL="Newer", REFERENCE="N", WHEN="later")
    folder = make_results(images=100_000)
    probed(folder, "context_prediction", 60.0, 61.0, 62.0)
    transferred(folder, "context_prediction", 46.0, 50.0, 30.0)
    probed(folder, "newer", 75.0, 74.0, 73.0)
    report = Report(settings, folder)
    made = against(report)
    assert made is not None
    values = {
        name: [round(c.value, 1) if isinstance(c, Difference) else None for c in cells]
        for name, cells in made.frame.T.items()
    }
    assert values == {
        "Labels": [-20.0, -15.0, -10.0, -10.0],
        "Doersch et al. (2015)": [10.0, -1.0, 5.0, 10.0],
        "Random": [20.0, 15.0, 15.0, 20.0],
        "Newer (N)": [-5.0, None, None, None],
    }
    # NAT's numbers of the paper are 36.0, 56.7, 65.3, 49.4; Doersch et al.'s 30.4, 55.1, 65.3, 51.1
    found = {claim.text: claim for claim in statements(report)}
    better, alike, worse = found.values()
    assert list(found) == [
        "NAT's features are better than those of Doersch et al. (2015)",
        "those of Doersch et al. (2015) are as good as NAT's",
        "those of Doersch et al. (2015) are better than NAT's",
    ]
    assert (better.source, alike.source, worse.source) == ("Tables 3 and 4", "Table 4", "Table 4")
    assert [pair.name for pair in better.pairs] == ["MLP", "classification fc6-8"]
    assert [pair.difference.value for pair in better.pairs] == [10.0, -1.0]
    assert [pair.difference.value for pair in worse.pairs] == [-10.0]
    # against the paper: by one of its numbers, by more than is small, by the other sign
    assert [claim.verdict for claim in (better, alike, worse)] == [NOT_HELD] * 3
    assert not any(claim.added for claim in found.values())


@pytest.mark.parametrize(("mlp", "judged"), [(60.0, HELD), (69.0, OPEN), (80.0, NOT_HELD)], ids=str)
def test_statements_follow_the_error(
    mlp: float, judged: str, make_results: Make, settings: Settings, add: Add
) -> None:
    add("bigan", LABEL="BiGAN", REFERENCE="D")
    folder = make_results(images=500)
    probed(folder, "bigan", mlp, 61.0, 62.0)
    (claim,) = statements(Report(settings, folder))
    assert (claim.verdict, claim.source) == (judged, "Table 3")


def test_nothing_is_said_where_nothing_is_measured(make_results: Make, settings: Settings) -> None:
    assert list(statements(Report(settings, make_results()))) == []
    folder = make_results()
    for path in folder.glob("*/nat-*.json"):
        path.unlink()
    report = Report(settings, folder)
    assert against(report) is None
    assert "against" not in tables(report)


def epochs(*values: float | None) -> list[dict[str, float | None]]:
    return [{"epoch": i, "error": value, "loss": 1.0} for i, value in enumerate(values, start=1)]


def drawn(shown: tasks.Shown) -> Figure:
    with rc_context(fname=TEMPLATES / "figures.mplstyle"):
        return tasks.draw(shown)


def test_pretext_tasks_have_a_panel_each(make_results: Make, settings: Settings, add: Add) -> None:
    about = {"MEASURE_TEXT": "accuracy, % of pairs of tiles", "BETTER": "higher"}
    add("pairs", LABEL="Pairs", REFERENCE="P", MEASURE="error", **about)
    add("silent", LABEL="Silent", REFERENCE="S", MEASURE="error")
    add("other", LABEL="Other", REFERENCE="S", MEASURE="missing")
    folder = make_results()
    assert tasks.measured(Report(settings, folder)) is None  # NAT alone has a figure of its own
    trained(folder, "pairs", history=epochs(20, 40, None, 70), seed=0)
    trained(folder, "pairs", history=epochs(22, 44, 60, 80), seed=1)
    trained(folder, "silent")
    trained(folder, "other", history=epochs(1, 2))
    report = Report(settings, folder)
    shown = tasks.measured(report)
    assert shown is not None
    assert shown.runs == [Run("train", "nat"), Run("train", "pairs")]
    figure = drawn(shown)
    nat, pairs = [axes for axes in figure.axes if axes.get_title(loc="left")]
    assert (nat.get_title(loc="left"), pairs.get_title(loc="left")) == ("NAT", "Pairs")
    lines = [line.get_xydata().tolist() for line in pairs.lines]
    assert lines == [[[1, 20], [2, 40], [4, 70]], [[1, 22], [2, 44], [3, 60], [4, 80]]]
    words = [text.get_text().replace("\n", " ") for text in pairs.texts]
    assert words == ["75", "accuracy, % of pairs of tiles; higher is better"]
    assert "One line for each of 2 seeds." in caption("tasks", report=report, shown=shown)


def test_those_of_a_profile_beside_are_drawn_too(
    make_results: Make, settings: Settings, add: Add
) -> None:
    add("pairs", LABEL="Pairs", REFERENCE="P", MEASURE="error")
    folder = make_results()
    other = settings | {"profile": "natural"}
    beside = make_folder(folder.with_name("natural"), settings=other, data="cifar10")
    (beside / FILE).write_text(json.dumps(other))
    trained(beside, "pairs", history=epochs(2, 1), data="cifar10")
    drawn = draw_all(Report.of_all(settings, folder.parent))
    assert "tasks" not in drawn  # nothing but NAT was trained
    assert drawn["tasks-natural"]["title"] == "Pretext tasks, CIFAR-10"


def test_few_points_are_marked(make_results: Make, settings: Settings, add: Add) -> None:
    folder = make_results()
    for count in (30, 31):
        add(f"m{count}", LABEL=f"{count}", REFERENCE="", MEASURE="error")
        trained(folder, f"m{count}", history=epochs(*range(count)))
    shown = tasks.measured(Report(settings, folder))
    assert shown is not None
    marks = {axes.get_title(loc="left"): axes.lines[0].get_marker() for axes in drawn(shown).axes}
    assert (marks["30"], marks["31"]) == (".", "")


def test_many_panels_have_room(make_results: Make, settings: Settings, add: Add) -> None:
    folder = make_results()
    for index in range(9):
        about = {"MEASURE_TEXT": "squared error a pixel of standardised images of both kinds"}
        add(f"m{index}", LABEL=f"Method {index}", REFERENCE="", MEASURE="error", **about)
        trained(folder, f"m{index}", history=epochs(3.0, 2.0, 1.0))
    shown = tasks.measured(Report(settings, folder))
    assert shown is not None
    figure = drawn(shown)
    figure.draw_without_rendering()
    used = [axes for axes in figure.axes if axes.lines]
    assert len(used) == 10
    boxes = [axes.get_tightbbox() for axes in used]
    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[i + 1 :])
