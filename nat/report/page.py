"""reports/README.md: one page that tells what was measured, on what, and where each number is."""

from collections.abc import Iterable

from nat.report import paper
from nat.report.artifacts import Artifacts, Record
from nat.report.claims import HELD, NOT_HELD, OPEN, claims
from nat.report.figures import DRAWINGS
from nat.report.formats import escape_markdown, markdown
from nat.report.names import METHODS, data_name
from nat.report.table import Table
from nat.report.tables import not_run

# what the paper measured and no table or figure of this page holds
ELSEWHERE = (
    ("Table 1: supervised accuracy by loss", paper.TABLE_1),
    ("Table 2: supervised accuracy by pre-processing", paper.TABLE_2),
    ("Section 4.1: variants of NAT", paper.TEXT[1:]),
)


def page(artifacts: Artifacts, tables: dict[str, Table], profile: str) -> str:
    """The whole page.

    Args:
        artifacts: what was measured.
        tables: by the stem of their files.
        profile: of params.yaml.
    """
    parts = [
        "# Results",
        summary(artifacts),
        _kinds(artifacts),
        "## What held and what did not",
        _verdicts(artifacts),
        "## Tables",
        *(
            f"{markdown(table)}\nAs [CSV]({stem}.csv) and [LaTeX]({stem}.tex)."
            for stem, table in tables.items()
        ),
        "## Figures",
        *(
            f"![{drawing.alt}](figures/{drawing.stem}.png)\n\n"
            f"**{drawing.title}.** {escape_markdown(drawing.caption(artifacts))} "
            f"([SVG](figures/{drawing.stem}.svg))"
            for drawing in DRAWINGS
        ),
        "## Data and settings",
        _settings(artifacts, profile),
        "## Time and machine",
        _time(artifacts),
        _machine(artifacts),
        "## Not measured here",
        _missing(artifacts, tables.values()),
        "## Where the numbers come from",
        _sources(artifacts),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def summary(artifacts: Artifacts) -> str:
    """The first sentences: NAT against random and labels, in numbers, and what did not hold."""
    nat, random, labels = (artifacts.probe(m, "mlp") for m in ("nat", "random", "labels"))
    voc, voc_random = (artifacts.voc(m, "all") for m in ("nat", "random"))
    facts, made = artifacts.illustration.facts, claims(artifacts)
    sentences = [
        f"On {nat.data} ({facts['train']:,} pictures to train on, {facts['val']:,} to test), a "
        f"trunk that NAT trained without labels gives an accuracy of {nat} % with the paper's MLP: "
        f"{_than(nat.mean - random.mean)} the same trunk untrained ({random} %), and "
        f"{_than(nat.mean - labels.mean)} the same trunk trained with labels ({labels} %).",
        f"Fine-tuned on the {voc.data}, it gives a mean average precision of {voc} %, "
        f"{_than(voc.mean - voc_random.mean)} the untrained one ({voc_random} %).",
        f"Of {len(made)} statements that these numbers can test, "
        f"{sum(claim.verdict == HELD for claim in made)} held.",
    ]
    for words, verdict in (("Did not hold", NOT_HELD), ("Undecided", OPEN)):
        texts = [claim.text for claim in made if claim.verdict == verdict]
        if texts:
            sentences.append(f"{words}: {'; '.join(texts)}.")
    n = len(artifacts.seeds)
    one = "Every number is of one seed."
    sentences.append(one if n == 1 else f"Numbers are mean ± standard deviation of {n} seeds.")
    return escape_markdown(" ".join(sentences))


def _than(difference: float) -> str:
    """``4.0 points more than``, from the difference."""
    if abs(difference) < 0.05:
        return "as much as"
    return f"{abs(difference):.1f} points {'more' if difference > 0 else 'less'} than"


def _kinds(artifacts: Artifacts) -> str:
    measured = artifacts.probe("nat", "mlp").data
    voc = artifacts.voc("nat", "all").data
    lines = [
        f"Numbers without italics were measured by this pipeline, on {measured} (Table 3) and on "
        f"the {voc} (Table 4). Numbers *in italics* are quoted from the paper, which measured on "
        "ImageNet and VOC 2007; they stand in columns of their own.",
    ]
    if measured != "ImageNet" or voc != "VOC 2007":
        lines.append(
            "Different data give different numbers for the same method: compare down a column, "
            "never across from the paper's column to a measured one."
        )
    return " ".join(lines)


def _verdicts(artifacts: Artifacts) -> str:
    rows = [
        (c.text[0].upper() + c.text[1:], c.source, f"**{c.verdict}**", c.numbers)
        for c in claims(artifacts)
    ]
    note = (
        "Noise is twice the standard error of the difference, the largest of those that can be "
        "told: from the spread over seeds, for accuracies from the number of test pictures, for "
        "average precision from the spread over classes. A difference within it is undecided."
    )
    return f"{_pipes(('Statement', 'Paper', 'Verdict', 'Numbers, %'), rows)}\n\n{note}"


def _settings(artifacts: Artifacts, profile: str) -> str:
    facts, setting = artifacts.illustration.facts, artifacts.setting
    data, classes = escape_markdown(data_name(facts["source"])), len(facts["classes"])
    colours = "grey" if facts["channels"] == 1 else "RGB"
    vectors = {"sphere": "uniform on the unit sphere", "onehot": "canonical basis vectors"}
    rows = [
        ("profile", escape_markdown(profile)),
        ("pictures", f"{data}, {classes} classes"),
        ("n, training pictures (and targets)", f"{facts['train']:,}"),
        ("test pictures", f"{facts['val']:,}"),
        ("input", f"{facts['crop']} px crops of {facts['size']} px, {colours}"),
        ("target_type", f"{facts['target_type']}: {vectors[facts['target_type']]}"),
        ("d, dimension of the targets", facts["dimension"]),
        ("permute_every", f"{setting('permute_every')} (epochs)"),
        ("trunk", f"{facts['trunk']}, MLP of {facts['hidden']} hidden units"),
        ("epochs", setting("pretrain", "epochs")),
        ("batch", setting("pretrain", "batch_size")),
        ("step size", setting("pretrain", "lr")),
        ("seeds", ", ".join(map(str, artifacts.seeds))),
    ]
    return _pipes(("Setting", "Value of NAT's training"), rows)


def _time(artifacts: Artifacts) -> str:
    seconds: dict[tuple[str, str], list[float]] = {}
    for record in artifacts.records():
        key = record.stage, METHODS.get(record.method, "")
        seconds.setdefault(key, []).append(record.provenance["seconds"])
    rows: list[tuple[object, ...]] = [
        (f"`{stage}`", method, len(each), _minutes(sum(each)))
        for (stage, method), each in seconds.items()
    ]
    total = _minutes(sum(sum(each) for each in seconds.values()))
    runs = sum(len(each) for each in seconds.values())
    rows.append(("**all**", "", runs, f"**{total}**"))
    return _pipes(("Stage", "Method", "Runs", "Minutes, all runs"), rows)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}" if seconds >= 3 else "< 0.1"


def _machine(artifacts: Artifacts) -> str:
    """Hardware, versions and commit, each once; several where the runs differ."""
    where = [record.provenance for record in artifacts.records()]
    versions = {
        "Python " + p["python"] + "".join(f", {k} {v}" for k, v in p["versions"].items())
        for p in where
    }
    commits = {p["commit"] for p in where}
    lines = [
        (
            "Hardware",
            {f"{p['hardware']}, on {p['device']}, threads: {p['threads']}" for p in where},
        ),
        ("Versions", versions),
        ("Commit", commits),
    ]
    text = "\n".join(
        f"- {name}: {escape_markdown('; '.join(sorted(values)))}" for name, values in lines
    )
    if any(commit.endswith("+") for commit in commits):
        text += "\n- A + behind a commit: files differed from it."
    return text


def _missing(artifacts: Artifacts, tables: Iterable[Table]) -> str:
    needs = []
    measured = artifacts.probe("nat", "mlp").data
    if measured != "ImageNet":
        needs.append(f"- ImageNet: what is said here of Table 3 and the figures is of {measured}.")
    if artifacts.voc("nat", "all").data != "VOC 2007":
        needs.append("- VOC 2007, classification and detection.")
    else:
        needs.append("- VOC 2007 detection.")
    needs += [
        f"- {table.title}, rows quoted only: {escape_markdown(', '.join(not_run(table)))}."
        for table in tables
    ]
    needs.append("- Figure 2, right: accuracy by the frequency of permutations.")
    for title, rows in ELSEWHERE:
        quoted = "; ".join(f"{row.name} *{row.numbers[0]}*" for row in rows)
        needs.append(f"- {title}; the paper's on ImageNet: {quoted}.")
    return "\n".join(needs)


def _sources(artifacts: Artifacts) -> str:
    rows = [
        (f"`{record.file}`", _where(record), _numbers(record), record.provenance["seed"])
        for record in artifacts.records()
    ]
    note = (
        "Each file holds the numbers, and beside them parameters, seed, seconds, hardware, "
        "versions and commit."
    )
    return f"{note}\n\n{_pipes(('File', 'Shown in', 'Numbers', 'Seed'), rows)}"


def _where(record: Record) -> str:
    places = {
        "probe": "Table 3, Figure 2",
        "evolution": "Figure 2",
        "finetune": "Table 4",
        "illustrate": "Figures 1, 3 and 4",
        "pretrain": "Training, time",
    }
    return places.get(record.stage, "time")


def _numbers(record: Record) -> str:
    """A record's own numbers, as short as they can be traced by."""
    content = record.measured
    if isinstance(content, list):
        return "; ".join(f"epoch {row['epoch']}: {row['mlp']}" for row in content) + " (mlp)"
    numbers = [f"{k} {v:.4g}" for k, v in content.items() if isinstance(v, int | float)]
    return ", ".join(numbers) or "–"  # noqa: RUF001 - a dash for "none"


def _pipes(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
