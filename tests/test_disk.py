"""Commands whose disk is full, read-only, limited or another's. Many more: benchmarks/disk.py."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Limits, command
from contents import contents
from disks import PAGE, Bench, Trouble, cannot_be_another, cannot_mount, modes, small_disk
from recipes import recipes
from tiny import EMBEDDED, PROJECT

from nat.cli import main

RECIPES = recipes("disks")
STATEFUL = [name for name, recipe in RECIPES.items() if recipe.state]
mounted = pytest.mark.skipif(cannot_mount() is not None, reason=cannot_mount() or "")
another = pytest.mark.skipif(cannot_be_another() is not None, reason=cannot_be_another() or "")


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    folder = Path(tempfile.mkdtemp(prefix="nat-"))  # others may not look into pytest's folders
    yield Bench(folder)
    shutil.rmtree(folder)


@pytest.fixture(params=RECIPES)
def name(request: pytest.FixtureRequest) -> str:
    if "parquet" in request.param:
        pytest.importorskip("pyarrow")
    return request.param


def sizes(bench: Bench, name: str) -> list[int]:
    """Bytes of the outputs' files."""
    whole = bench.whole(name)
    return [(whole / file).stat().st_size for file in modes(whole, RECIPES[name])]


def fails(bench: Bench, name: str, trouble: Trouble) -> None:
    done, wrong = bench.try_out(name, trouble)
    assert not wrong
    assert done.code == 1


def test_every_command_is_tried() -> None:
    tried = {word for recipe in RECIPES.values() for word in recipe.words[:2]}
    names = {n for name, sub in main.commands.items() for n in getattr(sub, "commands", [name])}
    assert names - {"lanes"} <= tried  # which writes nothing but what these stages do


def test_a_full_disk(bench: Bench, name: str) -> None:
    needed = max(sizes(bench, name))
    if cannot_mount():
        fails(bench, name, Trouble("size", needed // 2))
    elif RECIPES[name].data:
        # more than a store needs, so that it is begun
        before, after = bench.earlier(name), bench.whole(name)
        new = [after / file for file in contents(after).keys() - contents(before).keys()]
        needed = sum(-(-file.stat().st_size // PAGE) * PAGE for file in new if file.is_file())
        fails(bench, name, Trouble("full", needed - PAGE))
    else:
        fails(bench, name, Trouble("full", needed // 2 // PAGE * PAGE, "scratch"))


def test_an_output_in_the_working_folder_is_named(tmp_path: Path) -> None:
    words = ["check", "--params", EMBEDDED, "--out", "checked"]
    done = command(tmp_path, *words, limits=Limits(largest=1))
    assert done.code == 1
    assert re.fullmatch(r"error: (/.*/)?checked: File too large.*\n", done.err)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", STATEFUL)
def test_a_full_scratch(bench: Bench, name: str) -> None:
    fails(bench, name, Trouble("size" if cannot_mount() else "full", PAGE // 8, "outs"))


@pytest.mark.parametrize("name", ["prepare-voc", "pretrain", "export", "embed"])
def test_a_limit_of_a_files_size(bench: Bench, name: str) -> None:
    """RLIMIT_FSIZE stands in for it: files fail to grow just so."""
    fails(bench, name, Trouble("size", max(sizes(bench, name)) // 2))


def test_a_image_that_lacks_its_last_bytes(bench: Bench) -> None:
    """Pillow does not notice when the system takes less than it was given."""
    largest = max(file.stat().st_size for file in bench.whole("prepare-voc").rglob("*.jpg"))
    fails(bench, "prepare-voc", Trouble("size", largest - 10))


@mounted
def test_a_read_only_disk(bench: Bench, name: str) -> None:
    fails(bench, name, Trouble("read-only"))


@mounted
@pytest.mark.parametrize("name", STATEFUL)
def test_a_read_only_scratch(bench: Bench, name: str) -> None:
    fails(bench, name, Trouble("read-only", spares="outs"))


@another
def test_a_folder_without_permission(bench: Bench, name: str) -> None:
    fails(bench, name, Trouble("forbidden"))


@another
@pytest.mark.parametrize("name", STATEFUL)
def test_a_scratch_without_permission(bench: Bench, name: str) -> None:
    fails(bench, name, Trouble("forbidden", spares="outs"))


def test_others_may_read_outputs_as_the_umask_says(bench: Bench, name: str) -> None:
    recipe = RECIPES[name]
    written = modes(bench.whole(name), recipe)
    assert set(written.values()) == {0o644}
    if not recipe.given:
        assert set(modes(bench.earlier(name), recipe).values()) == {0o664}
    folders = [p for p in bench.earlier(name).rglob("*") if p.is_dir()]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} <= {0o775}


@pytest.mark.parametrize("name", [n for n, r in RECIPES.items() if "--out" in r.words])
def test_a_device_is_no_output(bench: Bench, name: str, tmp_path: Path) -> None:
    device = Path("/dev/full")
    if os.geteuid() == 0:  # who could replace it
        device = tmp_path / "full"
        try:
            os.mknod(device, stat.S_IFCHR | 0o666, os.makedev(1, 7))
        except OSError as error:
            pytest.skip(f"no device can be made: {error}")
    words = RECIPES[name].line(bench.inputs, tmp_path / "disk", tmp_path / "scratch")
    words[words.index("--out") + 1] = str(device)
    done = command(tmp_path, *words)
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith(f"error: {device}")
    assert stat.S_ISCHR(device.stat().st_mode)


SEVERAL = {  # commands that put files into a folder beside others, and some of the files
    "report": ("metrics.json", "README.md", "index.html", "results.csv", "figures/figure1.png"),
}


@pytest.mark.parametrize(
    "name", [n for n, r in RECIPES.items() if "--out" in r.words and n not in SEVERAL]
)
def test_what_another_wrote_is_not_replaced(bench: Bench, name: str, tmp_path: Path) -> None:
    """A mistyped --out: the working folder, a folder of data, a file of one's own."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    (tmp_path / "notes.npy").write_text("months of work")
    before = contents(tmp_path)
    words = RECIPES[name].line(bench.inputs, tmp_path / "disk", tmp_path / "scratch")
    for out in ("", ".", "..", "thesis", "notes.npy"):
        words[words.index("--out") + 1] = out
        done = command(tmp_path, *words)
        assert done.code == 1, out
        assert done.err.splitlines()[-1].startswith("error: "), out
        assert {name: found for name, found in contents(tmp_path).items() if name in before} == (
            before
        ), out


@pytest.mark.parametrize("name", SEVERAL)
def test_reports_leave_files_of_others(bench: Bench, name: str, tmp_path: Path) -> None:
    """``nat report --out .`` in a project that has a README.md."""
    words = RECIPES[name].line(bench.inputs, tmp_path / "disk", tmp_path / "scratch")
    for number, file in enumerate(SEVERAL[name]):
        path = tmp_path / str(number) / file
        path.parent.mkdir(parents=True)
        path.write_text("# A README of one's own\n")
        before = contents(tmp_path)
        words[words.index("--out") + 1] = str(number)
        done = command(tmp_path, *words)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"error: {number}/{file}: exists and is not ")
        assert contents(tmp_path) == before


def test_printing_to_a_full_disk(bench: Bench, tmp_path: Path) -> None:
    words = RECIPES["proposals"].line(bench.inputs, tmp_path, tmp_path / "scratch")
    for line in (["profile", "--list"], words):
        done = command(PROJECT, *line, limits=Limits(output=Path("/dev/full")))
        assert (done.code, done.err) == (1, "error: No space left on device\n")
    assert (tmp_path / "proposals" / "summary.json").exists()


@mounted
def test_a_home_and_a_temporary_folder_without_room(bench: Bench, tmp_path: Path) -> None:
    """Figures are drawn though matplotlib cannot keep what it knows of fonts."""
    home = tmp_path / "home"
    home.mkdir()
    words = RECIPES["report"].line(bench.inputs, tmp_path, tmp_path / "scratch")
    with small_disk(home):
        subprocess.run(["mount", "-o", "remount,size=4k", home], check=True)
        (home / "full").write_bytes(bytes(4096))
        environment = {"HOME": str(home), "TMPDIR": str(home), "PATH": os.environ["PATH"]}
        environment |= {"PYTHONPATH": str(PROJECT)}
        done = subprocess.run(
            [sys.executable, "-m", "nat", *words], env=environment, cwd=tmp_path,
            capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reports/figures/figure1.png").exists()
