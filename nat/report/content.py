"""What the page says, as blocks that both templates are filled with.

A block is its kind and what is shown: a section its title and anchor, a paragraph its words,
bullets a list of words, a grid its head, its rows of words, the columns aligned to their ends and
whether cells may stack; a table, a figure or sources themselves. Words are texts, cells of tables,
and pairs of a style (code, strong, break, or that of a verdict) and a text.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from nat.report import facts, paper
from nat.report.claims import Claim, claims, how_judged
from nat.report.frame import Report
from nat.report.results import ON_VOC, Run
from nat.report.table import Measured, Table, several
from nat.report.tables import setup, what_helped
from nat.report.verdict import HELD, NOT_HELD, OPEN

STYLES = {HELD: "held", NOT_HELD: "failed", OPEN: "open"}
Block = tuple[str, Any]
Words = list[Any]


@dataclass(frozen=True)
class Image:
    """A figure as the page shows it; ``svg`` are the bytes of one of its files."""

    stem: str
    title: str
    alt: str
    caption: str
    svg: bytes
    runs: list[Run]


def content(report: Report, tables: list[Table], images: list[Image]) -> Iterator[Block]:
    """The whole page, from its first sentence to its sources."""
    found = claims(report)
    table = {each.stem: ("table", each) for each in tables}

    def drawn(*stems: str) -> Iterator[Block]:
        return (("figure", image) for stem in stems for image in images if image.stem == stem)

    for words in (summary(report, found), failures(found), kinds(report), left_out(report)):
        if words:
            yield "paragraph", words
    yield from drawn("figure1")
    yield "section", ("What held and what did not", "verdicts")
    yield "grid", verdicts(found)
    yield "paragraph", [how_judged(found)]
    yield "section", ("Features compared", "compared")
    yield from (table["table3"], table["table4"], *drawn("detections"))
    if learned := list(drawn("training", "figure2_left", "figure3", "figure4")):
        yield from [("section", ("What NAT learned", "learned")), *learned]
    yield "section", ("Analysis: loss, pre-processing, assignment, targets", "analysis")
    same = (
        "Section 4.1 of the paper: one setting is changed at a time, all others are those of the "
        f"run of Table 3 ({setup(report)}), which every comparison includes."
    )
    yield "paragraph", [same]
    yield from (table["table1"], table["table2"], table["periods"], *drawn("figure2_right"))
    yield from (table["targets"], ("paragraph", [what_helped(report)]))
    yield from drawn("classes", "dimension")
    yield "section", ("Data and settings", "settings")
    rows: list[Any] = [([name], [value]) for name, value in facts.settings(report).items()]
    yield "grid", (("Setting", "Value of NAT's training"), rows, (), False)
    yield "section", ("Time and hardware", "time")
    *parts, (_, _, runs, minutes) = facts.time(report)
    rows = [([("code", stage)], [method], [str(n)], [sum_]) for stage, method, n, sum_ in parts]
    rows.append(([("strong", "all")], [""], [str(runs)], [("strong", minutes)]))
    yield "grid", (("Stage", "Method", "Runs", "Minutes, all runs"), rows, (2, 3), False)
    yield "bullets", [[line] for line in facts.hardware_used(report)]
    code = [("code", "dvc.yaml"), "; ", ("code", "dvc dag")]
    yield "paragraph", ["Stages are declared in ", *code, " draws how they depend on each other."]
    yield "section", ("Not measured here", "missing")
    yield "bullets", [[line] for line in missing(report, tables)]
    yield "section", ("Where the numbers come from", "sources")
    told = (
        "Each file holds the numbers, and beside them parameters, seed, seconds, hardware, "
        "versions and commit. All numbers are in one table, "
    )
    yield "paragraph", [told, ("code", "results.csv"), "."]
    yield "sources", [facts.source(results) for results in report.groups]


def summary(report: Report, found: list[Claim]) -> Words:
    """NAT against random and labels, transfer, and how many statements held."""

    def clauses(cell: Measured, *others: tuple[Measured | None, str]) -> Iterator[Any]:
        known = [(other, words) for other, words in others if other is not None]
        for i, (other, words) in enumerate(known):
            yield from (", and " if i else ": ", f"{_than(cell, other)} {words} (", other, " %)")
        yield ". "

    train, val = (report.images(part) for part in ("train", "val"))
    words: Words = [f"On {report.data}"]
    words.append(f" ({train:,} images to train on, {val:,} to test), " if train and val else ", ")
    nat, random, labels = (
        report.measured(Run("probe", method), "mlp") for method in ("nat", "random", "labels")
    )
    if nat is None:
        words.append("NAT was not run. ")
    else:
        words += ["a trunk that NAT trained without labels gives an accuracy of ", nat]
        same = (random, "the same trunk untrained"), (labels, "the same trunk trained with labels")
        words += [" % with the paper's MLP", *clauses(nat, *same)]
    voc, untrained = (
        report.measured(Run("finetune-all", method), "map") for method in ("nat", "random")
    )
    if voc is not None:
        start = f"Fine-tuned on the {report.voc}, it gives a mean average precision of "
        words += [start, voc, " %", *clauses(voc, (untrained, "the untrained one"))]
    (papers, held), (added, also) = (
        (len(some), sum(claim.verdict == HELD for claim in some))
        for some in ([c for c in found if not c.added], [c for c in found if c.added])
    )
    end = f"Of {papers} statements of the paper that these numbers can test, {held} held; of "
    return [*words, f"{end}{added} that are added to them, {also}."]


def _than(cell: Measured, other: Measured) -> str:
    """``4.0 points more than``, from the difference."""
    difference = cell.mean - other.mean
    if abs(difference) < 0.05:
        return "as much as"
    return f"{abs(difference):.1f} points {'more' if difference > 0 else 'less'} than"


def failures(found: list[Claim]) -> Words:
    """What did not hold, what is undecided, and how many seeds there are."""
    words: list[str] = []
    for name, verdict in (("Did not hold", NOT_HELD), ("Undecided", OPEN)):
        texts = [claim.text for claim in found if claim.verdict == verdict]
        words += [f"{name}: {'; '.join(texts)}."] if texts else []
    counts = {count for claim in found for count in claim.seeds}
    mean = f"Numbers are mean ± standard deviation of {several(counts)}."
    return [
        " ".join([*words, mean if max(counts, default=1) > 1 else "Every number is of one seed."])
    ]


def kinds(report: Report) -> Words:
    """How measured and quoted numbers are told apart."""
    text = (
        f"Numbers without italics were measured by this pipeline, on the {report.voc} (Table 4) "
        f"and on {report.data} (all others). Numbers in italics are quoted from the paper, which "
        "measured on ImageNet and VOC 2007; they stand in columns of their own."
    )
    if (report.data, report.voc) != ("ImageNet", "VOC 2007"):
        text += (
            " Different data give different numbers for the same method: compare down a column, "
            "never across from the paper's column to a measured one."
        )
    return [text]


def left_out(report: Report) -> Words:
    """How many results do not count, and why; empty if all do."""
    counts = Counter(result.dropped for result in report.results if result.dropped)
    told = [f"{n} {why}" for why, n in counts.most_common()]
    if not told:
        return []
    one = counts.total() == 1
    number, words = told[0].split(" ", 1)
    told[0] = f"{number} result{'' if number == '1' else 's'} {words}"
    return [f"{', '.join(told)} {'is' if one else 'are'} left out."]


def verdicts(found: list[Claim]) -> tuple[Any, ...]:
    """A grid of every statement with its verdict and the numbers that decided."""
    rows = []
    for claim in found:
        numbers: Words = []
        for pair in claim.pairs:
            name = f"{pair.name}: " if pair.name else ""
            numbers += [("break", "; ")] if numbers else []
            numbers += [name, pair.more, " against ", pair.less, ": ", pair.difference]
        text, style = claim.text[0].upper() + claim.text[1:], STYLES[claim.verdict]
        seeds = several(claim.seeds, "1 seed").split(" seed")[0]
        rows.append(([text], [claim.source], [(style, claim.verdict)], numbers, [seeds]))
    return ("Statement", "Paper", "Verdict", "Numbers, %", "Seeds"), rows, (4,), True


def missing(report: Report, tables: list[Table]) -> Iterator[str]:
    """What the paper measured and this page does not."""
    if report.data != "ImageNet":
        yield (
            "ImageNet: what is said here of Tables 1 to 3, of section 4.1 and of the figures is of "
            f"{report.data}."
        )
    if report.voc != "VOC 2007":
        yield "VOC 2007, classification and detection."
    run = {result.run.stage for result in report.counted}
    tasks = ("Classification, fc6-8 trained", "Classification, all trained", "Detection")
    for stage, name in zip(ON_VOC, tasks, strict=True):
        if stage not in run:
            yield f"{name}, on any data."
    known = {row.name for row in (*paper.TABLE_1, *paper.TABLE_2, *paper.TABLE_3, *paper.TABLE_4)}
    for table in tables:
        quoted = [name for name in table.quoted_only() if name in known]
        if quoted:
            yield f"{table.title}, rows quoted only: {', '.join(quoted)}."
