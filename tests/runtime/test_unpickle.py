"""What a pickle may hold, and what one may cost. That it runs nothing: see test_proposals_files."""

import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import PROJECT

from nat.runtime.io.unpickle import plain

texts = st.text(st.characters(max_codepoint=255))
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | texts
    | st.binary(min_size=1, max_size=600)
)
contents = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.dictionaries(texts | st.integers(), inner),
    max_leaves=12,
)


@given(contents, st.integers(0, 5))
def test_plain_content_comes_back(content: Any, protocol: int) -> None:
    assert plain(pickle.dumps(content, protocol)) == content


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_both_numpys_come_back(protocol: int) -> None:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    new = pickle.dumps({"a": [array, array.T, np.int64(7)]}, protocol=protocol)
    for content in (new, new.replace(b"numpy._core", b"numpy.core")):
        if protocol < 4 or content == new:  # whose frames have lengths
            a, turned, number = plain(content)["a"]
            assert np.array_equal(a, array)
            assert np.array_equal(turned, array.T)
            assert number == 7


def test_an_ordered_dict_comes_back() -> None:
    assert plain(pickle.dumps(OrderedDict(a=1, b=[2]))) == {"a": 1, "b": [2]}
    python_2 = b"ccollections\nOrderedDict\n((lp0\n(lp1\nS'a'\naI1\naatR."
    assert plain(python_2) == pickle.loads(python_2) == {"a": 1}


def test_what_plain_data_does_not_need_is_refused() -> None:
    pairs = b"".join(b"(lp%d\nI%d\naNaa" % (number, number) for number in range(1, 301))
    with pytest.raises(pickle.UnpicklingError, match="an OrderedDict of too many pairs"):
        plain(b"ccollections\nOrderedDict\n((lp0\n" + pairs + b"tR.")
    with pytest.raises(ValueError, match="it takes what is not there"):
        plain(b"}(NNs.")  # what is before a mark


def test_texts_of_python_2_keep_their_bytes() -> None:
    assert plain(b"U\x03a\xe9b.") == "a\xe9b"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (np.zeros(2, [("a", "f4")]), "arrays with fields"),
        (np.array(["2020-01-01"], "M8[D]"), "arrays of datetime64 are not expected"),
        (np.zeros(2, complex), "arrays of complex128 are not expected"),
        (np.bytes_(b"x" * 300), "a number of too many bytes"),
    ],
)
def test_arrays_of_other_kinds_are_refused(content: Any, told: str) -> None:
    with pytest.raises(pickle.UnpicklingError, match=told):
        plain(pickle.dumps({"a": content}))


def test_long_files_are_not_refused() -> None:
    boxes = [np.ones((100, 4), np.float32) for _ in range(500)]
    for protocol in range(6):
        assert len(plain(pickle.dumps({"boxes": boxes}, protocol))["boxes"]) == 500


TEXT = b"\x8c\xc0" + b"x" * 0xC0  # which uses itself up: no bomb by itself
BYTES = b"B" + (10**6).to_bytes(4, "little") + b"x" * 10**6
LATIN = b"X" + (10**6).to_bytes(4, "little") + b"x" * 10**6
SAY = b"\x8c\x07_codecs\x8c\x06encode\x93q\x00\x8c\x06latin1q\x01"
DEEP = b")" + b"\x85" * 10**6
BOMBS = {
    "a place in memory": b"\x80\x02Nr\xff\xff\xff\x0f.",
    "a place in memory, as text": b"Np268435455\n.",
    "bytes of a given length": b"\x80\x05\x8e" + (2**40).to_bytes(8, "little") + b"x.",
    "a bytearray of a given length": b"\x80\x05\x96" + (2**34).to_bytes(8, "little") + b"x.",
    "a text of a given length": b"\x80\x05\x8d" + (2**40).to_bytes(8, "little") + b"x.",
    "a frame of a given length": b"\x80\x05\x95" + (2**34).to_bytes(8, "little") + b"N.",
    "a number of a given length": b"\x80\x02\x8b\xff\xff\xff\x7f\x01.",
    "a deep key": b"}" + DEEP + b"Ns.",
    "a deep key of several": b"}(" + DEEP + b"Nu.",
    "a deep key of a dict": b"(" + DEEP + b"Nd.",
    "a deep key by memory": b"}" + DEEP + b"q\x00" + b"N0h\x00Ns.",
    "a wide key": b"})" + b"2\x86" * 60 + b"Ns.",
    "a wide key by memory": b"})q\x00" + b"h\x00\x86q\x00" * 60 + b"Ns.",
    "a wide entry of a set": b"\x80\x04\x8f()" + b"q\x00h\x00\x86" * 60 + b"\x90.",
    "a deep list": b"]" * 10**5 + b"a" * (10**5 - 1) + b".",
    "a text encoded often": b"\x80\x04" + SAY + LATIN + b"q\x020(" + b"h\x00h\x02h\x01\x86R" * 5000
    + b"l.",
    "an empty array of many rows": b"\x80\x04\x8c\x13numpy._core.numeric\x8c\x0b_frombuffer\x93"
    b"(C\x00\x8c\x05numpy\x8c\x05dtype\x93\x8c\x02f4\x85R(K\x03\x8c\x01<NNNJ\xff\xff\xff\xff"
    b"J\xff\xff\xff\xffK\x00tbJ\x00\x00\x00\x40K\x00\x86\x8c\x01CtR.",
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_small_pickle_takes_little(bomb: str, tmp_path: Path) -> None:
    """In a process that may take 100 MB; some of these would end it if they were unpickled."""
    (tmp_path / "p.pkl").write_bytes(BOMBS[bomb])
    code = (
        "import pathlib, resource, sys; from nat.runtime.io.unpickle import plain\n"
        "pages = int(pathlib.Path('/proc/self/statm').read_text().split()[0])\n"
        "resource.setrlimit(resource.RLIMIT_AS, (pages * 4096 + 10**8,) * 2)\n"
        "try: plain(pathlib.Path(sys.argv[1]).read_bytes())\n"
        "except MemoryError: raise\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "p.pkl")],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-500:]
    assert done.stdout.strip()
