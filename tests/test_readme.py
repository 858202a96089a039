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
    rows = re.findall(r"^\| (.+?) \| (\d.*?) \|$", section("What it finds"), re.M)
    assert len(rows) == 15
    for name, numbers in rows:
        assert f"| {numbers} |" in REPORT, name


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
