"""What the page says, as blocks that both renderings are made from."""

from collections.abc import Iterator, Sequence

from nat.report import paper
from nat.report.ablation_tables import TABLES, what_helped
from nat.report.ablations import Ablations
from nat.report.artifacts import Artifacts
from nat.report.claims import claims, reading_of_verdicts
from nat.report.figures import (
    CLASSES,
    DETECTIONS,
    DIMENSION,
    EVOLUTION,
    FILTERS,
    NEIGHBOURS,
    OVERVIEW,
    PERIOD,
    TRAINING,
    Drawing,
    Shown,
)
from nat.report.figures.style import look, render
from nat.report.page.blocks import (
    Block,
    Bullets,
    Grid,
    Paragraph,
    Picture,
    Pipeline,
    Section,
    Sources,
    Tabular,
)
from nat.report.page.facts import machine, settings, time
from nat.report.page.graph import Graph
from nat.report.table import Table
from nat.report.tables import not_run, table_3, table_4
from nat.report.verdict import HELD, NOT_HELD, OPEN, Claim
from nat.report.words import Code, Strong, Words

TITLE = "Results"


def content(
    artifacts: Artifacts, ablations: Ablations, graph: Graph, profile: str
) -> Iterator[Block]:
    """The whole page, from its first sentence to its sources.

    Args:
        artifacts: what the spine measured.
        ablations: what section 4.1 is checked on.
        graph: of the pipeline.
        profile: of params.yaml.
    """
    found = claims(artifacts, ablations)
    groups = [*artifacts.groups(), *ablations.groups()]
    transfer = {"table3": table_3(artifacts), "table4": table_4(artifacts)}
    analysis = {f"ablations/{stem}": make(ablations) for stem, make in TABLES.items()}

    yield Paragraph(summary(artifacts, found))
    yield Paragraph(failures(artifacts, found))
    yield Paragraph(kinds(artifacts))
    yield _picture(OVERVIEW, artifacts, "figures")

    yield Section("What held and what did not", "verdicts")
    yield verdicts(found)
    yield Paragraph((reading_of_verdicts(found),))

    yield Section("Features compared", "compared")
    yield from _tables(transfer)
    if artifacts.detected:
        yield _picture(DETECTIONS, artifacts, "figures")

    yield Section("What NAT learned", "learned")
    for drawing in (TRAINING, EVOLUTION, NEIGHBOURS, FILTERS):
        yield _picture(drawing, artifacts, "figures")

    yield Section("Analysis: loss, front end, assignment, targets", "analysis")
    yield Paragraph(one_at_a_time(ablations))
    yield from _tables(analysis, "ablations/table1", "ablations/table2", "ablations/periods")
    yield _picture(PERIOD, ablations, "ablations")
    yield from _tables(analysis, "ablations/targets")
    yield Paragraph((what_helped(ablations),))
    for other in (CLASSES, DIMENSION):
        if ablations.variants["k" if other is CLASSES else "dimension"]:
            yield _picture(other, ablations, "ablations")

    yield Section("The pipeline", "pipeline")
    yield Paragraph(("As declared in ", Code("dvc.yaml"), " and ", Code("stages/*/dvc.yaml"), "."))
    yield Pipeline(
        graph,
        (
            "Each box is a stage, or the stages of one file that call the same command, with how "
            "many runs the parameters make of it. An arrow leads from what makes a file to what "
            "needs it; arrows that follow from others are left out.",
        ),
    )

    yield Section("Data and settings", "settings")
    yield settings(artifacts, profile)
    yield Section("Time and machine", "time")
    yield time(artifacts, ablations)
    yield machine(groups)
    yield Section("Not measured here", "missing")
    yield Bullets(tuple(missing(artifacts, [*transfer.values(), *analysis.values()])))
    yield Section("Where the numbers come from", "sources")
    yield Paragraph(
        (
            "Each file holds the numbers, and beside them parameters, seed, seconds, hardware, "
            "versions and commit.",
        )
    )
    yield Sources(groups)


def summary(artifacts: Artifacts, found: list[Claim]) -> Words:
    """NAT against random and labels, transfer, and how many statements held."""
    nat, random, labels = (artifacts.probe(m, "mlp") for m in ("nat", "random", "labels"))
    voc, voc_random = (artifacts.voc(m, "all") for m in ("nat", "random"))
    facts = artifacts.illustration.facts
    return (
        f"On {nat.data} ({facts['train']:,} pictures to train on, {facts['val']:,} to test), a "
        "trunk that NAT trained without labels gives an accuracy of ",
        nat,
        f" % with the paper's MLP: {_than(nat.mean - random.mean)} the same trunk untrained (",
        random,
        f" %), and {_than(nat.mean - labels.mean)} the same trunk trained with labels (",
        labels,
        f" %). Fine-tuned on the {voc.data}, it gives a mean average precision of ",
        voc,
        f" %, {_than(voc.mean - voc_random.mean)} the untrained one (",
        voc_random,
        f" %). {_held(found)}",
    )


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


def failures(artifacts: Artifacts, found: list[Claim]) -> Words:
    """What did not hold, what is undecided, and how many seeds there are."""
    words: list[str] = []
    for name, verdict in (("Did not hold", NOT_HELD), ("Undecided", OPEN)):
        texts = [claim.text for claim in found if claim.verdict == verdict]
        if texts:
            words.append(f"{name}: {'; '.join(texts)}.")
    n = len(artifacts.seeds)
    one = "Every number is of one seed."
    words.append(one if n == 1 else f"Numbers are mean ± standard deviation of {n} seeds.")
    return (" ".join(words),)


def _than(difference: float) -> str:
    """``4.0 points more than``, from the difference."""
    if abs(difference) < 0.05:
        return "as much as"
    return f"{abs(difference):.1f} points {'more' if difference > 0 else 'less'} than"


def kinds(artifacts: Artifacts) -> Words:
    """How measured and quoted numbers are told apart."""
    measured = artifacts.probe("nat", "mlp").data
    voc = artifacts.voc("nat", "all").data
    text = (
        f"Numbers without italics were measured by this pipeline, on the {voc} (Table 4) and on "
        f"{measured} (all others). Numbers in italics are quoted from the paper, which measured on "
        "ImageNet and VOC 2007; they stand in columns of their own."
    )
    if measured != "ImageNet" or voc != "VOC 2007":
        text += (
            " Different data give different numbers for the same method: compare down a column, "
            "never across from the paper's column to a measured one."
        )
    return (text,)


def one_at_a_time(ablations: Ablations) -> Words:
    """What section 4.1's comparisons have in common."""
    return (
        "Section 4.1 of the paper: one setting is changed at a time, all others are those of the "
        f"run of Table 3 ({ablations.setup()}), which every comparison includes. All values are in "
        "one file, ",
        Code("ablations/ablations.csv"),
        ".",
    )


def verdicts(found: list[Claim]) -> Grid:
    """Every statement with its verdict and the numbers that decided."""
    rows: list[tuple[Words, ...]] = [
        (
            (claim.text[0].upper() + claim.text[1:],),
            (claim.source,),
            (Strong((claim.verdict,)),),
            claim.numbers,
        )
        for claim in found
    ]
    return Grid(("Statement", "Paper", "Verdict", "Numbers, %"), tuple(rows), stack=True)


def missing(artifacts: Artifacts, tables: Sequence[Table]) -> Iterator[Words]:
    """What the paper measured and this page does not."""
    measured = artifacts.probe("nat", "mlp").data
    if measured != "ImageNet":
        yield (
            "ImageNet: what is said here of Tables 1 to 3, of section 4.1 and of the figures is of "
            f"{measured}.",
        )
    absent = [
        name
        for name, cell in (
            ("classification", artifacts.voc("nat", "all")),
            ("detection", artifacts.detection("nat")),
        )
        if cell is None or cell.data != "VOC 2007"
    ]
    if absent:
        yield (f"VOC 2007, {' and '.join(absent)}.",)
    if artifacts.detection("nat") is None:
        yield ("Detection, on any data.",)
    known = {row.name for row in (*paper.TABLE_1, *paper.TABLE_2, *paper.TABLE_3, *paper.TABLE_4)}
    for table in tables:
        names = [name for name in not_run(table) if name in known]
        if names:
            yield (f"{table.title}, rows quoted only: {', '.join(names)}.",)


def _tables(tables: dict[str, Table], *names: str) -> Iterator[Tabular]:
    for name in names or tables:
        yield Tabular(tables[name], name)


def _picture(drawing: Drawing[Shown], shown: Shown, folder: str) -> Picture:
    with look():
        svg = render(drawing.draw(shown), "svg")
    sources = drawing.sources(shown)
    return Picture(
        drawing.title,
        drawing.alt,
        drawing.caption(shown),
        f"{folder}/{drawing.stem}",
        svg,
        sources,
    )
