"""The page: one content, two renderings, complete and traceable."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tiny import PROJECT

from nat.report.ablations import read_ablations
from nat.report.artifacts import read_artifacts
from nat.report.page import html, markdown
from nat.report.page.content import content
from nat.report.page.graph import read_graph
from nat.report.page.sources import anchor, files
from nat.report.page.stage import pages
from nat.report.record import Record
from nat.runtime.settings.params import Ablations as Values


def render(folder: Path, listed: dict[str, Any], seeds: tuple[int, ...] = (0,)) -> dict[str, str]:
    values = Values.model_validate(listed)
    made = pages(
        read_artifacts(folder, list(seeds)),
        read_ablations(folder, list(seeds), values),
        read_graph(PROJECT, {"seeds": list(seeds), "ablations": listed}),
        "embedded",
    )
    return {name: text.decode() for name, text in made.items()}


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of words: figures take most of the time."""
    monkeypatch.setattr("nat.report.page.content.render", lambda figure, ending: b"<svg/>")


class Text(HTMLParser):
    """The text a reader sees; also counts elements and checks that they close."""

    def __init__(self) -> None:
        super().__init__()
        self.text, self.open, self.hrefs, self.ids = "", [], [], []
        self.tags: dict[str, int] = {}

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self.hrefs += [value or "" for name, value in attributes if name in ("href", "src")]
        self.ids += [value for name, value in attributes if name == "id"]
        if tag not in ("meta", "link", "br", "img", "rect", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"], ["title"]):
            self.text += data


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


@pytest.mark.usefixtures("no_figures")
def test_both_renderings_say_the_same(make_artifacts: Any, listed: Any) -> None:
    made = render(make_artifacts(seeds=(0, 1)), listed, (0, 1))
    seen = " ".join(read_html(made["index.html"]).text.replace("*", "").split())
    said = 0
    for part in bare(made["README.md"]).split("\n\n"):
        # tables and their files differ in form, as does what is only in one
        if not part or part.startswith(("|", "#", "As CSV", "index.html")):
            continue
        for line in part.splitlines():
            sentence = re.sub("^([¹²³]|-) ", "", line).removesuffix(" (SVG)")
            assert sentence in seen, sentence
            said += 1
    assert said > 20


@pytest.mark.usefixtures("no_figures")
def test_first_sentences_tell_what_was_found(make_artifacts: Any, listed: Any) -> None:
    text = render(make_artifacts(pictures=100_000), listed)["README.md"]
    first, second = text.split("\n\n")[1:3]
    assert "an accuracy of 70.0 %" in first
    assert "20.0 points more than the same trunk untrained (50.0 %)" in first
    assert "20.0 points less than the same trunk trained with labels (90.0 %)" in first
    assert "Of 16 statements of the paper that these numbers can test, 16 held" in first
    assert "of 4 that are added to them, 4." in first
    assert second == "Every number is of one seed."


@pytest.mark.usefixtures("no_figures")
def test_failures_open_the_page(make_artifacts: Any, listed: Any) -> None:
    accuracies = {"random": (70, 70, 70), "labels": (90, 89, 88), "nat": (40, 71, 60)}
    precisions = {"random": (50, 60), "labels": (60, 65), "nat": (45, 40)}
    folder = make_artifacts(accuracies=accuracies, precisions=precisions)
    text = render(folder, listed)["README.md"]
    first, second = text.split("\n\n")[1:3]
    assert "30.0 points less than the same trunk untrained (70.0 %)" in first
    failed = second.split("Did not hold: ")[1].split(". Undecided")[0].split("; ")
    assert set(failed) >= {
        "accuracy grows with longer training, from epoch 2 to 6",
        "NAT's features are better than random ones, read by MLP",
        "NAT's features are better than random ones, read by kNN",
        "NAT's features transfer better than random ones, fc6-8 trained",
        "NAT's features transfer better than random ones, all trained",
        "with NAT, training all layers is better than fc6-8 alone",
        "targets on the sphere are better than discrete ones, whatever k",
    }
    assert (
        "NAT's features are better than random ones, read by linear"
        in second.split("Undecided: ")[1]
    )
    assert text.count("**did not hold**") == len(failed)


@pytest.mark.usefixtures("no_figures")
def test_page_tells_data_and_what_is_missing(make_artifacts: Any, listed: Any) -> None:
    text = render(make_artifacts(seeds=(0, 1)), listed, (0, 1))["README.md"]
    assert "measured by this pipeline, on the composed VOC-format set (Table 4)" in text
    assert "- ImageNet:" in text
    assert "- VOC 2007, classification and detection." in text
    assert "- Detection, on any data." in text
    assert "**Detections.**" not in text
    assert "- Table 3, rows quoted only: SIFT+FV" in text
    missing = text.split("## Not measured here")[1].split("## ")[0]
    for done in ("Table 1,", "Table 2,", "Figure 2", "Periods", "Targets"):
        assert done not in missing
    assert "| seeds | 0, 1 |" in text
    assert "| profile | embedded |" in text
    assert (
        "| `artifacts/probe/nat-{0,1}.json` | NAT | mlp: 70, 71; linear: 66, 67; knn: 67, 68 "
        "| 0, 1 |"
    ) in text
    assert "| `artifacts/ablations/records/k-10-{0,1}/record.json` | NAT, k = 10 |" in text


@pytest.mark.usefixtures("no_figures")
def test_page_of_the_papers_own_data(make_artifacts: Any, listed: Any) -> None:
    detected = {"random": 20.0, "labels": 50.0, "nat": 40.0}
    folder = make_artifacts(data="imagenet", voc="voc2007", detections=detected)
    text = render(folder, listed)["README.md"]
    missing = text.split("## Not measured here")[1].split("## ")[0]
    assert "ImageNet:" not in missing
    assert "VOC 2007" not in missing
    assert "Detection" not in missing
    assert "](figures/detections.png)\n\n**Detections.** What NAT's detector of Table 4" in text
    file = "artifacts/illustrate-detections/0.npz"
    assert f"| `{file}` | NAT | least score of a\\_disc\\|50%: 0.5; precision of" in text
    assert "never across" not in text
    assert "ImageNet (paper): Acc@1 | ImageNet, measured: MLP" in text


@pytest.mark.usefixtures("no_figures")
def test_time_is_summed_by_stage(make_artifacts: Any, listed: Any) -> None:
    text = render(make_artifacts(seeds=(0, 1)), listed, (0, 1))["README.md"]
    assert "| `pretrain` | NAT | 2 | 3.0 |" in text
    assert "| `finetune` | NAT | 4 | 6.0 |" in text
    # 13 values of NAT's settings, 3 of training with labels
    assert "| `pretrain` | NAT (section 4.1) | 26 | 39.0 |" in text
    assert "| `baseline labels` | Labels (section 4.1) | 6 | 9.0 |" in text
    assert "- Commit: 0123456789ab\n" in text


def test_html_is_whole_and_small(make_artifacts: Any, listed: Any, tmp_path: Path) -> None:
    text = render(make_artifacts(seeds=(0, 1)), listed, (0, 1))["index.html"]
    page = read_html(text)
    outside = [href for href in page.hrefs if not href.startswith(("#", "data:"))]
    assert outside == []
    assert "http://" not in re.sub(r"data:[^\"]*", "", text)
    assert len(page.ids) == len(set(page.ids))
    assert {href[1:] for href in page.hrefs if href.startswith("#")} <= set(page.ids)
    assert len(text) < 3_000_000
    assert str(tmp_path) not in text
    # every file is there, and every measured number of every file
    for path in (tmp_path / "artifacts").rglob("*.json"):
        assert path.relative_to(tmp_path).as_posix() in page.text


@pytest.mark.usefixtures("no_figures")
def test_names_from_files_are_escaped(make_artifacts: Any, listed: Any) -> None:
    text = render(make_artifacts(data="<b>&amp;"), listed)["index.html"]
    assert "<b>&amp;" not in re.sub(r"<figcaption><b>|data:[^\"]*", "", text)
    assert "&lt;b&gt;&amp;amp;" in text


@pytest.mark.usefixtures("no_figures")
def test_numbers_of_classes_are_folded_away(make_artifacts: Any, listed: Any) -> None:
    detected = {"random": 20.0, "labels": 50.0, "nat": 40.0}
    made = render(make_artifacts(detections=detected), listed)
    assert "| `artifacts/detect/nat-0.json` | NAT | map: 40 | 0 |" in made["README.md"]
    entry = made["index.html"].split('id="artifacts-detect-nat-0.json"')[1].split("</details>")[0]
    table, folded = entry.split("<details>")
    assert "map" in table
    assert "across" not in table
    assert "By class (6)" in folded
    assert "ap_area: across" in folded


def record(file: str) -> Record:
    return Record(file, "probe", "nat", {"mlp": 1.0}, {})


def test_files_of_seeds_are_named_as_a_shell_would() -> None:
    assert files((record("a/b-3.json"),)) == "a/b-3.json"
    assert files((record("a/k-10-0.json"), record("a/k-10-12.json"))) == "a/k-10-{0,12}.json"
    assert files((record("a-1/r.json"), record("a-11/r.json"))) == "a-{1,11}/r.json"


def test_anchors_tell_numbers_apart() -> None:
    names = ["probe/nat-0.json", "probe/nat-1.json", "ablations/probe/k-10-0.json"]
    found = {anchor((record(name),), key) for name in names for key in ("", "mlp", "knn")}
    assert len(found) == 9
    assert all(re.fullmatch(r"[a-z0-9.-]+", name) for name in found)


@pytest.mark.usefixtures("no_figures")
def test_same_blocks_are_rendered(make_artifacts: Any, listed: Any) -> None:
    """Every kind of block has its place in both renderings."""
    folder = make_artifacts()
    blocks = list(
        content(
            read_artifacts(folder, [0]),
            read_ablations(folder, [0], Values.model_validate(listed)),
            read_graph(PROJECT, {}),
            "p",
        )
    )
    for block in blocks:
        assert html._block(block), block
        assert markdown._block(block), block
