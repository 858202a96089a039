import errno
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as drawn

from nat.runtime.errors import UserError
from nat.runtime.io import arrays
from nat.runtime.io.arrays import open_archive, open_array

KINDS = {"float32": ("n", "d"), "int64": ("n",)}


def header(text: str, version: bytes = b"\1\0") -> bytes:
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text.encode()


def described(shape: str, dtype: str = "<f4", fortran: bool = False) -> bytes:
    return header(f"{{'descr': '{dtype}', 'fortran_order': {fortran}, 'shape': {shape}}}\n")


def refusal(path: Path) -> str:
    with pytest.raises(UserError, match=r"a\.npy: ") as caught:
        open_array(path, KINDS, "array", "make it again", mode="r")
    with pytest.raises(UserError) as again:
        open_array(path, KINDS, "array", "make it again")
    assert str(again.value) == str(caught.value)
    assert str(caught.value).endswith("; make it again")
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("mode", [None, "r", "c"])
@pytest.mark.parametrize("array", [np.ones((3, 2), np.float32), np.arange(5)], ids=str)
def test_what_was_saved_comes_back(array: np.ndarray, mode: Any, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    found = open_array(tmp_path / "a.npy", KINDS, "array", "", mode)
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.ones((3, 2)), "float64 (3, 2) instead of float32 (n, d) or int64 (n)"),
        (np.ones((3, 2), ">f4"), ">f4 (3, 2) instead of"),
        (np.ones((3, 2, 1), np.float32), "float32 (3, 2, 1) instead of"),
        (np.asfortranarray(np.ones((3, 2), np.float32)), "its order is Fortran's instead of C's"),
        (np.array([{"a": 1}], object), "it holds objects, which are not unpickled"),
        (np.zeros(2, [("a", "i4")]), "its numbers have fields"),
        (np.zeros((0, 2), np.float32), "it is empty"),
        (np.zeros(3, "U5"), "text (3) instead of"),
    ],
)
def test_another_array_is_refused(array: np.ndarray, said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", array)
    assert said in refusal(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"no array at all", "magic"),
        (described("(3, 2)") + bytes(23), "bytes are not"),
        (described("(3, 2)") + bytes(25), "bytes are not"),
        (described(f"({10**12}, 2)") + bytes(24), "bytes are not"),
        (described(f"({2**62}, 16)"), "bytes are not"),
        (described("(-2, -3)") + bytes(24), "bytes are not"),
        (described(f"({10**9}, 0)"), f"its header says ({10**9}, 0)"),
        (described("(True, 2)") + bytes(8), "an integer is required"),
        (described("(3, 2)", dtype="<q9"), "descr is not a valid dtype descriptor"),
        (header("-" * 9000 + "1\n"), "its header cannot be read"),
        (header("(" * 9000 + "\n"), "its header cannot be read"),
        (header("{'descr': '<f4'}"), "Header does not contain the correct keys"),
        (header("", b"\2\0") + b"\xff" * 4, "its format is version 2.0 instead of 1.0"),
    ],
)
def test_a_header_that_lies_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    assert said in refusal(tmp_path / "a.npy")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "not found" in refusal(tmp_path / "a.npy")
    (tmp_path / "a.npy").mkdir()
    assert "it is no regular file" in refusal(tmp_path / "a.npy")


LAYOUT = {"a": {"int64": ("n", 2)}, "b": {"uint8": ("n",)}, "c": {"text": ()}}
ARRAYS = {"a": np.arange(6).reshape(3, 2), "b": np.arange(3, dtype=np.uint8), "c": np.array("x")}


def test_an_archive_comes_back(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **ARRAYS)
    found = open_archive(tmp_path / "a.npz", LAYOUT, "archive", "make it again")
    assert all(np.array_equal(found[name], array) for name, array in ARRAYS.items())
    empty = ARRAYS | {"a": np.zeros((0, 2), np.int64), "b": np.zeros(0, np.uint8)}
    np.savez(tmp_path / "a.npz", **empty)
    found = open_archive(tmp_path / "a.npz", LAYOUT, "archive", "make it again")
    assert found["a"].shape == (0, 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"a": None}, "no item named 'a.npy'"),
        ({"b": np.arange(4, dtype=np.uint8)}, "b: uint8 (4) instead of uint8 (3)"),
        ({"b": np.arange(3)}, "b: int64 (3) instead of uint8 (3)"),
        ({"b": np.array([None] * 3)}, "it holds objects"),
        ({"c": np.array(["x"])}, "c: text (1) instead of text ()"),
    ],
)
def test_another_archive_is_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    arrays = {name: array for name, array in (ARRAYS | change).items() if array is not None}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError) as caught:
        open_archive(tmp_path / "a.npz", LAYOUT, "archive", "make it again")
    assert said in str(caught.value)


def test_an_archive_that_unfolds_is_refused(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", **ARRAYS | {"b": np.zeros(2_000_000, np.uint8)})
    with pytest.raises(UserError, match=r"more than 1,000,000"):
        open_archive(tmp_path / "a.npz", LAYOUT, "archive", "make it again", largest=1_000_000)


def test_an_archive_whose_directory_lies_is_refused(tmp_path: Path) -> None:
    """What is unpacked is no more than the directory says, whatever follows."""
    out = io.BytesIO()
    np.save(out, np.zeros(2_000_000, np.uint8))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("b.npy", out.getvalue())
    raw = (tmp_path / "a.npz").read_bytes()
    right = len(out.getvalue()).to_bytes(4, "little")
    assert raw.count(right) == 2
    (tmp_path / "a.npz").write_bytes(raw.replace(right, (128 + 3).to_bytes(4, "little")))
    # of the 131 bytes that are unpacked, the zip module finds another checksum
    with pytest.raises(UserError, match="its header cannot be read"):
        open_archive(tmp_path / "a.npz", {"b": LAYOUT["b"]}, "archive", "make it again")


SHAPES = drawn.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)
TYPES = st.sampled_from([np.uint8, np.int64, np.float16, np.float32])


@given(array=drawn.arrays(TYPES, SHAPES), order=st.sampled_from("CF"))
def test_the_bytes_are_those_of_numpy(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, order: Any
) -> None:
    path, expected = tmp_path_factory.mktemp("a") / "a.npy", io.BytesIO()
    np.save(expected, np.ascontiguousarray(array))
    arrays.save_array(path, np.asarray(array, order=order))
    assert path.read_bytes() == expected.getvalue()


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_header_is_as_long_for_any_count(a: int, b: int) -> None:
    assert len(arrays.header((a, 7), np.float32)) == len(arrays.header((b, 7), np.float32))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_is_told_as_such() -> None:
    """np.save says "1 requested and 0 written" of the same."""
    reason = os.strerror(errno.ENOSPC)
    with pytest.raises(OSError, match=reason), open("/dev/full", "wb", buffering=0) as file:
        arrays.write_rows(file, np.ones(1))
