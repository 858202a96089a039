"""Several data sets side by side: columns, verdicts and figures of each, and their folders."""

import copy
import csv
import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from report.conftest import SETTINGS, make_folder
from report.test_report_page import read_html

from nat.report.frame import Report
from nat.report.table import Measured
from nat.report.tables import tables, what_helped
from nat.report.write import files
from nat.runtime.errors import UserError
from nat.runtime.results import SETTINGS as FILE
from nat.runtime.results import collect

OTHER = copy.deepcopy(SETTINGS) | {"profile": "natural", "permute_every": 2}
OTHER["ablations"]["nat"] = [f"permute_every={pace}" for pace in (1, 3, 10, "never")]
ACCURACIES = {"nat": (52.0, 47.0, 45.0), "random": (44.0, 40.0, 28.0), "labels": (77.0, 77.0, 73.0)}


@pytest.fixture
def results(make_results: Any, tmp_path: Path) -> Path:
    """Of the profile in use, and of another one on CIFAR-10, whose P is updated at another pace."""
    make_results()
    make = partial(make_folder, tmp_path / "results/natural")
    made = make(settings=OTHER, data="cifar10", accuracies=ACCURACIES, precisions={})
    (made / FILE).write_text(json.dumps(OTHER))
    return tmp_path / "results"


def test_each_data_set_has_its_columns_in_each_table(results: Path) -> None:
    made = tables(Report.of_all(SETTINGS, results))
    for stem in ("table1", "table2", "table3", "periods", "against"):
        groups = dict.fromkeys(made[stem].frame.columns.get_level_values(0))
        groups = [g for g in groups if not g.startswith(("ImageNet", "composed"))]
        assert groups == ["Fashion-MNIST, measured", "CIFAR-10, measured"], stem
    row = made["table3"].frame.loc["NAT"]
    assert str(row["CIFAR-10, measured", "MLP"]) == "52.0"
    assert "images/s" not in row["CIFAR-10, measured"]  # of the profile in use alone
    assert "images/s" in row["Fashion-MNIST, measured"]
    assert str(made["against"].frame.loc["Random", ("CIFAR-10, measured", "MLP")]).startswith(
        "+8.0"
    )
    # transfers of one alone have no empty columns of the other
    groups = set(made["table4"].frame.columns.get_level_values(0))
    assert groups == {"VOC 2007 (paper)", "composed VOC-format set, measured"}
    assert not [g for g, _ in made["targets"].frame.columns if "CIFAR" in g]


def test_a_method_that_a_profile_beside_does_not_list_was_not_to_be_run(
    make_results: Any, tmp_path: Path
) -> None:
    make_results()
    for name, methods in (("short", ["nat", "random"]), ("long", SETTINGS["methods"])):
        make = partial(make_folder, tmp_path / "results" / name)
        of = {method: ACCURACIES[method] for method in ("nat", "random")}
        settings = OTHER | {"profile": name, "methods": methods, "compared": methods[1:]}
        (make(settings=settings, data=name, accuracies=of) / FILE).write_text(json.dumps(settings))
    row = tables(Report.of_all(SETTINGS, tmp_path / "results"))["table3"].frame.loc["Labels"]
    shown = {group: str(row[group, "MLP"]) for group in ("short, measured", "long, measured")}
    assert shown == {"short, measured": "–", "long, measured": "not run"}  # noqa: RUF001


def test_a_period_that_one_lacks_stands_among_those_of_the_other(results: Path) -> None:
    frame = tables(Report.of_all(SETTINGS, results))["periods"].frame
    assert list(frame.index)[-2:] == ["P fixed (never)", "random trunk"]
    own = frame.loc["every 2 epochs", ("CIFAR-10, measured", "MLP")]
    assert str(own) == "52.0"
    assert str(frame.loc["every 2 epochs", ("CIFAR-10, measured", "MLP minus reference")]) == "–"  # noqa: RUF001
    shared = frame.loc["every 3 epochs"]
    assert str(shared["Fashion-MNIST, measured", "MLP"]) == "70.0"
    assert str(shared["CIFAR-10, measured", "MLP"]) == "64.0"
    alone = frame.loc["every 10 epochs"]
    assert str(alone["Fashion-MNIST, measured", "MLP"]) == "–"  # noqa: RUF001
    assert str(alone["CIFAR-10, measured", "MLP minus reference"]).startswith("+12.0")


def test_targets_that_were_run_elsewhere_have_columns_and_rows(
    make_results: Any, tmp_path: Path
) -> None:
    make_results()
    other = copy.deepcopy(OTHER)
    other["targets"]["dimension"] = 32
    run = ["target_type=onehot,targets.k=10", "targets.dimension=128"]
    not_run = ["target_type=onehot,targets.k=100", "targets.dimension=256"]
    other["ablations"]["nat"] = run
    make = partial(make_folder, tmp_path / "results/natural")
    folder = make(settings=other, data="cifar10", accuracies=ACCURACIES, precisions={})
    other["ablations"]["nat"] = run + not_run
    (folder / FILE).write_text(json.dumps(other))
    report = Report.of_all(SETTINGS, tmp_path / "results")
    made = tables(report)["targets"]
    frame = made.frame
    assert frame.index[0] == "NAT as in Table 3 (reference)"  # which differs in d
    assert "sphere, d = 128" in frame.index
    assert "sphere, d = 256" not in frame.index  # which nobody has run
    column = "CIFAR-10, measured", "MLP"
    assert str(frame.loc["NAT as in Table 3 (reference)", column]) == "52.0"
    assert str(frame.loc["discrete, k = 100", column]) == "not run"
    assert isinstance(frame.loc["discrete, k = 10", column], Measured)
    assert isinstance(frame.loc["sphere, d = 128", column], Measured)
    helped = what_helped(made)  # of the profile in use
    assert helped == what_helped(tables(Report(SETTINGS, tmp_path / "results/embedded"))["targets"])


def test_the_page_has_both_and_each_number_its_source(results: Path) -> None:
    made = files(Report.of_all(SETTINGS, results))
    readme, html = made["README.md"].decode(), read_html(made["index.html"].decode())
    assert readme.count("Every number is of one seed.") == 2
    assert re.search(r"On CIFAR-10, .* accuracy of 52\.0 %", readme)
    assert "**CIFAR-10.**" in readme
    assert (
        "ImageNet: what is said here of Tables 1 to 3, of section 4.1 and of the figures is of"
        in (readme)
    )
    assert {href[1:] for href in html.hrefs if href.startswith("#")} <= set(html.ids)
    assert len(html.ids) == len(set(html.ids))
    assert {"figures/figure2_left-natural.png", "figures/figure3-natural.svg"} <= made.keys()
    assert "figures/figure1-natural.png" not in made
    rows = list(csv.DictReader(made["results.csv"].decode().splitlines()))
    assert {row["file"].split("/")[1] for row in rows} == {"embedded", "natural"}
    metrics = json.loads(made["metrics.json"])
    assert metrics["nat_mlp"] == 70.0  # of the profile in use


def test_the_profile_in_use_comes_first(results: Path) -> None:
    (results / "embedded" / FILE).write_text(json.dumps(SETTINGS))
    report = Report.of_all(OTHER, results)
    assert [each.profile for each in report.all] == ["natural", "embedded"]
    groups = tables(report)["table3"].frame.columns.get_level_values(0)
    assert groups[1] == "CIFAR-10, measured"


def test_of_the_same_data_the_columns_have_other_names(make_results: Any, tmp_path: Path) -> None:
    make_results()
    made = make_folder(tmp_path / "results/mine", settings=SETTINGS | {"profile": "mine"})
    (made / FILE).write_text(json.dumps(SETTINGS | {"profile": "mine"}))
    made = tables(Report.of_all(SETTINGS, tmp_path / "results"))
    groups = list(dict.fromkeys(made["table3"].frame.columns.get_level_values(0)))
    assert groups[1:] == ["Fashion-MNIST, measured", "Fashion-MNIST (profile mine), measured"]
    groups = list(dict.fromkeys(made["table4"].frame.columns.get_level_values(0)))
    assert groups[2] == (
        "composed VOC-format set, trunks of Fashion-MNIST (profile mine), measured"
    )


def test_what_is_no_folder_of_results_is_refused_by_name(results: Path) -> None:
    for name, content in (("settings.json", "{}"), ("settings.json", "[1"), ("x", "")):
        folder = results / "foreign"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(content)
        with pytest.raises(UserError, match="foreign") as refused:
            Report.of_all(SETTINGS, results)
        assert "\n" not in str(refused.value)
        (folder / name).unlink()


def test_settings_are_kept_with_what_was_collected(results: Path, tmp_path: Path) -> None:
    measured = tmp_path / "measured"
    collect(measured, results / "new", OTHER)
    assert not (results / "new").exists()  # nothing was measured
    (measured / "probe").mkdir(parents=True)
    content = (results / "natural/probe/nat-0.json").read_bytes()
    (measured / "probe/nat-0.json").write_bytes(content)
    collect(measured, results / "new", OTHER)
    assert json.loads((results / "new" / FILE).read_text()) == OTHER
    assert (results / "new/probe/nat-0.json").read_bytes() == content
    (results / "new" / FILE).write_text("[]")
    with pytest.raises(UserError, match=r"settings\.json: exists and is not settings of results"):
        collect(measured, results / "new", OTHER)
