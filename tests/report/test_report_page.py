"""The page: one content, two renderings, complete and traceable."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas
import pytest
from report.conftest import ACCURACIES, PRECISIONS, SETTINGS, VOC_STAGES, history, result, write

from nat.report import page
from nat.report.against import statements
from nat.report.claims import claims
from nat.report.facts import files
from nat.report.frame import Report, anchor
from nat.report.results import Run
from nat.report.table import Measured
from nat.report.tables import tables, what_helped


def render(folder: Path, settings: Any = SETTINGS) -> dict[str, str]:
    """Both pages without figures, which take most of the time."""
    report = Report(settings, folder)
    made = tables(report)
    told = {"embedded": [*claims(report), *statements(report)]}
    shown = {"told": told, "tables": made, "helped": what_helped(made["targets"])}
    return page.render(report, images={}, **shown)


class Text(HTMLParser):
    """The text a reader sees; also counts elements and checks that they close."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.open, self.hrefs, self.ids = "", [], [], []
        self.linked: list[tuple[str, str]] = []
        self.cells: dict[str, list[str]] = {}
        self.row = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        self.hrefs += [value or "" for name, value in attributes if name in ("href", "src")]
        self.ids += [value for name, value in attributes if name == "id"]
        if named.get("class") == "number":
            self.linked.append((str(named["href"])[1:], ""))
        if tag == "tr":
            self.row = named.get("id") or ""
        if tag not in ("meta", "link", "br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"], ["title"]):
            self.text += data
        if self.linked and not self.linked[-1][1]:
            self.linked[-1] = (self.linked[-1][0], data)
        if self.row and self.open[-1:] == ["td"]:
            self.cells.setdefault(self.row, []).append(data)


def read_html(text: str) -> Text:
    parser = Text()
    parser.feed(text)
    parser.close()
    assert parser.open == []
    return parser


def bare(text: str) -> str:
    """Markdown without its marks, links and images."""
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", "", text)
    text = re.sub(r"\[((?:[^\]\\]|\\.)*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"\\(.)|[*`]", r"\1", text)


def test_both_renderings_say_the_same(make_results: Any) -> None:
    made = render(make_results(seeds=(0, 1)))
    seen = " ".join(read_html(made["index.html"]).text.replace("*", "").split())
    said = 0
    for part in bare(made["README.md"]).split("\n\n"):
        # tables and their files differ in form, as does what is only in one
        if not part or part.startswith(("|", "#", "As CSV", "index.html")):
            continue
        for line in part.splitlines():
            sentence = re.sub("^([¹²³]|-) |</?(details|summary)>", "", line).removesuffix(" (SVG)")
            assert sentence in seen, sentence
            said += 1
    assert said > 20


def test_every_measured_number_is_a_row_of_the_results(make_results: Any) -> None:
    """Each links to its files' numbers, whose mean it is, and so are those of results.csv."""
    folder = make_results(seeds=(0, 1, 2))
    frame = Report(SETTINGS, folder).frame
    html = read_html(render(folder)["index.html"])
    means = {
        anchor(Run(*run), metric): rows["number"].mean()
        for (*run, metric), rows in frame.groupby(["stage", "method", "override", "metric"])
    }
    assert len(html.linked) > 150
    for target, text in html.linked:
        shown = float(text.split(" ")[0].replace(",", ""))
        assert shown == pytest.approx(means[target], abs=0.051), target
        row = [float(cell) for cell in html.cells[target]]
        assert len(row) in (1, 3)
        assert sum(row) / len(row) == pytest.approx(means[target])
    assert {*html.cells} <= {*means}


def test_no_number_stands_in_the_tables_alone(make_results: Any) -> None:
    report = Report(SETTINGS, make_results(seeds=(0, 1)))
    means = report.frame.groupby(["stage", "method", "override", "metric"])["number"].mean()
    known = {f"{mean:.2f}" for mean in means}
    for made in tables(report).values():
        for cell in made.frame.to_numpy().ravel():
            assert not isinstance(cell, Measured) or f"{cell.mean:.2f}" in known


def opening(text: str) -> tuple[str, str]:
    """The first paragraph, and that which tells what did not hold."""
    return text.split("\n\n")[1], text.split("## What held and what did not")[1].split("\n\n")[1]


def test_tables_3_and_4_come_first_then_figures_then_sources(make_results: Any) -> None:
    text = render(make_results())["README.md"]
    assert text.startswith("# Unsupervised Learning by Predicting Noise: results\n\nOn Fashion")
    parts = [
        "**Table 3.**",
        "**Table 4.**",
        "**NAT against each.**",
        "## What held",
        "**Table 1.**",
    ]
    parts += ["## Data and settings", "Minutes of each stage", "## Where the numbers come from"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert text.count("<details>") == text.count("</details>") == 3


def test_epochs_that_no_setting_tells_are_left_out(make_results: Any, settings: Any) -> None:
    folder = make_results(images=100_000)
    del settings["pretrain"]["epochs"]  # as another version's settings might
    first, _ = opening(render(folder, settings)["README.md"])
    assert first.startswith("On Fashion-MNIST, NAT was not run.")


def test_first_sentences_tell_what_was_found(make_results: Any) -> None:
    text = render(make_results(images=100_000))["README.md"]
    first, second = opening(text)
    told = "with 1,200 images to train on for 6 epochs and 100,000 to test, a trunk"
    assert first.startswith(f"On Fashion-MNIST, {told}")
    assert "an accuracy of 70.0 % with the paper's MLP: 20.0 points more than" in first
    assert "20.0 points more than the same trunk untrained (50.0 %), and" in first
    assert "20.0 points less than the same trunk trained with labels (90.0 %). Fine" in first
    assert "precision of 55.0 %: 15.0 points more than the untrained one (40.0 %). Of" in first
    assert "Of 17 statements of the paper that these numbers can test, 17 held" in first
    assert "of 5 that are added to them, 5." in first
    assert "22 statements rest on 34 comparisons" in text
    assert second == "Every number is of one seed."


def test_failures_open_the_page(make_results: Any) -> None:
    accuracies = {"random": (70, 70, 70), "labels": (90, 89, 88), "nat": (40, 71, 60)}
    precisions = {"random": (50, 60, 20), "labels": (60, 65, 50), "nat": (45, 40, 40)}
    text = render(make_results(accuracies=accuracies, precisions=precisions))["README.md"]
    first, second = opening(text)
    assert "30.0 points less than the same trunk untrained (70.0 %)" in first
    failed = second.split("Did not hold: ")[1].split(". Undecided")[0].split("; ")
    assert set(failed) >= {
        "accuracy grows with longer training, from epoch 2 to 6",
        "NAT's features are better than random ones, with the MLP",
        "NAT's features are better than random ones, with kNN",
        "NAT's features transfer better than random ones, fc6-8 trained",
        "with NAT, training all layers is better than fc6-8 alone",
        "targets on the sphere are better than discrete ones, whatever k",
    }
    assert "better than random ones, with the linear classifier" in second.split("Undecided: ")[1]
    assert text.count("**did not hold**") == len(failed)


def test_page_tells_data_and_what_is_missing(make_results: Any) -> None:
    text = render(make_results(seeds=(0, 1)))["README.md"]
    assert "composed VOC-format set, measured: detection all |" in text
    missing = text.split("## Not measured here")[1].split("## ")[0]
    assert "- ImageNet:" in missing
    assert "- VOC 2007, classification and detection." in missing
    assert "on any data" not in missing
    assert "- Table 3, rows quoted only: SIFT+FV" in missing
    for done in ("Table 1,", "Table 2,", "Figure 2", "Periods", "Targets"):
        assert done not in missing
    assert "| seeds | 0, 1 |" in text
    assert "| profile | embedded |" in text
    assert "| learning rate | 0.01 |" in text
    assert "| `results/probe/nat-{0,1}.json` | NAT | mlp: 70, 71; linear: 66, 67; knn:" in text
    name = "results/train/nat,target_type=onehot,targets.k=10-{0,1}.json"
    assert f"| `{name}` | NAT, target\\_type = onehot, targets.k = 10 |" in text
    assert "left out." not in text


def test_page_of_the_papers_own_data(make_results: Any) -> None:
    text = render(make_results(data="imagenet", voc="voc2007"))["README.md"]
    missing = text.split("## Not measured here")[1].split("## ")[0]
    assert "ImageNet:" not in missing
    assert "VOC 2007" not in missing
    assert "never across" not in text
    assert "ImageNet (paper): Acc@1 | ImageNet, measured: MLP" in text


def test_time_is_summed_by_stage(make_results: Any) -> None:
    text = render(make_results(seeds=(0, 1)))["README.md"]
    assert "| `train` | NAT | 2 | 3.0 |" in text
    assert "| `finetune-all` | NAT | 2 | 3.0 |" in text
    assert "| `train` | NAT (section 4.1) | 26 | 39.0 |" in text
    assert "| `train` | Labels (section 4.1) | 6 | 9.0 |" in text
    assert "- Commit: 0123456789ab\n" in text


def test_what_is_left_out_is_told(make_results: Any, settings: Any) -> None:
    folder = make_results(seeds=(0, 1))
    settings["detect"]["iterations"] = 9
    made = result("detect", "nat", {"map": 1.0}, settings=settings, data="fashion-mnist-voc")
    write(folder, made)
    made = render(folder, settings)
    for text in made.values():
        assert "5 results with other settings are left out." in text
    assert "| **1.0** |" in made["README.md"]
    assert "over 2 seeds, of one seed where no ± stands." in made["README.md"]
    frame = Report(settings, folder).frame
    assert set(frame[frame["stage"] == "detect"].groupby("file")["counted"].first()) == {0, 1}


SOME = [{"nat"}, {"random"}, {"labels"}, {"nat", "labels"}, {"random", "labels"}]


@pytest.mark.parametrize("methods", SOME, ids=lambda some: "-".join(sorted(some)))
def test_any_method_may_be_missing(make_results: Any, methods: set[str]) -> None:
    folder = make_results(illustrated="nat" in methods)
    for path in folder.glob("*/*.json"):
        if not any(path.name.startswith(method) for method in methods):
            path.unlink()
    made = render(folder)
    assert ("NAT was not run." in made["README.md"]) == ("nat" not in methods)
    html = read_html(made["index.html"])
    assert {href[1:] for href in html.hrefs if href.startswith("#")} <= set(html.ids)


@pytest.mark.parametrize("stage", ["train", "probe", "illustrate", *VOC_STAGES])
@pytest.mark.parametrize("alone", [False, True])
def test_any_stage_may_be_missing(make_results: Any, stage: str, alone: bool) -> None:
    folder = make_results()
    gone = [p for p in folder.glob("*/*.json") if (p.parent.name == stage) != alone]
    if stage == "illustrate":
        if alone:
            pytest.skip("what figures show is no result")
        gone = list(folder.glob("illustrate/*/*"))
    for path in gone:
        path.unlink()
    text = render(folder)["README.md"]
    if stage in VOC_STAGES and not alone:
        assert text.count(", on any data.") == 1
    if stage in ("probe", "train"):
        assert "not run" in text


def test_html_is_whole(make_results: Any, tmp_path: Path) -> None:
    text = render(make_results(seeds=(0, 1)))["index.html"]
    html = read_html(text)
    assert [href for href in html.hrefs if not href.startswith(("#", "data:"))] == []
    assert "http://" not in re.sub(r"data:[^\"]*", "", text)
    assert len(html.ids) == len(set(html.ids))
    assert {href[1:] for href in html.hrefs if href.startswith("#")} <= set(html.ids)
    assert str(tmp_path) not in text
    folder = tmp_path / "results/embedded"
    for path in folder.rglob("*.json"):
        assert f"results/{path.relative_to(folder).as_posix()}" in html.text
    assert text.startswith(page.heads()[0])


def test_names_from_files_are_escaped(make_results: Any) -> None:
    made = render(make_results(data="<b>&amp;|_x_", voc="%$<i>"))
    assert "<b>&amp;|" not in made["index.html"]
    assert "&lt;b&gt;&amp;amp;|_x_" in made["index.html"]
    assert r"\<b\>&amp;\|\_x\_" in made["README.md"]
    assert "<i>" not in made["README.md"]


def test_numbers_of_classes_are_folded_away(make_results: Any) -> None:
    made = render(make_results())
    assert "| `results/detect/nat-0.json` | NAT | map: 40 | 0 |" in made["README.md"]
    entry = made["index.html"].split('id="detect-nat"')[1].split("</details>")[0]
    table, folded = entry.split("<details>")
    assert "map" in table
    assert "across" not in table
    assert "By class (3)" in folded
    assert "ap: across" in folded


def test_files_of_seeds_are_named_as_a_shell_would() -> None:
    assert files(["a/b-3.json"]) == "a/b-3.json"
    assert files(["a/k=10-0.json", "a/k=10-12.json"]) == "a/k=10-{0,12}.json"
    assert files(["a/k-0.json", "a/l-1.json"]) == "a/k-0.json, a/l-1.json"


def test_anchors_tell_numbers_apart() -> None:
    runs = [
        Run("probe", "nat"), Run("train", "nat"), Run("probe", "nat", "k=10"),
        Run("probe", "nat", "k=-10"),
        Run("probe", "nat", "k=100"),
    ]  # fmt: skip
    found = {anchor(run, metric) for run in runs for metric in ("", "mlp", "epoch 2, mlp")}
    assert len(found) == 15
    assert all(re.fullmatch(r"[A-Za-z0-9.-]+", name) for name in found)


def test_no_private_words(make_results: Any) -> None:
    """Images, learning rate, probe: one word for one thing, those of papers."""
    for text in render(make_results(seeds=(0, 1))).values():
        words = re.sub(r"data:[^\"]*|<style>.*</style>|<script>.*</script>", "", text, flags=re.S)
        words = re.sub(r"class=\"[^\"]*\"", "", words)
        for word in ("picture", "step size", "reading", "spine", "front end", "(noise"):
            assert word not in words, word


def test_histories_are_tables(make_results: Any) -> None:
    (frame,) = Report(SETTINGS, make_results()).histories
    assert frame["epoch"].tolist() == [1, 2, 3, 4, 5, 6]
    assert pandas.isna(frame["knn"][0])
    assert len(history()) == len(frame)
    assert ACCURACIES.keys() == PRECISIONS.keys()
