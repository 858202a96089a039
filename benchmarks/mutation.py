"""Break the method on purpose, one fault at a time: does a test notice?

    python benchmarks/mutation.py --out benchmarks/mutation.csv

The faults are in faults.toml: by file and name the text that is replaced, by what, and the tests of
that code, run in turn until one fails. Each is made in a copy of the project in a temporary folder,
so that the project's own files are never touched. The test that fails has to pass without any
fault. A row a fault: ``killed`` and by which test, or ``survived``; with what faults.toml has to
say of one that changes no number. Exits with 1 if another one survived.
"""

import csv
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import click
import pytest

PROJECT = Path(__file__).parents[1]
FAULTS = Path(__file__).with_name("faults.toml")
COPIED = (
    "nat", "tests", "profiles", "stages", ".dvc", ".dvcignore", "dvc.yaml", "dvc.lock",
    "params.yaml", "pyproject.toml",
)  # fmt: skip
LEFT_OUT = ("__pycache__", "cache", "tmp")
PRELOADED = (
    "torch", "torchvision.ops", "scipy.optimize", "scipy.stats", "scipy.ndimage", "sklearn.metrics",
    "sklearn.neighbors", "hypothesis", "pydantic", "safetensors.torch", "ruamel.yaml", "cv2",
)  # fmt: skip
LONGEST = 300  # seconds of a fault's tests, after which it counts as noticed: a loop without end
GRACE = 30  # seconds to end in, after the first failure


@dataclass(frozen=True)
class Fault:
    """A change to the code that a test should notice."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    judged: str = ""

    def fits(self) -> bool:
        """Whether the project's code has the text once."""
        return (PROJECT / self.file).read_text().count(self.old) == 1


@dataclass(frozen=True)
class Outcome:
    """What became of a fault, a row of the CSV."""

    fault: str
    file: str
    outcome: str
    by: str
    judged: str


COLUMNS = [field.name for field in fields(Outcome)]


def faults() -> list[Fault]:
    """Those of faults.toml."""
    return [
        Fault(name, group["file"], tests=tuple(group["tests"]), **fault)
        for group in tomllib.loads(FAULTS.read_text())["group"]
        for name, fault in group["faults"].items()
    ]


def copied(folder: Path) -> None:
    """A copy of what tests need."""
    for name in COPIED:
        if (PROJECT / name).is_dir():
            ignored = shutil.ignore_patterns(*LEFT_OUT)
            shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(PROJECT / name, folder / name)


class First:
    """A plugin of pytest that tells of the first failure."""

    def __init__(self, told: Connection) -> None:
        self.told, self.silent = told, True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test, or what is around it, has failed."""
        self._tell(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file of tests cannot be imported."""
        self._tell(report)

    def _tell(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.failed and self.silent:
            self.told.send(report.nodeid)
            self.silent = False


def tried(tests: list[str], folder: Path, told: Connection) -> None:
    """Run the copy's tests in this process, which has what they need but the project itself."""
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    os.environ["PYTHONPATH"] = str(folder)
    # a file that changes twice in a second may be taken for its old bytecode
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until this process ends
    first, words = First(told), ["-x", "--tb=no", "--hypothesis-seed=0", "-pno:cacheprovider"]
    code = pytest.main([*words, *tests], [first])
    if first.silent:
        told.send("" if code == pytest.ExitCode.OK else f"pytest ends with {code!r}")


def failed(tests: Iterable[str], folder: Path, longest: float | None = None) -> str:
    """The first of ``tests`` that fails in the copy, or ""; ``longest`` in seconds."""
    fork = get_context("fork")
    heard, told = fork.Pipe(duplex=False)
    process = fork.Process(target=tried, args=(list(tests), folder, told))
    process.start()
    told.close()
    try:
        return heard.recv() if heard.poll(longest) else f"more than {longest} s"
    except EOFError:
        return "the process ended"
    finally:
        process.join(GRACE)
        process.kill()


def outcomes(chosen: list[Fault], folder: Path) -> Iterator[Outcome]:
    """Try the faults one after the other in the copy ``folder``."""
    sound = set()  # tests that pass without any fault
    for fault in chosen:
        path = folder / fault.file
        right = path.read_text()
        path.write_text(right.replace(fault.old, fault.new))
        by = failed(fault.tests, folder, LONGEST)
        path.write_text(right)
        if "::" in by and by not in sound:
            if failed([by], folder):
                sys.exit(f"{by} fails without any fault")
            sound.add(by)
        yield Outcome(
            fault.name, fault.file, "killed" if by else "survived", by, fault.judged.strip()
        )


def write(out: Path, rows: list[dict[str, str]], order: list[str]) -> None:
    """The CSV: these rows, and those of faults that were not tried now, as they were."""
    found = {row["fault"]: row for row in rows}
    if out.exists():
        with open(out, newline="") as file:
            found = {row["fault"]: row for row in csv.DictReader(file)} | found
    with open(out, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(found[name] for name in order if name in found)


@click.command()
@click.option("--fault", "names", multiple=True, help="Of faults.toml; all by default.")
@click.option("--out", type=click.Path(path_type=Path), help="CSV; rows of others stay.")
def main(names: tuple[str, ...], out: Path | None) -> None:
    every = faults()
    unknown = set(names) - {fault.name for fault in every}
    if unknown:
        raise click.UsageError(f"{', '.join(sorted(unknown))}: not in {FAULTS.name}")
    astray = [f"{fault.name} ({fault.file})" for fault in every if not fault.fits()]
    if astray:
        sys.exit(f"{FAULTS.name}: text that the code has not just once: {', '.join(astray)}")
    chosen = [fault for fault in every if not names or fault.name in names]
    os.environ["OMP_NUM_THREADS"] = "1"
    for package in PRELOADED:  # once, as it takes longer than most tests
        import_module(package)
    with tempfile.TemporaryDirectory(prefix="mutation-") as root:
        folder = Path(root)
        copied(folder)
        print(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}")
        rows = []
        for row in outcomes(chosen, folder):
            rows.append(asdict(row))
            print(f"| {' | '.join(rows[-1].values())} |", flush=True)
    killed = sum(row["outcome"] == "killed" for row in rows)
    print(f"\n{killed} of {len(rows)} faults were noticed")
    if out:
        write(out, rows, [fault.name for fault in every])
    sys.exit(any(row["outcome"] == "survived" and not row["judged"] for row in rows))


if __name__ == "__main__":
    main()
