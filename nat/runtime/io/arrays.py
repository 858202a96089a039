"""NumPy's files, .npy and .npz: read without trusting their headers, written as the disk allows.

A header is compared with the length of its file, and with what is expected, before anything is
allocated; nothing is unpickled.

Of a full disk, NumPy's own writer into a file tells "64 requested and 0 written", or nothing where
the rest of a small array fits into the C library's buffer; and of a memory map a signal ends the
process. Written as here, it is an error that tells its cause.
"""

import io
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal
from zipfile import ZipFile

import numpy as np

from nat.runtime.io.foreign import reading

Side = int | str  # a length, or a letter for any; the same letter is the same length
Kinds = Mapping[str, tuple[Side, ...]]  # types, and the shape of each
TEXT, BYTES = "text", "bytes"  # types of texts of any length
LARGEST = 2**28  # bytes that the arrays of one compressed file may have together


def open_array(
    path: Path | str, kinds: Kinds, what: str, remedy: str, mode: Literal["r", "c"] | None = None
) -> np.ndarray:
    """Open a .npy file.

    Args:
        path: of the file.
        kinds: the types it may have, native and in C order, and their shapes, no side empty.
        what: it is, for people.
        remedy: what to do where it is not.
        mode: how to map it into memory, as ``numpy.memmap`` does; None reads it.

    Raises:
        UserError: missing, damaged, or another type or shape.
    """
    with reading(path, what, remedy), open(path, "rb") as file:
        length = file.seek(0, 2)
        file.seek(0)
        dtype, shape = _header(file, length)
        if 0 in shape:
            raise ValueError("it is empty")
        fit(_name(dtype), shape, kinds, {})
        if mode:
            return np.memmap(file, dtype, mode, file.tell(), shape)
        return np.fromfile(file, dtype).reshape(shape)


def open_archive(
    path: Path | str, layout: Mapping[str, Kinds], what: str, remedy: str, largest: int = LARGEST
) -> dict[str, np.ndarray]:
    """Read arrays of an .npz file.

    Args:
        path: of the file.
        layout: the arrays' names and, as ``open_array`` takes them, kinds; letters are the same
            length in all of them.
        what: it is, for people.
        remedy: what to do where it is not.
        largest: bytes that the arrays may have together.

    Raises:
        UserError: missing, damaged, or an array is missing, another, or too large.
    """
    with reading(path, what, remedy), ZipFile(path) as archive:
        members = {name: archive.getinfo(f"{name}.npy") for name in layout}
        # a member is never unpacked beyond the length that the archive says
        total = sum(member.file_size for member in members.values())
        if total > largest:
            raise ValueError(f"its arrays have {total:,} bytes, more than {largest:,}")
        sizes: dict[str, int] = {}
        found = {}
        for name, member in members.items():
            with archive.open(member) as file:
                dtype, shape = _header(file, member.file_size)
                try:
                    fit(_name(dtype), shape, layout[name], sizes)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from error
                found[name] = np.frombuffer(bytearray(file.read()), dtype).reshape(shape)
        return found


def header(shape: tuple[int, ...], dtype: Any) -> bytes:
    """What precedes an array's numbers in C order; as long for any length of the first axis."""
    out = io.BytesIO()
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    np.lib.format.write_array_header_1_0(
        out, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return out.getvalue()


def write_rows(file: BinaryIO, rows: np.ndarray) -> None:
    """Append rows, without a copy if they lie in C order."""
    file.write(np.ascontiguousarray(rows).data)


def save_array(path: Path, array: np.ndarray) -> None:
    """Write the bytes that ``np.save`` writes of an array in C order.

    Raises:
        OSError: with its cause.
    """
    with open(path, "wb") as file:
        file.write(header(array.shape, array.dtype))
        write_rows(file, array)


def fit(kind: str, shape: tuple[int, ...], kinds: Kinds, sizes: dict[str, int]) -> None:
    """Compare an array's type and shape with what is expected.

    Args:
        kind: the type's name.
        shape: of the array.
        kinds: what is expected.
        sizes: the length that each letter stands for; those met first are added.

    Raises:
        ValueError: names both.
    """
    wanted = kinds.get(kind)
    if wanted is not None and len(wanted) == len(shape):
        known = sizes | {
            side: n for side, n in zip(wanted, shape, strict=True) if side not in sizes
        }
        if all(n == (known[side] if isinstance(side, str) else side)
               for side, n in zip(wanted, shape, strict=True)):  # fmt: skip
            sizes |= {side: n for side, n in known.items() if isinstance(side, str)}
            return
    expected = " or ".join(f"{name} {_words(sides, sizes)}" for name, sides in kinds.items())
    raise ValueError(f"{kind} {_words(shape, {})} instead of {expected}")


def _words(sides: tuple[Side, ...], sizes: dict[str, int]) -> str:
    return f"({', '.join(str(sizes.get(str(side), side)) for side in sides)})"


def _name(dtype: np.dtype) -> str:
    if dtype.kind in "US":
        return TEXT if dtype.kind == "U" else BYTES
    return dtype.name if dtype.isnative else f"{dtype.str}"


def _header(file: IO[bytes], length: int) -> tuple[np.dtype, tuple[int, ...]]:
    """Type and shape of an array, ``file`` being left where its numbers begin.

    Raises:
        ValueError: no header, objects, Fortran order, or numbers that do not end where the file
            does, ``length`` bytes from its start.
    """
    if not length:
        raise ValueError("it is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of texts that look like Python
            version = np.lib.format.read_magic(file)
            if version != (1, 0):  # others are for headers of more than 65,535 bytes
                raise ValueError(f"its format is version {version[0]}.{version[1]} instead of 1.0")
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError:
        raise
    except Exception as error:  # Python's parser; MemoryError of a text that is nested too deeply
        raise ValueError("its header cannot be read") from error
    if dtype.hasobject:
        raise ValueError("it holds objects, which are not unpickled")
    if dtype.names or dtype.subdtype:
        raise ValueError("its numbers have fields")
    if fortran:
        raise ValueError("its order is Fortran's instead of C's")
    if min(shape, default=0) < 0 or dtype.itemsize * math.prod(shape) != length - file.tell():
        raise ValueError(f"its header says {dtype} {shape}, which its {length:,} bytes are not")
    if max(shape, default=0) > length:  # of no bytes, but as many rows to go through
        raise ValueError(f"its header says {shape}")
    return dtype, shape
