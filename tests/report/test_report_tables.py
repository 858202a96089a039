"""The tables: whose numbers stand where, over seeds, in three formats."""

import csv
import io
import re
import statistics
from typing import Any

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report.conftest import ACCURACIES

from nat.report import paper
from nat.report.claims import HELD, NOT_HELD, OPEN
from nat.report.frame import Report
from nat.report.page import markdown
from nat.report.table import (
    NONE,
    Cell,
    Difference,
    Measured,
    Missing,
    Quoted,
    Table,
    comma_separated,
    escape_latex,
    escape_markdown,
    latex,
    raised,
    several,
    signed,
)
from nat.report.tables import tables, what_helped

QUOTED, TOY = ("ImageNet (paper)", "Acc@1"), ("Toy, measured", "MLP")


def table(columns: list[tuple[str, str]], rows: dict[str, list[Cell]], note: str = "") -> Table:
    frame = pandas.DataFrame(
        list(rows.values()),
        index=pandas.Index(rows, name="Method"),
        columns=pandas.MultiIndex.from_tuples(columns),
        dtype=object,
    )
    return Table("t", "T", "x_y", frame, [note], [(1,) if note else ()] * len(rows))


def measured(*values: float, data: str = "Toy") -> Measured:
    return Measured(values, tuple(range(len(values))), data)


def texts(made: Table, name: str) -> list[str]:
    return [str(cell) for cell in made.frame.loc[name]]


def test_a_column_holds_one_kind_and_one_data_set() -> None:
    table([QUOTED, TOY], {"a": [Quoted("1"), measured(2)]})
    for column, cell in (
        (QUOTED, measured(1)),
        (QUOTED, measured(1, data="ImageNet")),
        (TOY, Quoted("36.0")),
        (TOY, measured(1, data="ImageNet")),
        (TOY, Difference(1, 2, "ImageNet")),
    ):
        with pytest.raises(ValueError, match="a: "):
            table([column], {"a": [cell]})


@given(st.lists(st.floats(0, 100), min_size=2, max_size=6))
def test_mean_and_deviation(values: list[float]) -> None:
    cell = measured(*values)
    assert cell.mean == pytest.approx(statistics.mean(values))
    assert cell.deviation == pytest.approx(statistics.stdev(values), abs=1e-9)


def test_numbers_in_words() -> None:
    assert measured(70.04).deviation is None
    assert str(measured(70.04)) == "70.0"
    assert str(measured(70.0, 72.0)) == "71.0 ± 1.4"
    assert [signed(x) for x in (0.04, -0.04, 1, -1)] == ["0.0", "0.0", "+1.0", "−1.0"]  # noqa: RUF001
    assert [several(n) for n in (set(), {1}, {3}, {1, 2, 3})] == [
        "one seed", "one seed", "3 seeds", "1 to 3 seeds",
    ]  # fmt: skip
    assert raised((1, 12)) == "¹ ¹²"


def test_a_difference_is_told_with_its_error() -> None:
    cell = Difference(-1.234, 0.5, "Toy")
    made = table([TOY], {"a": [cell], "b": [Missing(NONE)]})
    assert str(cell) == "−1.2 (± 2 SE: 0.5)"  # noqa: RUF001 - a minus
    assert comma_separated(made).splitlines()[1:] == ["a,-1.23,0.50", "b,,"]
    assert r"$-$1.2 ($\pm$ 2 SE: 0.5)" in latex(made)


@pytest.mark.parametrize("data", ["fashion-mnist", "imagenet"])
def test_tables_join_paper_and_measurement(make_results: Any, settings: Any, data: str) -> None:
    name = {"fashion-mnist": "Fashion-MNIST", "imagenet": "ImageNet"}[data]
    report = Report(settings, make_results(data=data))
    third, fourth = (tables(report)[name] for name in ("table3", "table4"))
    assert [": ".join(column) for column in third.frame.columns] == [
        "ImageNet (paper): Acc@1",
        f"{name}, measured: MLP",
        f"{name}, measured: linear",
        f"{name}, measured: kNN",
        f"{name}, measured: training, s",
        f"{name}, measured: images/s",
    ]
    for made, quoted, added in (
        (third, paper.TABLES["Table 3"], "Labels"),
        (fourth, paper.TABLES["Table 4"], "Random"),
    ):
        here = [row.name for row in quoted if row.key in ACCURACIES] + [added]
        assert list(made.frame.index) == here + [r.name for r in quoted if r.name not in here]
        for row in quoted:
            cells = made.frame.loc[row.name][: len(row.numbers)]
            assert [str(c) if isinstance(c, Quoted) else "-" for c in cells] == row.numbers
    assert texts(third, "NAT")[1:] == ["70.0", "66.0", "67.0", "90", "4,000"]
    assert texts(fourth, "NAT")[3:] == ["45.0", "55.0", "40.0"]
    assert set(third.quoted_only()) == {
        row.name for row in paper.TABLES["Table 3"] if row.key not in ("random", "nat")
    }


def test_numbers_over_seeds(make_results: Any, settings: Any) -> None:
    folder = make_results(seeds=(3, 4, 5))
    made = tables(Report(settings, folder))["table3"]
    assert texts(made, "NAT")[1] == "71.0 ± 1.0"
    assert "over 3 seeds." in made.caption
    line = next(line for line in comma_separated(made).splitlines() if line.startswith("NAT,"))
    assert line == "NAT,36.0,71.00,1.00,3,67.00,1.00,3,68.00,1.00,3,90.00,0.00,3,4000.00,0.00,3"
    (folder / "probe/labels-4.json").unlink()
    made = tables(Report(settings, folder))["table3"]
    assert "over 3 seeds, but for those that say their number n of seeds." in made.caption
    assert texts(made, "Labels")[1] == "91.0 ± 1.4 (n = 2)"
    assert texts(made, "NAT")[1] == "71.0 ± 1.0"


def test_tables_1_and_2_compare_with_their_first_row(make_results: Any, settings: Any) -> None:
    report = Report(settings, make_results())
    # 500 images: 2 sqrt((90 * 10 + 89.5 * 10.5) / 500)
    minus = "−0.5 (± 2 SE: 3.8)"  # noqa: RUF001 - a minus
    assert texts(tables(report)["table1"], "Square loss") == ["58.4", "89.5", minus]
    assert texts(tables(report)["table1"], "Softmax") == ["59.2", "90.0", "–"]  # noqa: RUF001
    assert "by loss, with sobel pre-processing." in tables(report)["table1"].caption
    assert list(tables(report)["table2"].frame.index) == ["clean", "high-pass", "sobel"]
    assert texts(tables(report)["table2"], "sobel")[:2] == ["57.4", "90.0"]


def test_periods_quote_what_the_paper_prints(make_results: Any, settings: Any) -> None:
    made = tables(Report(settings, make_results()))["periods"]
    assert list(made.frame.index) == [
        "every epoch", "every 2 epochs", "every 3 epochs", "every 6 epochs", "P fixed (never)",
        "random trunk",
    ]  # fmt: skip
    quoted = [str(cell) for cell in made.frame.iloc[:, 0]]
    assert quoted == ["–", "–", "36.0", "–", "26.4", "12.0"]  # noqa: RUF001
    assert texts(made, "P fixed (never)")[1:6] == ["54.0", "50.0", "51.0", "never", "4,000"]
    assert texts(made, "every epoch")[4:6] == ["2.5", "4,000"]
    assert texts(made, "random trunk")[4:6] == ["–", "–"]  # noqa: RUF001


def test_targets_and_alignments(make_results: Any, settings: Any) -> None:
    settings["ablations"]["nat"].append("augment.crop=8")
    made = tables(Report(settings, make_results()))["targets"]
    assert list(made.frame.index) == [
        "sphere, d = 16, exact alignment (reference)", "sphere, d = 8", "sphere, d = 64",
        "discrete, best k", "discrete, k = 10", "discrete, k = 100", "discrete, k = 1,000",
        "low discrepancy", "mixture", "greedy alignment", "Sinkhorn alignment", "augment.crop = 8",
    ]  # fmt: skip
    assert texts(made, "augment.crop = 8")[1:4] == ["not run"] * 3
    assert made.frame.iloc[0, 0] == "36.0"
    assert made.frame.iloc[0, -1] == NONE
    settings["alignment"] = "greedy"
    again = tables(Report(settings, make_results(settings=settings)))["targets"]
    assert texts(again, "sphere, exact alignment")[0] == "36.0"
    assert again.frame.iloc[0, 0] == NONE


def test_what_helped_is_told(make_results: Any, settings: Any) -> None:
    found = what_helped(tables(Report(settings, make_results(images=100_000)))["targets"])
    assert found[HELD] == found[OPEN] == []
    assert "sphere, d = 8" in found[NOT_HELD]
    assert found["costs"] == ["greedy alignment 1.0 times", "Sinkhorn alignment 1.0 times"]


def test_quoted_numbers_are_in_italics(make_results: Any, settings: Any) -> None:
    made = tables(Report(settings, make_results()))["table4"]
    line = next(line for line in markdown(made).splitlines() if line.startswith("| **NAT"))
    assert line == (
        "| **NAT** | ***56.7*** | ***65.3*** | ***49.4*** | **45.0** | **55.0** | **40.0** |"
    )
    line = next(line for line in markdown(made).splitlines() if line.startswith("| GAN"))
    assert line.startswith("| GAN | *40.5* | *56.4* |")
    line = next(line for line in latex(made).splitlines() if line.startswith(r"\textbf{NAT"))
    assert line.startswith(r"\textbf{NAT} & \textbf{\textit{56.7}} & \textbf{\textit{65.3}} &")
    assert latex(made).count("textbf") == 7


def test_every_format_is_rectangular_and_numeric(make_results: Any, settings: Any) -> None:
    report = Report(settings, make_results(seeds=(0, 1)))
    for made in tables(report).values():
        text = comma_separated(made)
        lines = list(csv.reader(io.StringIO(text)))
        assert len({len(line) for line in lines}) == 1
        assert len(lines) == len(made.frame) + 1
        frame = pandas.read_csv(io.StringIO(text), index_col=0)
        assert all(kind.kind in "fi" for kind in frame.dtypes)
        pipes = [line.count("|") for line in markdown(made).splitlines() if line.startswith("|")]
        assert set(pipes) == {made.frame.shape[1] + 2}
        body = latex(made).split(r"\midrule")[1].split(r"\bottomrule")[0].strip()
        for line in body.splitlines():
            assert len(re.findall(r"(?<!\\)&", line)) == made.frame.shape[1]
            assert line.endswith(r"\\")


def test_markdown_escapes() -> None:
    assert escape_markdown("a|b*c_d<e>`[f]") == r"a\|b\*c\_d\<e\>\`\[f\]"
    made = table([("g (paper)", "c|")], {"a|b": [Quoted("1")]}, "n*")
    text = markdown(made)
    assert r"| a\|b¹ | *1* |" in text
    assert r"| Method | g (paper): c\| |" in text
    assert "\n¹ n\\*\n" in text
    assert text.startswith(r"**T.** x\_y")


def test_latex_escapes() -> None:
    assert escape_latex("A & B_1 50% #2 {x} $~^\\") == (
        r"A \& B\_1 50\% \#2 \{x\} \$\textasciitilde{}\textasciicircum{}\textbackslash{}"
    )
    made = table([("g& (paper)", "c%")], {"a_b": [Quoted("> 1")]}, "n#")
    text = latex(made)
    assert r"a\_b$^{1}$ & \textit{$>$ 1} \\" in text
    assert r"\caption{x\_y}" in text
    assert r" & g\& (paper) \\" in text
    assert r"Method & c\% \\" in text
    assert r"$^{1}$ n\#" in text
