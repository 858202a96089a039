"""Read pickles that hold nothing but numbers, texts, containers and numpy arrays of them.

A pickle is a program that may call any function it names, and set its attributes. Here every name
is looked up in a short list of stand-ins defined in this file, which can be called and nothing
else; everything else is refused, and not even numpy's own reconstruction runs. Before any of it
runs, its instructions are looked through for what would take memory or time beyond the file's own
size. What a pickle holds several times is read once and counted as often, so that a small file
cannot unfold to a large one.
Names of numpy 1 (``numpy.core``) and 2 (``numpy._core``) are both listed, and texts written by
Python 2 are read as Latin-1, so that their arrays' bytes survive.
"""

import io
import math
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nat.runtime.io.foreign import reading

KINDS = "biufSU"  # booleans, numbers, texts
REPEATED = 2**24  # values that any file may hold; a larger file as many as it has bytes
SHORT = 256  # bytes of a text that may be used again, and of a number
NOT_PLAIN = ("DUP", "EMPTY_SET", "ADDITEMS", "FROZENSET", "PERSID", "BINPERSID", "NEXT_BUFFER")
LABELS = {"int", "int_or_bool", "bool", "float", "str", "bytes", "bytes_or_str", "None"}  # as keys
LONG = "a long text"


class _StandIn:
    """A function that a pickle may call, but whose attributes it cannot set for the next one."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setattr__(self, name: str, _: object) -> None:
        raise pickle.UnpicklingError(f"it sets {name!r} of a function")


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
            if not isinstance(data, list):
                raise pickle.UnpicklingError("an array of objects without a list")
            self.content = data
            return self
        # an empty array may have rows, to go through, but not many
        if math.prod(shape) * kind.itemsize != len(data) or max(shape, default=0) > SHORT + len(
            data
        ):
            raise pickle.UnpicklingError("an array whose bytes do not fit its shape")
        raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
        self.content = np.frombuffer(raw, kind).reshape(shape, order="F" if order == "F" else "C")
        return self


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _from_buffer(data: Any, dtype: _Dtype, shape: tuple[int, ...], order: str) -> _Array:
    return _Array().fill(data, dtype, shape, order)


def _scalar(dtype: _Dtype, data: Any) -> Any:
    if len(data) > SHORT:
        raise pickle.UnpicklingError("a number of too many bytes")
    content = _Array().fill(data, dtype, (1,), "C").content
    return content[0].item() if isinstance(content, np.ndarray) else content[0]


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes as {encoding!r} are not expected here")
    return text.encode("latin1")


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    """Python 2's pickles name the pairs; Python 3's add them afterwards."""
    if len(pairs) > SHORT:
        raise pickle.UnpicklingError("an OrderedDict of too many pairs")
    if any(not isinstance(key, str | int) for key, _ in pairs):
        raise pickle.UnpicklingError("an OrderedDict with keys that are no texts or numbers")
    return OrderedDict(pairs)


STAND_INS: dict[tuple[str, str], _StandIn] = {
    ("collections", "OrderedDict"): _StandIn(_ordered),
    ("_codecs", "encode"): _StandIn(_encode),  # how Python 3 writes bytes for Python 2
    ("numpy", "ndarray"): _StandIn(_Array),
    ("numpy", "dtype"): _StandIn(_Dtype),
}
for core in ("numpy.core", "numpy._core"):
    STAND_INS[f"{core}.multiarray", "_reconstruct"] = _StandIn(_reconstruct)
    STAND_INS[f"{core}.multiarray", "scalar"] = _StandIn(_scalar)
    STAND_INS[f"{core}.numeric", "_frombuffer"] = _StandIn(_from_buffer)


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """A stand-in; everything that is not listed is refused before anything is imported."""
        try:
            return STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused") from None


def read_plain_pickle(path: Path, remedy: str) -> Any:
    """The content of a pickle of plain data.

    Args:
        path: of the file.
        remedy: what to do where it is missing or something else.

    Returns:
        As ``plain``.

    Raises:
        UserError: missing, damaged, or asking for anything else, of which nothing was run.
    """
    with reading(path, "whole pickle of plain data", remedy):
        return plain(path.read_bytes())


def plain(content: bytes) -> Any:
    """The content of a pickle.

    Returns:
        Dicts, lists, tuples, texts, numbers and numpy arrays; arrays of objects become lists.

    Raises:
        Exception: of any kind: damaged, or asking for anything else, of which nothing was run.
    """
    look_through(content)
    found = _Restricted(io.BytesIO(content), encoding="latin1").load()
    return _Plain(max(len(content), REPEATED)).of(found)[0]


def look_through(content: bytes) -> None:
    """Read a pickle's instructions without following them.

    pickletools checks that every length is within the content. Beyond it: a pickle's memory is as
    long as its highest place, which need not be larger than the number of instructions; copies of a
    long text would be made again and again; and keys that are tuples of tuples take Python for ever
    to hash, or end it.

    Raises:
        ValueError: one of these, or no pickle.
    """
    stack: list[str] = []  # the type of each value, LONG of a long text
    marks: list[int] = []  # how long the stack was at each MARK
    memory: dict[int, str] = {}
    word: Any
    for count, (step, word, _) in enumerate(pickletools.genops(content)):
        name, taken = step.name, [kind.name for kind in step.stack_before]
        if name in NOT_PLAIN:
            raise ValueError(f"it has the instruction {name}, which plain data does not need")
        if name in ("MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"):
            place = len(memory) if word is None else word
            if place > count:
                raise ValueError(f"its memory has a place {place:,}, but it is shorter")
            memory[place] = stack[-1]
            continue
        items: list[str] = []
        if "mark" in taken or (name == "POP" and marks[-1:] == [len(stack)]):
            at = marks.pop()
            items, taken = stack[at:], taken[: taken.index("mark")] if "mark" in taken else []
            del stack[at:]
        elif taken:
            items = stack[-len(taken) :]
        if len(stack) - len(taken) < (marks[-1] if marks else 0):
            raise ValueError("it takes what is not there")
        keys = {"SETITEM": items[1:2], "SETITEMS": items[::2], "DICT": items[::2]}.get(name, [])
        if not LABELS.issuperset(keys):
            raise ValueError("it has keys that are no texts or numbers")
        del stack[len(stack) - len(taken) :]
        if name == "MARK":
            marks.append(len(stack))
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            if memory[word] == LONG:
                raise ValueError("it uses a long text again")
            stack.append(memory[word])
        else:
            long = isinstance(word, str | bytes | bytearray) and len(word) > SHORT
            stack += [LONG if long else kind.name for kind in step.stack_after]


class _Plain:
    """Turns what was unpickled into plain content, each object once however often it is there."""

    def __init__(self, limit: int) -> None:
        """``limit`` is how many values the whole may have, repeated ones counted as often."""
        self.limit = limit
        self.known: dict[int, tuple[Any, int]] = {}

    def of(self, content: Any) -> tuple[Any, int]:
        """Plain content, and its number of values."""
        if isinstance(content, np.ndarray):
            return content, max(content.size, 1)
        if content is None or isinstance(content, bool | int | float | str | bytes):
            return content, 1
        if id(content) not in self.known:
            found, count = self._converted(content)
            if count > self.limit:
                raise pickle.UnpicklingError("it repeats its content too often")
            self.known[id(content)] = found, count
        return self.known[id(content)]

    def _converted(self, content: Any) -> tuple[Any, int]:
        if isinstance(content, _Array):
            return self.of(content.content)
        if isinstance(content, dict):
            keys, values = self._list(content.keys()), self._list(content.values())
            return dict(zip(keys[0], values[0], strict=True)), keys[1] + values[1]
        if isinstance(content, list | tuple):
            return self._list(content)
        raise pickle.UnpicklingError(f"holds a {type(content).__name__}")

    def _list(self, content: Iterable[Any]) -> tuple[list, int]:
        each = [self.of(value) for value in content]
        return [value for value, _ in each], 1 + sum(count for _, count in each)
