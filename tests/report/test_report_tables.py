"""Tables 3 and 4: whose numbers stand where, over seeds, in three formats."""

import csv
import io
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nat.report import paper
from nat.report.artifacts import read_artifacts
from nat.report.formats import comma_separated, escape_latex, escape_markdown, latex, markdown
from nat.report.table import Column, Difference, Measured, Missing, Quoted, Row, Table, signed
from nat.report.tables import not_run, table_3, table_4
from nat.runtime.errors import UserError


def test_a_column_holds_one_kind_and_one_data_set() -> None:
    quoted, measured = Column("Acc@1", "ImageNet (paper)"), Column("MLP", "Toy, measured", "Toy")
    Table("T", "", "Method", (quoted, measured), (Row("a", (Quoted("1"), Measured((2,), "Toy"))),))
    for column, cell in (
        (quoted, Measured((1.0,), "Toy")),
        (quoted, Measured((1.0,), "ImageNet")),
        (measured, Quoted("36.0")),
        (measured, Measured((1.0,), "ImageNet")),
    ):
        with pytest.raises(ValueError, match="a: "):
            Table("T", "", "Method", (column,), (Row("a", (cell,)),))
    with pytest.raises(ValueError, match="zip"):
        Table("T", "", "Method", (quoted, measured), (Row("a", (Quoted("1"),)),))


@given(st.lists(st.floats(0, 100), min_size=2, max_size=6))
def test_mean_and_deviation(values: list[float]) -> None:
    cell = Measured(tuple(values), "Toy")
    assert cell.mean == pytest.approx(statistics.mean(values))
    assert cell.deviation == pytest.approx(statistics.stdev(values), abs=1e-9)


def test_a_single_seed_has_no_deviation() -> None:
    assert Measured((70.04,), "Toy").deviation is None
    assert str(Measured((70.04,), "Toy")) == "70.0"
    assert str(Measured((70.0, 72.0), "Toy")) == "71.0 ± 1.4"


def test_a_difference_is_told_with_its_noise() -> None:
    column = Column("minus", "Toy, measured", "Toy")
    cell = Difference(-1.234, 0.5, "Toy")
    table = Table("T", "", "M", (column,), (Row("a", (cell,)), Row("b", (Missing("–"),))))  # noqa: RUF001
    assert str(cell) == "−1.2 (noise 0.5)"  # noqa: RUF001 - a minus
    assert comma_separated(table).splitlines()[1:] == ["a,-1.23,0.50", "b,,"]
    assert "$-$1.2 (noise 0.5)" in latex(table, "t")
    with pytest.raises(ValueError, match="ImageNet measured"):
        Table("T", "", "M", (column,), (Row("a", (Difference(1, None, "ImageNet"),)),))
    assert [signed(x) for x in (0.04, -0.04, 1, -1)] == ["0.0", "0.0", "+1.0", "−1.0"]  # noqa: RUF001


def test_detection_stands_where_it_was_run(make_artifacts: Any) -> None:
    detected = {"random": 20.0, "labels": 50.0, "nat": 40.0}
    table = table_4(read_artifacts(make_artifacts(detections=detected), [0]))
    cells = {row.name: row.cells for row in table.rows}
    assert [str(cells[name][-1]) for name in ("Random", "ImageNet labels", "NAT")] == [
        "20.0",
        "50.0",
        "40.0",
    ]
    assert cells["GAN"][-1] == Missing("not run")
    folder = make_artifacts(detections=detected)
    (folder / "detect/nat-0.json").unlink()
    with pytest.raises(UserError, match=r"detect/nat-0\.json: not found.* `python -m nat detect`"):
        read_artifacts(folder, [0])


@pytest.mark.parametrize("data", ["fashion-mnist", "imagenet"])
def test_tables_join_paper_and_measurement(make_artifacts: Any, data: str) -> None:
    name = {"fashion-mnist": "Fashion-MNIST", "imagenet": "ImageNet"}[data]
    artifacts = read_artifacts(make_artifacts(data=data), [0])
    third, fourth = table_3(artifacts), table_4(artifacts)
    assert [c.heading for c in third.columns] == [
        "ImageNet (paper): Acc@1",
        f"{name}, measured: MLP",
        f"{name}, measured: linear",
        f"{name}, measured: kNN",
    ]
    for table, rows in ((third, paper.TABLE_3), (fourth, paper.TABLE_4)):
        cells = {row.name: row.cells for row in table.rows}
        assert {row.name for row in rows} <= cells.keys()
        for row in rows:
            quoted = cells[row.name][: len(row.numbers)]
            assert [getattr(cell, "text", None) for cell in quoted] == list(row.numbers)
    nat = next(row for row in third.rows if row.name == "NAT")
    assert [str(cell) for cell in nat.cells[1:]] == ["70.0", "66.0", "67.0"]
    nat = next(row for row in fourth.rows if row.name == "NAT")
    assert [str(cell) for cell in nat.cells[3:5]] == ["45.0", "55.0"]
    assert nat.cells[5] == Missing("not measured yet")
    assert all(
        row.cells[-1] == Missing("not run") for row in fourth.rows if row.name in not_run(fourth)
    )
    assert set(not_run(third)) == {r.name for r in paper.TABLE_3 if r.key not in ("random", "nat")}


def test_numbers_over_seeds(make_artifacts: Any) -> None:
    artifacts = read_artifacts(make_artifacts(seeds=(3, 4, 5)), [3, 4, 5])
    table = table_3(artifacts)
    nat = next(row for row in table.rows if row.name == "NAT")
    assert str(nat.cells[1]) == "71.0 ± 1.0"
    assert "3 seeds" in table.caption
    line = next(line for line in comma_separated(table).splitlines() if line.startswith("NAT,"))
    assert line == "NAT,36.0,71.00,1.00,3,67.00,1.00,3,68.00,1.00,3"


def test_quoted_numbers_are_in_italics(make_artifacts: Any) -> None:
    table = table_4(read_artifacts(make_artifacts(), [0]))
    line = next(line for line in markdown(table).splitlines() if line.startswith("| NAT"))
    assert line == "| NAT | *56.7* | *65.3* | *49.4* | 45.0 | 55.0 | not measured yet |"
    line = next(line for line in latex(table, "t").splitlines() if line.startswith("NAT"))
    assert line.startswith(r"NAT & \textit{56.7} & \textit{65.3} & \textit{49.4} & 45.0 & 55.0 &")


def test_every_format_is_rectangular(make_artifacts: Any) -> None:
    artifacts = read_artifacts(make_artifacts(seeds=(0, 1)), [0, 1])
    for table in (table_3(artifacts), table_4(artifacts)):
        rows = list(csv.reader(io.StringIO(comma_separated(table))))
        assert len({len(row) for row in rows}) == 1
        assert len(rows) == len(table.rows) + 1
        pipes = [line.count("|") for line in markdown(table).splitlines() if line.startswith("|")]
        assert set(pipes) == {len(table.columns) + 2}
        body = latex(table, "t").split(r"\midrule")[1].split(r"\bottomrule")[0].strip()
        for line in body.splitlines():
            assert len(re.findall(r"(?<!\\)&", line)) == len(table.columns)
            assert line.endswith(r"\\")


def test_markdown_escapes() -> None:
    assert escape_markdown("a|b*c_d<e>`[f]") == r"a\|b\*c\_d\<e\>\`\[f\]"
    table = Table(
        "T", "x_y", "M|N", (Column("c", "g"),), (Row("a|b", (Quoted("1"),), (1,)),), ("n",)
    )
    text = markdown(table)
    assert r"| a\|b¹ | *1* |" in text
    assert r"| M\|N | g: c |" in text


def test_latex_escapes() -> None:
    assert escape_latex("A & B_1 50% #2 {x} $~^\\") == (
        r"A \& B\_1 50\% \#2 \{x\} \$\textasciitilde{}\textasciicircum{}\textbackslash{}"
    )
    assert escape_latex("71.0 ± 1.0") == r"71.0 $\pm$ 1.0"


def test_csv_keeps_columns_numeric(make_artifacts: Any, tmp_path: Path) -> None:
    import pandas

    path = tmp_path / "table.csv"
    path.write_text(comma_separated(table_4(read_artifacts(make_artifacts(), [0]))))
    frame = pandas.read_csv(path, index_col=0)
    assert all(kind.kind == "f" for kind in frame.dtypes)
    assert frame.loc["GAN"].dropna().tolist() == [40.5, 56.4]
