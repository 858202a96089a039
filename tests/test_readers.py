"""Whatever is in a file from outside, its reader reads it or refuses it in one line."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from readers.damage import damaged
from readers.table import NEVER_WHOLE, READERS, Reader, outcome
from tiny import PROJECT

EXAMPLES = 12
SECONDS = 1.0  # readers that take longer are left to benchmarks/fuzz.py, but for a few inputs


@pytest.fixture(scope="module")
def wholes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, bytes]]:
    """A folder with whole files for each reader, and the content of the one to be damaged."""
    found = {}
    for reader in READERS:
        folder = tmp_path_factory.mktemp("reader")
        reader.write(folder)
        found[reader.name] = folder, (folder / reader.file).read_bytes()
    return found


def test_names_are_different() -> None:
    assert len({reader.name for reader in READERS}) == len(READERS)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_whole_file_is_read(reader: Reader, wholes: dict[str, tuple[Path, bytes]]) -> None:
    folder, content = wholes[reader.name]
    said = outcome(reader, folder, content)
    assert ("MD5" in said or "checksum" in said) if reader.name in NEVER_WHOLE else said == ""


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_damaged_file_is_read_or_refused(
    reader: Reader, wholes: dict[str, tuple[Path, bytes]]
) -> None:
    folder, content = wholes[reader.name]

    @settings(
        max_examples=EXAMPLES if reader.seconds < SECONDS else 2,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(draws=st.randoms(use_true_random=False))
    def check(draws: random.Random) -> None:
        outcome(reader, folder, damaged(content, reader.form, draws))

    try:
        check()
    finally:
        (folder / reader.file).write_bytes(content)


BOMBED = """
import pathlib, resource, sys, tempfile, traceback
from readers.bombs import bombs
from readers.table import READERS, outcome
pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + int(sys.argv[1]),) * 2)
tried = 0
for reader in READERS:
    if reader.seconds > 1:
        continue
    with tempfile.TemporaryDirectory() as folder:
        reader.write(pathlib.Path(folder))
        for name, content in bombs(reader.form):
            print(f"{reader.name}: {name}", file=sys.stderr)
            outcome(reader, pathlib.Path(folder), content)
            tried += 1
print(tried)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the system bounds no memory")
def test_a_small_file_takes_little_memory() -> None:
    """All readers in one process that may take 256 MB beyond its libraries."""
    done = subprocess.run(
        [sys.executable, "-c", BOMBED, str(2**28)],
        cwd=PROJECT / "tests",
        # one arena of memory: each thread's own would reserve, not take, 64 MB of addresses
        env={
            "PYTHONPATH": str(PROJECT),
            "OMP_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "1",
            "PATH": "",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 10 * len(READERS) / 2
