"""What lies in a folder, to compare what two runs of a command leave: all but their times."""

import hashlib
import io
import re
from contextlib import suppress
from pathlib import Path

import numpy as np

# all that two equal runs may differ in
TIMES = re.compile(rb'"(seconds|images_per_second|alignment_ms)": [-+.0-9e]+')
FOLDER = ""

Contents = dict[str, str]


def contents(folder: Path) -> Contents:
    """Each file's digest, times left out, and FOLDER for each folder, by relative path."""
    return {
        path.relative_to(folder).as_posix(): FOLDER if path.is_dir() else digest(path)
        for path in sorted(folder.rglob("*"))
    }


def digest(path: Path) -> str:
    """Of a file's bytes without the times in it; an archive's arrays count, not how they lie."""
    content = path.read_bytes()
    if path.suffix == ".npz":
        with (
            suppress(Exception),  # what is damaged is compared as it is
            np.load(io.BytesIO(content), allow_pickle=False) as arrays,
        ):
            content = b"".join(_array(key, arrays[key]) for key in sorted(arrays.files))
    return hashlib.sha256(TIMES.sub(rb"\1", content)).hexdigest()


def _array(name: str, array: np.ndarray) -> bytes:
    words = str(array).encode() if array.dtype.kind == "U" else array.tobytes()
    return f"{name} {array.dtype.kind} {array.shape}".encode() + words
