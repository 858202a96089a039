"""What the page says, as blocks that both templates are filled with."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from nat.report import facts, paper
from nat.report.blocks import (
    Block,
    Bullets,
    Grid,
    Image,
    Paragraph,
    Section,
    Sources,
    Tabular,
)
from nat.report.claims import Claim, claims, reading_of_verdicts
from nat.report.frame import Report
from nat.report.results import ON_VOC
from nat.report.table import Measured, Table
from nat.report.tables import not_run, setup, what_helped
from nat.report.verdict import HELD, NOT_HELD, OPEN, Styled, Words

KINDS = {HELD: "held", NOT_HELD: "failed", OPEN: "open"}


def content(report: Report, tables: list[Table], images: list[Image]) -> Iterator[Block]:
    """The whole page, from its first sentence to its sources.

    Args:
        report: what was measured.
        tables: all of ``tables.TABLES``.
        images: the figures that there are.
    """
    found = claims(report)
    table = {each.stem: Tabular(each) for each in tables}
    figures = {image.stem: image for image in images}

    def drawn(*stems: str) -> Iterator[Image]:
        return (figures[stem] for stem in stems if stem in figures)

    yield Paragraph(summary(report, found))
    yield Paragraph((failures(found),))
    yield Paragraph((kinds(report),))
    if dropped := left_out(report):
        yield Paragraph((dropped,))
    yield from drawn("figure1")

    yield Section("What held and what did not", "verdicts")
    yield verdicts(found)
    yield Paragraph((reading_of_verdicts(found),))

    yield Section("Features compared", "compared")
    yield from (table["table3"], table["table4"])
    yield from drawn("detections")

    if learned := list(drawn("training", "figure2_left", "figure3", "figure4")):
        yield Section("What NAT learned", "learned")
        yield from learned

    yield Section("Analysis: loss, pre-processing, assignment, targets", "analysis")
    yield Paragraph(one_at_a_time(report))
    yield from (table["table1"], table["table2"], table["periods"])
    yield from drawn("figure2_right")
    yield table["targets"]
    yield Paragraph((what_helped(report),))
    yield from drawn("classes", "dimension")

    yield Section("Data and settings", "settings")
    yield facts.settings(report)
    yield Section("Time and hardware", "time")
    yield facts.time(report)
    yield facts.hardware_used(report)
    yield Paragraph(
        ("The stages are declared in ", Styled("dvc.yaml", "code"), "; ",
         Styled("dvc dag", "code"), " draws how they depend on each other.")
    )  # fmt: skip
    yield Section("Not measured here", "missing")
    yield Bullets(list(missing(report, tables)))
    yield Section("Where the numbers come from", "sources")
    yield Paragraph(
        ("Each file holds the numbers, and beside them parameters, seed, seconds, hardware, "
         "versions and commit. All numbers are in one table, ", Styled("results.csv", "code"), ".")
    )  # fmt: skip
    yield Sources(facts.sources(report))


def summary(report: Report, found: list[Claim]) -> Words:
    """NAT against random and labels, transfer, and how many statements held."""
    nat, voc = report.probe("nat", "mlp"), report.measured("finetune-all", "nat", "map")
    counts = [(report.images("train"), "to train on"), (report.images("val"), "to test")]
    told = ", ".join(f"{n:,} {'images ' * (i == 0)}{what}" for i, (n, what) in enumerate(counts))
    words: list[Any] = [f"On {report.data} ({told}), " if all(n for n, _ in counts) else ""]
    if nat is None:
        words.append("NAT was not run. ")
    else:
        words += ["a trunk that NAT trained without labels gives an accuracy of ", nat]
        words.append(" % with the paper's MLP")
        link = ": "
        for method, how in (("random", "untrained"), ("labels", "trained with labels")):
            cell = report.probe(method, "mlp")
            if cell is not None:
                words += [f"{link}{_than(nat, cell)} the same trunk {how} (", cell, " %)"]
                link = ", and "
        words.append(". ")
    if voc is not None:
        untrained = report.measured("finetune-all", "random", "map")
        words += [f"Fine-tuned on the {report.voc}, NAT's gives a mean average precision of ", voc]
        words.append(" %")
        if untrained is not None:
            words += [f", {_than(voc, untrained)} the untrained one (", untrained, " %)"]
        words.append(". ")
    return (*words, _held(found))


def _than(cell: Measured, other: Measured) -> str:
    """``4.0 points more than``, from the difference."""
    difference = cell.mean - other.mean
    if abs(difference) < 0.05:
        return "as much as"
    return f"{abs(difference):.1f} points {'more' if difference > 0 else 'less'} than"


def _held(found: list[Claim]) -> str:
    """How many statements held, the paper's and those added apart."""
    told = [
        (len(claims), sum(claim.verdict == HELD for claim in claims))
        for claims in ([c for c in found if not c.added], [c for c in found if c.added])
    ]
    (papers, held), (added, also) = told
    return (
        f"Of {papers} statements of the paper that these numbers can test, {held} held; of {added} "
        f"that are added to them, {also}."
    )


def failures(found: list[Claim]) -> str:
    """What did not hold, what is undecided, and how many seeds there are."""
    words: list[str] = []
    for name, verdict in (("Did not hold", NOT_HELD), ("Undecided", OPEN)):
        texts = [claim.text for claim in found if claim.verdict == verdict]
        if texts:
            words.append(f"{name}: {'; '.join(texts)}.")
    counts = {len(cell.values) for claim in found for p in claim.pairs for cell in (p.more, p.less)}
    if counts <= {1}:
        words.append("Every number is of one seed.")
    else:
        seeds = " to ".join(map(str, sorted({min(counts), max(counts)})))
        words.append(f"Numbers are mean ± standard deviation of {seeds} seeds.")
    return " ".join(words)


def kinds(report: Report) -> str:
    """How measured and quoted numbers are told apart."""
    text = (
        f"Numbers without italics were measured by this pipeline, on the {report.voc} (Table 4) "
        f"and on {report.data} (all others). Numbers in italics are quoted from the paper, which "
        "measured on ImageNet and VOC 2007; they stand in columns of their own."
    )
    if report.data != "ImageNet" or report.voc != "VOC 2007":
        text += (
            " Different data give different numbers for the same method: compare down a column, "
            "never across from the paper's column to a measured one."
        )
    return text


def left_out(report: Report) -> str:
    """How many results do not count, and why; empty if all do."""
    counts = Counter(result.dropped for result in report.results if result.dropped)
    if not counts:
        return ""
    (reason, first), *others = counts.most_common()
    several = counts.total() > 1
    told = [f"{first} result{'s' if first > 1 else ''} {reason}", *(f"{n} {w}" for w, n in others)]
    return f"{', '.join(told)} {'are' if several else 'is'} left out."


def one_at_a_time(report: Report) -> Words:
    """What section 4.1's comparisons have in common."""
    return (
        "Section 4.1 of the paper: one setting is changed at a time, all others are those of the "
        f"run of Table 3 ({setup(report)}), which every comparison includes.",
    )


def verdicts(found: list[Claim]) -> Grid:
    """Every statement with its verdict and the numbers that decided."""
    rows: list[tuple[Words, ...]] = [
        (
            (claim.text[0].upper() + claim.text[1:],),
            (claim.source,),
            (Styled(claim.verdict, KINDS[claim.verdict]),),
            claim.numbers,
            (claim.seeds,),
        )
        for claim in found
    ]
    return Grid(("Statement", "Paper", "Verdict", "Numbers, %", "Seeds"), rows, (4,), stack=True)


def missing(report: Report, tables: list[Table]) -> Iterator[Words]:
    """What the paper measured and this page does not."""
    if report.data != "ImageNet":
        yield (
            "ImageNet: what is said here of Tables 1 to 3, of section 4.1 and of the figures is of "
            f"{report.data}.",
        )
    run = {result.stage for result in report.counted}
    if report.voc != "VOC 2007":
        yield ("VOC 2007, classification and detection.",)
    names = dict(zip(ON_VOC, ("Classification, fc6-8 trained", "Classification, all trained",
                              "Detection"), strict=True))  # fmt: skip
    yield from ((f"{name}, on any data.",) for stage, name in names.items() if stage not in run)
    known = {row.name for row in (*paper.TABLE_1, *paper.TABLE_2, *paper.TABLE_3, *paper.TABLE_4)}
    for table in tables:
        quoted = [name for name in not_run(table) if name in known]
        if quoted:
            yield (f"{table.title}, rows quoted only: {', '.join(quoted)}.",)
