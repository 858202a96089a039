"""Verdicts on the paper's statements, and the page that tells them."""

from typing import Any

import pytest

from nat.report.artifacts import read_artifacts
from nat.report.claims import HELD, NOT_HELD, OPEN, claims, compare, error_of_pictures
from nat.report.page import page, summary
from nat.report.table import Measured
from nat.report.tables import table_3, table_4


def measured(*values: float) -> Measured:
    return Measured(values, "Toy")


def written(folder: Any, seeds: list[int]) -> str:
    artifacts = read_artifacts(folder, seeds)
    tables = {"table3": table_3(artifacts), "table4": table_4(artifacts)}
    return page(artifacts, tables, "embedded")


@pytest.mark.parametrize(
    ("more", "less", "verdict"),
    [(70, 60, HELD), (60, 70, NOT_HELD), (61, 60, OPEN), (60, 61, OPEN)],
)
def test_verdict_of_one_seed(more: float, less: float, verdict: str) -> None:
    both = measured(more), measured(less)
    assert compare("", "", *both, error_of_pictures(*both, 500)).verdict == verdict


def test_noise_is_twice_the_largest_standard_error() -> None:
    # differences 1, 2, 3: deviation 1, standard error 1 / sqrt(3)
    seeds = compare("", "", measured(61, 62, 63), measured(60, 60, 60), [])
    assert seeds.numbers.endswith("+2.0, noise 1.2")
    assert seeds.verdict == HELD
    # 500 pictures, 50 %: 2 sqrt(2 * 50 * 50 / 500)
    both = measured(50), measured(50)
    assert compare("", "", *both, error_of_pictures(*both, 500)).numbers.endswith("noise 6.3")
    assert compare("", "", *both, [0.1, 2.0]).numbers.endswith("noise 4.0")


def test_unknown_noise_is_told() -> None:
    assert (
        compare("", "", measured(2), measured(1), []).numbers
        == "2.0 against 1.0: +1.0, noise unknown"
    )


def test_everything_holds(make_artifacts: Any) -> None:
    artifacts = read_artifacts(make_artifacts(), [0])
    assert {claim.verdict for claim in claims(artifacts)} == {HELD}
    text = summary(artifacts)
    assert "an accuracy of 70.0 %" in text
    assert "20.0 points more than the same trunk untrained (50.0 %)" in text
    assert "20.0 points less than the same trunk trained with labels (90.0 %)" in text
    assert "Of 10 statements that these numbers can test, 10 held." in text
    assert "Did not hold" not in text
    assert "Undecided" not in text


def test_failures_open_the_page(make_artifacts: Any) -> None:
    accuracies = {"random": (70, 70, 70), "labels": (90, 89, 88), "nat": (40, 71, 60)}
    precisions = {"random": (50, 60), "labels": (60, 65), "nat": (45, 40)}
    text = written(make_artifacts(accuracies=accuracies, precisions=precisions), [0])
    first = text.split("\n\n")[1]
    assert "30.0 points less than the same trunk untrained (70.0 %)" in first
    failed = first.split("Did not hold: ")[1].split(". Undecided")[0]
    assert failed == (
        "accuracy grows with longer training, from epoch 2 to 6; "
        "NAT's features are better than random ones, read by MLP; "
        "NAT's features are better than random ones, read by kNN; "
        "NAT's features transfer better than random ones, fc6-8 trained; "
        "NAT's features transfer better than random ones, all trained; "
        "with NAT, training all layers is better than fc6-8 alone"
    )
    assert "Undecided: NAT's features are better than random ones, read by linear." in first
    assert text.count("**did not hold**") == 6
    assert text.count("**undecided**") == 1


def test_page_tells_data_and_what_is_missing(make_artifacts: Any) -> None:
    text = written(make_artifacts(seeds=(0, 1)), [0, 1])
    assert "measured by this pipeline, on Fashion-MNIST" in text
    assert "- ImageNet:" in text
    assert "- VOC 2007, classification and detection." in text
    assert "- Table 3, rows quoted only: SIFT+FV" in text
    assert "P kept fixed *26.4*" in text
    assert "| seeds | 0, 1 |" in text
    assert "| profile | embedded |" in text
    for seed in (0, 1):
        assert f"| `artifacts/probe/nat-{seed}.json` | Table 3, Figure 2 | mlp {70 + seed}," in text


def test_page_of_the_papers_own_data(make_artifacts: Any) -> None:
    text = written(make_artifacts(data="imagenet", voc="voc2007"), [0])
    assert "- ImageNet:" not in text
    assert "- VOC 2007 detection." in text
    assert "never across" not in text
    assert "ImageNet (paper): Acc@1 | ImageNet, measured: MLP" in text


def test_time_is_summed_by_stage(make_artifacts: Any) -> None:
    text = written(make_artifacts(seeds=(0, 1)), [0, 1])
    assert "| `pretrain` | NAT | 2 | 3.0 |" in text
    assert "| `finetune` | NAT | 4 | 6.0 |" in text
    assert "- Commit: 0123456789ab\n" in text
