"""Section 4.1: whose run stands for a value, in which order, and in which files."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nat.report import paper
from nat.report.ablation_tables import (
    TABLES,
    by_period,
    periods,
    table_1,
    table_2,
    targets,
    tidy,
    what_helped,
)
from nat.report.ablations import Ablations, ordered, read_ablations
from nat.report.figures import OF_ABLATIONS, classes, dimension, period
from nat.report.formats import comma_separated, latex, markdown
from nat.report.table import Difference, Measured, Missing, Quoted, Table
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Ablations as Values


def ablations(folder: Path, listed: dict[str, Any], seeds: tuple[int, ...] = (0,)) -> Ablations:
    return read_ablations(folder, list(seeds), Values.model_validate(listed))


def values(found: Ablations, factor: str) -> list[int | str]:
    return [variant.value for variant in found.variants[factor]]


def rows(table: Table) -> dict[str, tuple[Any, ...]]:
    return {row.name: row.cells for row in table.rows}


def test_the_spine_stands_among_the_listed_values(make_artifacts: Any, listed: Any) -> None:
    found = ablations(make_artifacts(), listed)
    assert values(found, "permute_every") == [1, 2, 3, 6, "never"]
    assert values(found, "dimension") == [8, 16, 64]
    assert values(found, "k") == [10, 100, 1000]
    assert values(found, "target_type") == ["sphere", "lowdiscrepancy", "mixture"]
    assert values(found, "alignment") == ["exact", "greedy", "sinkhorn"]
    assert values(found, "loss") == ["softmax", "square"]
    assert values(found, "preprocessing") == ["clean", "high-pass", "sobel"]
    own = {f: [v.value for v in each if v.reference] for f, each in found.variants.items()}
    assert own == {
        "permute_every": [3],
        "alignment": ["exact"],
        "k": [],
        "dimension": [16],
        "target_type": ["sphere"],
        "loss": ["softmax"],
        "preprocessing": ["sobel"],
    }
    assert found.find("permute_every", 3).probe("mlp").values == (70.0,)
    assert found.find("permute_every", 1).probe("mlp").values == (62.0,)
    assert found.find("preprocessing", "sobel").accuracy.values == (90.0,)


def test_k_is_the_spines_own_only_with_discrete_targets(make_artifacts: Any, listed: Any) -> None:
    found = ablations(make_artifacts(target_type="onehot"), listed)
    assert values(found, "k") == [10, 16, 100, 1000]
    assert values(found, "dimension") == [8, 64]
    assert found.find("k", 16).reference
    assert found.sphere is None


def test_where_both_exist_the_spine_is_read(make_artifacts: Any, listed: Any) -> None:
    twice = listed | {"permute_every": ["never", 3], "loss": ["square", "softmax"]}
    found = ablations(make_artifacts(values=twice, permute_every="never"), twice)
    assert values(found, "permute_every") == [3, "never"]
    fixed = found.find("permute_every", "never")
    assert fixed.reference
    assert fixed.probe("mlp").values == (70.0,)
    assert fixed.probe("mlp").records[0].file == "artifacts/probe/nat-0.json"


@pytest.mark.parametrize(
    ("factor", "listed", "own", "order"),
    [
        ("permute_every", ["never", 10, 2], 3, [2, 3, 10, "never"]),
        ("permute_every", [1], "never", [1, "never"]),
        ("dimension", [64, 8], None, [8, 64]),
        ("target_type", ["mixture", "lowdiscrepancy"], "sphere",
         ["sphere", "mixture", "lowdiscrepancy"]),
        ("target_type", ["mixture", "sphere"], "sphere", ["mixture", "sphere"]),
        ("preprocessing", ["high-pass", "clean"], "sobel", ["clean", "high-pass", "sobel"]),
    ],
)  # fmt: skip
def test_order(factor: str, listed: list[Any], own: Any, order: list[Any]) -> None:
    assert ordered(factor, listed, own) == order


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("ablations/records/k-100-0/record.json", "pretrain"),
        ("ablations/records/loss-square-0/record.json", "baseline labels"),
        ("ablations/probe/permute_every-never-0.json", "probe"),
        ("illustrate/0.npz", "illustrate"),
    ],
)
def test_names_file_and_remedy(make_artifacts: Any, listed: Any, file: str, command: str) -> None:
    folder = make_artifacts()
    (folder / file).unlink()
    with pytest.raises(UserError) as caught:
        ablations(folder, listed)
    assert file in str(caught.value)
    assert f"`python -m nat {command}`" in str(caught.value)


def change(path: Path, group: str, **changes: Any) -> None:
    content = json.loads(path.read_text())
    for name, value in changes.items():
        if value is None:
            del content[group][name]
        else:
            content[group][name] = value
    path.write_text(json.dumps(content))


def test_refuses_another_data_set(make_artifacts: Any, listed: Any) -> None:
    folder = make_artifacts()
    change(folder / "ablations/probe/k-10-0.json", "provenance", data="imagenet")
    with pytest.raises(UserError, match=r"k-10-0\.json: measured on ImageNet, but"):
        ablations(folder, listed)


@pytest.mark.parametrize("name", ["alignment_ms", "images_per_second"])
def test_refuses_records_without_their_cost(make_artifacts: Any, listed: Any, name: str) -> None:
    folder = make_artifacts()
    change(folder / "pretrain/nat-0/record.json", "measured", **{name: None})
    with pytest.raises(UserError, match=rf"nat-0/record\.json: no number '{name}'"):
        targets(ablations(folder, listed))


def test_refuses_a_record_without_its_settings(make_artifacts: Any, listed: Any) -> None:
    folder = make_artifacts()
    change(folder / "pretrain/nat-0/record.json", "provenance", parameters={"permute_every": 3})
    with pytest.raises(UserError, match=r"no parameter alignment; .* `python -m nat pretrain`"):
        ablations(folder, listed)


def test_tables_1_and_2_join_paper_and_measurement(make_artifacts: Any, listed: Any) -> None:
    found = ablations(make_artifacts(), listed)
    for table, quoted in ((table_1(found), paper.TABLE_1), (table_2(found), paper.TABLE_2)):
        cells = rows(table)
        assert list(cells) == [row.name for row in quoted]
        assert [cells[row.name][0].text for row in quoted] == [row.numbers[0] for row in quoted]
    first, second = rows(table_1(found)), rows(table_2(found))
    # 500 pictures: 2 sqrt((90 * 10 + 89.5 * 10.5) / 500)
    minus = "−0.5 (noise 3.8)"  # noqa: RUF001 - a minus
    assert [str(cell) for cell in first["Square loss"][1:]] == ["89.5", minus]
    assert second["clean"][2] == Missing("–")  # noqa: RUF001 - a dash
    assert second["sobel"][2].value == pytest.approx(-1)


def test_a_value_that_was_not_trained_keeps_its_row(make_artifacts: Any, listed: Any) -> None:
    few = listed | {"preprocessing": ["high-pass"]}
    cells = rows(table_2(ablations(make_artifacts(values=few), few)))
    assert cells["clean"] == (Quoted("59.7"), Missing("not run"), Missing("–"))  # noqa: RUF001
    assert isinstance(cells["high-pass"][1], Measured)
    assert cells["high-pass"][2] == Missing("–")  # noqa: RUF001


def test_what_helped_is_told(make_artifacts: Any, listed: Any, read: Any) -> None:
    changed = read | {
        ("alignment", "greedy"): 95.0,
        ("alignment", "sinkhorn"): 70.0,
        ("target_type", "mixture"): 5.0,
    }
    found = ablations(make_artifacts(read=changed), listed)
    better, worse, within, cost = what_helped(found).split(". ")
    took = [
        variant.alignment_ms for variant in (found.find("alignment", "greedy"), found.reference)
    ]
    assert "greedy alignment" in better
    assert "mixture" in worse
    assert "Sinkhorn" in within
    assert f"greedy alignment {took[0].mean / took[1].mean:.1f} times" in cost


def test_periods_quote_the_text(make_artifacts: Any, listed: Any) -> None:
    cells = rows(periods(ablations(make_artifacts(), listed)))
    assert {name: row[0].text for name, row in cells.items() if isinstance(row[0], Quoted)} == {
        "every 3 epochs": "36.0",
        "P fixed (never)": "26.4",
        "random trunk": "12.0",
    }
    assert [row[1].mean for row in cells.values()] == [62, 66, 70, 63, 54, 50]
    assert cells["P fixed (never)"][4] == Missing("never")
    assert [str(cell) for cell in cells["every epoch"][4:6]] == ["3.0", "4,000"]
    assert isinstance(cells["random trunk"][-1], Difference)
    assert cells["random trunk"][-1].value == -20


def test_targets_begin_with_the_reference(make_artifacts: Any, listed: Any) -> None:
    table = targets(ablations(make_artifacts(), listed))
    assert [row.name for row in table.rows] == [
        "sphere, d = 16, exact alignment (reference)",
        "sphere, d = 8",
        "sphere, d = 64",
        "discrete, best k",
        "discrete, k = 10",
        "discrete, k = 100",
        "discrete, k = 1,000",
        "low discrepancy",
        "mixture",
        "greedy alignment",
        "Sinkhorn alignment",
    ]
    cells = rows(table)
    assert cells["sphere, d = 16, exact alignment (reference)"][0] == Quoted("36.0")
    assert cells["discrete, best k"][0] == Quoted("22")
    assert cells["discrete, k = 100"][1].mean == 60
    assert cells["discrete, k = 100"][-1].value == -10


def test_another_reference_does_not_take_the_papers_number(
    make_artifacts: Any, listed: Any
) -> None:
    wider = listed | {"target_type": ["sphere"]}
    table = targets(ablations(make_artifacts(target_type="onehot", values=wider), wider))
    cells = rows(table)
    assert isinstance(cells["discrete, k = 16, exact alignment (reference)"][0], Missing)
    quoted = [name for name, row in cells.items() if row[0] == Quoted("36.0")]
    assert quoted == ["sphere, exact alignment"]
    assert len(table.rows) == len({row.name for row in table.rows})


def test_every_format_is_rectangular(make_artifacts: Any, listed: Any) -> None:
    found = ablations(make_artifacts(seeds=(0, 1)), listed, (0, 1))
    for make in TABLES.values():
        table = make(found)
        lines = list(csv.reader(io.StringIO(comma_separated(table))))
        assert len({len(line) for line in lines}) == 1
        pipes = [line for line in markdown(table).splitlines() if line.startswith("|")]
        assert len({line.replace(r"\|", "").count("|") for line in pipes}) == 1
        assert latex(table, "t").count(r"\\") == len(table.rows) + 2


def test_csv_keeps_columns_numeric(make_artifacts: Any, listed: Any, tmp_path: Path) -> None:
    import pandas

    found = ablations(make_artifacts(seeds=(0, 1)), listed, (0, 1))
    for name, make in TABLES.items():
        (tmp_path / name).write_text(comma_separated(make(found)))
        frame = pandas.read_csv(tmp_path / name, index_col=0)
        assert all(kind.kind in "fi" for kind in frame.dtypes), name
    (tmp_path / "tidy").write_text(tidy(found))
    frame = pandas.read_csv(tmp_path / "tidy")
    assert len(frame) == sum(len(each) for each in found.variants.values())
    assert frame.loc[frame.reference == 1, "factor"].nunique() == 6
    never = frame[(frame.factor == "permute_every") & (frame.value == "never")].iloc[0]
    assert (never.mlp, never.mlp_sd, never.n) == (54.5, 0.71, 2)
    assert np.isnan(never.alignment_ms)
    assert np.isnan(never.accuracy)
    square = frame[frame.value == "square"].iloc[0]
    assert (square.accuracy, square.images_per_second) == (90, 4000)
    assert by_period(found).splitlines()[-1] == "never,54.50,50.50,51.50"


def test_figures_show_every_value(make_artifacts: Any, listed: Any) -> None:
    found = ablations(make_artifacts(seeds=(0, 1)), listed, (0, 1))
    axes = period.draw(found).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "2", "3", "6", "never"]
    places = axes.get_xticks()
    assert np.all(np.diff(places) > 0)
    np.testing.assert_allclose(places[:4], np.log2([1, 2, 3, 6]))
    drawn = next(line for line in axes.lines if line.get_marker() == "o")
    assert drawn.get_ydata().tolist() == [62.5, 66.5, 70.5, 63.5, 54.5]
    assert [t.get_text() for t in axes.texts][-1] == "untrained, MLP 50.5 %"
    axes = classes.draw(found).axes[0]
    assert [t.get_text() for t in axes.texts][-1] == "sphere, MLP 70.5 %"
    axes = dimension.draw(found).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["8", "16", "64"]


@pytest.mark.parametrize("listed_periods", [["never"], [7], list(range(1, 41)), [1, 100, "never"]])
def test_figures_and_tables_of_other_values(
    make_artifacts: Any, listed: Any, listed_periods: list[Any]
) -> None:
    other = listed | {"permute_every": listed_periods, "k": [2], "dimension": [4096]}
    folder = make_artifacts(values=other, permute_every="never", target_type="mixture")
    found = ablations(folder, other)
    for drawing in OF_ABLATIONS:
        assert drawing.draw(found).axes
        assert drawing.caption(found)
    labels = [t.get_text() for t in period.draw(found).axes[0].get_xticklabels()]
    assert len(labels) == len(values(found, "permute_every"))
    assert any(labels)
    for make in TABLES.values():
        assert make(found).rows
