"""Which results count, which do not, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.conftest import SETTINGS, result, write

from nat.report.facts import left_out
from nat.report.frame import Report
from nat.report.results import NOT_LISTED, OTHER_DATA, OTHER_SETTINGS, TWICE
from nat.report.settings import Variants, get, matches, with_override
from nat.runtime.errors import UserError

MLP = {"mlp": 70.0, "linear": 66.0, "knn": 67.0}


def dropped(report: Report) -> dict[str, str]:
    return {r.file.removeprefix("results/"): r.dropped for r in report.results if r.dropped}


def change(path: Path, *names: str, to: Any) -> None:
    content = json.loads(path.read_text())
    group = content
    for name in names[:-1]:
        group = group[name]
    group[names[-1]] = to
    path.write_text(json.dumps(content))


LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["never", "sphere"])
NESTED = st.recursive(LEAVES, lambda each: st.dictionaries(st.sampled_from("abc"), each))


@given(NESTED, NESTED)
def test_settings_match_where_they_are_recorded(recorded: Any, in_use: Any) -> None:
    assert matches(recorded, recorded)
    if isinstance(recorded, dict) and isinstance(in_use, dict):
        assert matches(recorded, in_use | recorded)
        assert matches(recorded, in_use) == all(
            name in in_use and matches(value, in_use[name]) for name, value in recorded.items()
        )


def test_numbers_of_settings_are_compared_by_value() -> None:
    assert matches({"size": [76, 60.0], "lr": 1}, {"size": (76, 60), "lr": 1.0, "more": 2})
    assert not matches({"flip": True}, {"flip": 1})
    assert not matches({"k": 1}, {})


def test_overrides_change_settings_by_name() -> None:
    changed = with_override(SETTINGS, "target_type=onehot,targets.k=10")
    assert (changed["target_type"], changed["targets"]) == ("onehot", {"dimension": 16, "k": 10})
    assert get(SETTINGS, "targets.k") == 100
    assert with_override(SETTINGS, "permute_every=never")["permute_every"] == "never"
    for wrong, said in (("lr=1", "no setting lr"), ("targets.q=1", "targets.q")):
        with pytest.raises(UserError, match=said):
            with_override(SETTINGS, wrong)
    with pytest.raises(ValueError, match="NAME=VALUE"):
        with_override(SETTINGS, "x")


def test_values_of_a_factor_stand_in_order(settings: Any) -> None:
    def values(method: str, factor: str) -> list[Any]:
        return [variant.value for variant in Variants(settings).of(method, factor)]

    assert values("nat", "permute_every") == [1, 2, 3, 6, "never"]
    assert values("nat", "targets.k") == [10, 100, 1000]
    assert values("nat", "targets.dimension") == [8, 16, 64]
    assert values("nat", "target_type") == ["sphere", "lowdiscrepancy", "mixture"]
    assert values("labels", "model.preprocessing") == ["sobel", "clean", "high-pass"]
    assert values("random", "targets.k") == []
    settings["target_type"] = "onehot"
    assert values("nat", "targets.k") == [10, 100, 1000]
    assert values("nat", "targets.dimension") == []
    settings["methods"] = ["random"]
    assert values("nat", "permute_every") == []


def test_what_changes_several_settings_is_no_value_of_one(settings: Any) -> None:
    long = "targets.dimension=64,pretrain.epochs=60"
    settings["ablations"]["nat"] = [
        "pretrain.epochs=60",
        "targets.k=10,target_type=onehot",
        long,
        f"{long},permute_every=never",
        "permute_every=1,target_type=onehot",
        "permute_every=2",
        "target_type=onehot,pretrain.lr=0.5",
        "target_type=onehot,targets.k=10,pretrain.epochs=60",
    ]
    variants = Variants(settings)
    found = [v for v in variants.all if v.method == "nat" and v.override]
    assert [(v.name, v.factor) for v in found] == [
        ("60 epochs", "pretrain.epochs"),
        ("discrete, k = 10", "targets.k"),
        ("sphere, d = 64, 60 epochs", ""),
        ("sphere, d = 64, 60 epochs, P fixed", ""),
        ("P updated every epoch, discrete", ""),
        ("every 2 epochs", "permute_every"),
        ("discrete, pretrain.lr = 0.5", ""),
        ("discrete, k = 10, 60 epochs", ""),
    ]
    assert [v.value for v in variants.of("nat", "permute_every")] == [2, 3]
    assert [v.value for v in variants.of("nat", "targets.dimension")] == [16]


def test_the_own_value_is_the_own_run(make_results: Any, settings: Any) -> None:
    settings["ablations"]["nat"].append("permute_every=3")
    found = [v for v in Variants(settings).of("nat", "permute_every") if v.value == 3]
    assert [variant.override for variant in found] == [""]
    folder = make_results()
    write(folder, result("probe", "nat", MLP, "permute_every=3", seed=0))
    write(folder, result("probe", "nat", MLP | {"mlp": 71.0}, "permute_every=3", seed=1))
    report = Report(settings, folder)
    assert dropped(report) == {"probe/nat,permute_every=3-0.json": TWICE}
    assert report.measured("nat", "mlp").values == (70.0, 71.0)


def test_results_that_do_not_count_are_told(make_results: Any, settings: Any) -> None:
    folder = make_results(seeds=(0, 1, 2))
    change(folder / "train/nat-1.json", "provenance", "parameters", "permute_every", to=2)
    change(folder / "probe/random-2.json", "provenance", "parameters", "probe", "epochs", to=6)
    change(folder / "probe/labels-2.json", "provenance", "store", to="fashion-mnist-9")
    change(folder / "detect/nat-2.json", "provenance", "data", to="voc2007")
    write(folder, result("probe", "nat", MLP, "augment.crop=8"))
    write(folder, result("probe", "nat", MLP) | {"override": "no.such=8"})
    write(folder, result("probe", "random", MLP, seed=3) | {"method": "other"})
    report = Report(settings, folder)
    of_lost_training = [
        f"{stage}/nat-1.json" for stage in ("probe", "finetune-fc6-8", "finetune-all", "detect")
    ]
    assert dropped(report) == dict.fromkeys(
        ["train/nat-1.json", *of_lost_training, "probe/random-2.json"], OTHER_SETTINGS
    ) | dict.fromkeys(["probe/labels-2.json", "detect/nat-2.json"], OTHER_DATA) | dict.fromkeys(
        ["probe/nat,augment.crop=8-0.json", "probe/nat,no.such=8-0.json", "probe/other-3.json"],
        NOT_LISTED,
    )
    assert report.measured("nat", "mlp").seeds == (0, 2)
    assert report.measured("random", "mlp").seeds == (0, 1)
    assert left_out(report) == (
        "6 results with other settings, 3 of methods or ablations that params.yaml does not list, "
        "2 on other data are left out."
    )
    counted = report.frame.drop_duplicates("file").set_index("file")["counted"]
    assert counted["results/probe/nat-1.json"] == 0
    assert counted["results/probe/nat-0.json"] == 1


def test_one_result_is_told_of_as_one(make_results: Any, settings: Any) -> None:
    folder = make_results(seeds=(0, 1))
    change(folder / "probe/nat-0.json", "provenance", "parameters", "probe", to={"epochs": 1})
    assert left_out(Report(settings, folder)) == "1 result with other settings is left out."
    (folder / "probe/nat-0.json").unlink()
    assert left_out(Report(settings, folder)) == ""


def test_results_on_most_stores_count(make_results: Any, settings: Any) -> None:
    folder = make_results(seeds=(0, 1, 2))
    for path in folder.glob("[tp]r*/*-[12].json"):
        change(path, "provenance", "store", to="fashion-mnist-new")
    report = Report(settings, folder)
    assert report.measured("nat", "mlp").seeds == (1, 2)
    assert report.measured("nat", "map", "detect").seeds == (1, 2)


def test_other_settings_alone_are_one_line(make_results: Any, settings: Any) -> None:
    folder = make_results()
    settings["model"]["hidden"] = 33
    settings["finetune"]["hidden"] = settings["detect"]["iterations"] = 9
    settings["probe"]["epochs"] = 9
    with pytest.raises(
        UserError, match=r"none of its .* results was made with the settings in use"
    ):
        Report(settings, folder)


def test_unlisted_methods_do_not_count(make_results: Any, settings: Any) -> None:
    settings["methods"].remove("labels")
    report = Report(settings, make_results())
    assert report.measured("labels", "mlp") is None
    assert set(dropped(report).values()) == {NOT_LISTED}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", "x", r"notes\.txt: is no result of this project; move it out"),
        ("other/nat-0.json", "{}", r"other/nat-0\.json: is no result of this project; move it out"),
        ("probe/nat-0.json.part", "{}", r"nat-0\.json\.part: is no result of this project; move"),
        ("probe/half.json", '{"schema": 1, "st', r"half\.json: no result of this project .*again"),
        ("probe/empty.json", "", r"empty\.json: no result of this project"),
        ("probe/list.json", "[]", r"list\.json: no result of this project"),
        ("probe/none.json", "{}", r"none\.json: no result of this project \(schema: Field req"),
        ("probe/next.json", '{"schema": 2}', r"next\.json: made by another version; make it again"),
        ("illustrate/x/features.npz", "", r"x/features\.npz: is no result"),
        ("illustrate/7/more.npz", "", r"7/more\.npz: is no result of this project"),
        ("illustrate/7/features.npz", "PK", r"7/features\.npz: no illustration of this project"),
        ("illustrate/7/filters.npz", "PK", r"7/filters\.npz: no illustration of this project"),
    ],
)  # fmt: skip
def test_foreign_files_are_one_line(
    make_results: Any, settings: Any, name: str, content: str, said: str
) -> None:
    path = make_results() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    with pytest.raises(UserError, match=said) as caught:
        Report(settings, path.parents[name.count("/")])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("names", "to", "said"),
    [
        (("measured", "mlp"), "70", "measured"),
        (("measured", "mlp"), float("nan"), "measured"),
        (("seed",), -1, "seed"),
        (("stage",), "train", "of the stage train, but lies in probe"),
        (("provenance", "parameters"), None, "parameters"),
        (("checkpoints",), [{"epoch": "two"}], "checkpoints"),
    ],
)
def test_damaged_results_are_one_line(
    make_results: Any, settings: Any, names: tuple[str, ...], to: Any, said: str
) -> None:
    folder = make_results()
    change(folder / "probe/nat-0.json", *names, to=to)
    with pytest.raises(UserError, match=rf"probe/nat-0\.json: no result of this project.*{said}"):
        Report(settings, folder)


def test_a_copy_of_a_result_is_refused(make_results: Any, settings: Any) -> None:
    folder = make_results()
    (folder / "probe/copy.json").write_text((folder / "probe/nat-0.json").read_text())
    with pytest.raises(UserError, match=r"nat-0\.json: is of the same run as .*copy\.json; move"):
        Report(settings, folder)


def test_hidden_files_are_left_alone(make_results: Any, settings: Any) -> None:
    folder = make_results()
    for name in (".gitignore", ".x", "probe/.gitignore", "probe/.nat-0.json.abcdefgh.part"):
        (folder / name).write_text("x")
    (folder / "illustrate/0/.x").write_text("x")
    assert not dropped(Report(settings, folder))


def test_no_folder_is_one_line(settings: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="results: not found; make it with `dvc repro`"):
        Report(settings, tmp_path / "results")
    (tmp_path / "results").mkdir()
    with pytest.raises(UserError, match="none of its 0 results"):
        Report(settings, tmp_path / "results")


def test_figures_are_of_the_first_seed_that_has_them(make_results: Any, settings: Any) -> None:
    folder = make_results(seeds=(2, 10, 11))
    (folder / "illustrate/2/detections.npz").unlink()
    report = Report(settings, folder)
    assert (report.illustrated.seed, report.detected.seed) == (2, 10)
    change(folder / "train/nat-2.json", "provenance", "parameters", "permute_every", to=2)
    assert Report(settings, folder).illustrated.seed == 10
