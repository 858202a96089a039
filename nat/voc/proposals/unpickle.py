"""Read pickles that hold nothing but numbers, texts, containers and numpy arrays of them.

A pickle is a program that may call any function it names. Here every name is looked up in a short
list of stand-ins defined in this file, everything else is refused, and not even numpy's own
reconstruction runs. Names of numpy 1 (``numpy.core``) and 2 (``numpy._core``) are both listed, and
texts written by Python 2 are read as Latin-1, so that their arrays' bytes survive.
"""

import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from nat.errors import UserError

KINDS = "biufSU"  # booleans, numbers, texts


class _Dtype:
    """Stands for numpy.dtype: a plain scalar type, or objects (a list within an array)."""

    def __init__(self, code: str, *_: object) -> None:
        self.code, self.order = code, ""

    def __setstate__(self, state: tuple) -> None:
        _, order, subtype, names, fields, *_ = state
        if subtype is not None or names is not None or fields is not None:
            raise pickle.UnpicklingError("arrays with fields are not expected here")
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"{order!r} is no order of bytes")
        self.order = order

    def get(self) -> np.dtype | None:
        """The type, None for objects."""
        if self.code[0] == "O":
            return None
        found = np.dtype(self.order + self.code)
        if found.kind not in KINDS:
            raise pickle.UnpicklingError(f"arrays of {found} are not expected here")
        return found


class _Array:
    """Stands for numpy.ndarray: collects shape, type and bytes."""

    def __init__(self, *_: object) -> None:
        self.content: Any = None

    def __setstate__(self, state: tuple) -> None:
        _, shape, dtype, fortran, data = state
        self.fill(data, dtype, shape, "F" if fortran else "C")

    def fill(self, data: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> "_Array":
        """Take the array's bytes, or its list of objects."""
        kind = dtype.get()
        if kind is None:
            self.content = list(data)
            return self
        raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
        if math.prod(shape) * kind.itemsize != len(raw):
            raise pickle.UnpicklingError("an array whose bytes do not fit its shape")
        self.content = np.frombuffer(raw, kind).reshape(shape, order="F" if order == "F" else "C")
        return self


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _from_buffer(data: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> _Array:
    return _Array().fill(data, dtype, shape, order)


def _scalar(dtype: _Dtype, data: Any) -> Any:
    content = _Array().fill(data, dtype, (1,), "C").content
    return content[0].item() if isinstance(content, np.ndarray) else content[0]


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes as {encoding!r} are not expected here")
    return text.encode("latin1")


STAND_INS: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _encode,  # how Python 3 writes bytes for Python 2
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
}
for core in ("numpy.core", "numpy._core"):
    STAND_INS[f"{core}.multiarray", "_reconstruct"] = _reconstruct
    STAND_INS[f"{core}.multiarray", "scalar"] = _scalar
    STAND_INS[f"{core}.numeric", "_frombuffer"] = _from_buffer


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """A stand-in; everything that is not listed is refused before anything is imported."""
        try:
            return STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused") from None


def read_plain_pickle(path: Path) -> Any:
    """The content of a pickle of plain data.

    Returns:
        Dicts, lists, tuples, texts, numbers and numpy arrays; arrays of objects become lists.

    Raises:
        UserError: missing, damaged, or asking for anything else, of which nothing was run.
    """
    try:
        with open(path, "rb") as file:
            return _plain(_Restricted(file, encoding="latin1").load())
    except FileNotFoundError as error:
        raise UserError(f"{path}: not found; mend `proposals` in params.yaml") from error
    except Exception as error:  # a damaged pickle fails in any way
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: not a whole pickle of plain data ({reason})") from error


def _plain(content: Any) -> Any:
    if isinstance(content, _Array):
        return _plain(content.content)
    if isinstance(content, dict):
        return {_plain(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if content is None or isinstance(content, bool | int | float | str | bytes | np.ndarray):
        return content
    raise pickle.UnpicklingError(f"holds a {type(content).__name__}")
