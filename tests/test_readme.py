"""What the README says is what the project has: numbers, files, counts."""

import json
import re

from tiny import EMBEDDED, PROJECT

README = (PROJECT / "README.md").read_text()
REPORT = (PROJECT / "reports" / "README.md").read_text()
METRICS = json.loads((PROJECT / "reports" / "metrics.json").read_text())


def section(title: str) -> str:
    found = re.search(rf"^## {title}\n(.*?)^## ", README, re.S | re.M)
    assert found
    return found[1]


def test_its_numbers_are_those_of_the_reports() -> None:
    lines = [line.replace("*", "") for line in REPORT.splitlines()]
    rows = re.findall(r"^\| (.+?) \| ([\d–*].*) \|$", section("What it finds"), re.M)  # noqa: RUF001
    assert len(rows) == 20
    for name, numbers in rows:
        cells = numbers.replace("*", "").split(" | ")
        triples = [" | ".join(cells[at : at + 3]) for at in (0, 3)]  # of each data set
        told = [f"| {triple} |" for triple in triples if triple[0].isdigit()]
        told += [f"| {cell} |" for cell in cells[6:] if cell[0].isdigit()]  # the paper's
        assert told, name
        assert any(all(each in line for each in told) for line in lines), name


def test_the_profile_s_numbers_are_those_of_the_reports() -> None:
    told = re.search(r"NAT (\S+), labels (\S+), untrained (\S+) %", EMBEDDED.read_text())
    assert told
    assert [float(number) for number in told.groups()] == [
        round(METRICS[f"{method}_mlp"], 1) for method in ("nat", "labels", "random")
    ]


def test_nothing_is_left_to_fill_in() -> None:
    for file in (PROJECT / "README.md", *PROJECT.glob("*/*.md")):
        assert "@@" not in file.read_text(), file


def test_its_links_lead_somewhere() -> None:
    for file in (PROJECT / "README.md", *PROJECT.glob("*/*.md")):
        for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", file.read_text()):
            assert (file.parent / link).exists() or "://" in link, (file, link)


def test_the_files_that_it_names_exist() -> None:
    named = re.findall(
        r"`((?:nat|tests|profiles|stages|reports|docs|benchmarks)/[\w./-]+)`", README
    )
    assert named
    for name in named:
        assert (PROJECT / name).exists(), name
