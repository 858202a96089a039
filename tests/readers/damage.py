"""Damaged inputs, made of whole files."""

import gzip
import io
import json
import random
import re
import warnings
import zipfile
from contextlib import suppress
from typing import Any

import numpy as np

NUMBERS = ["-1", "0", "1", "255", "65536", "2147483648", "4294967295", "9223372036854775807"]
NUMBERS += ["18446744073709551616", "1" + "0" * 30, "9" * 5000, "1e999", "nan", "1.5", "x", ""]
VALUES: list[Any] = [None, True, -1, 0, 10**9, 10**30, 1e308, float("inf"), float("nan"), 1.5]
VALUES += ["", "x" * 1000, "\ud800", "../../x", "a\nb", [], {}, [[]] * 3, {"a": {"b": {}}}]


def damaged(content: bytes, form: str, draws: random.Random) -> bytes:
    """An input made of a whole file.

    Args:
        content: the whole file.
        form: what it is: ``json``, ``npy``, ``npz``, ``safetensors``, ``gzip``, ``text`` or
            ``bytes``; damage is done within, too, where bytes changed blindly would not reach.
        draws: decides.
    """
    kind = draws.randrange(10)
    if kind == 0:
        return bytes(draws.randrange(256) for _ in range(draws.randrange(200)))
    if kind < 4 or form in ("bytes", "text"):
        return _bytes(content, draws)
    with suppress(ValueError, KeyError, IndexError):
        return {
            "json": _json,
            "npy": _npy,
            "npz": _npz,
            "safetensors": _safetensors,
            "gzip": _gzip,
        }[form](content, draws)
    return _bytes(content, draws)


def _bytes(content: bytes, draws: random.Random) -> bytes:
    for _ in range(draws.randint(1, 3)):
        at = draws.randrange(len(content) + 1)
        # near the beginning, where headers are, as often as anywhere
        at = min(at, draws.choice([len(content), 64, 400]))
        end = min(at + draws.choice([1, 1, 2, 4, 8, 40]), len(content))
        match draws.randrange(7):
            case 0:
                content = content[:at]
            case 1:
                content = content[:at] + content[end:]
            case 2:
                content = content[:end] + content[at:end] * draws.randint(1, 20) + content[end:]
            case 3:
                patch = bytes(draws.choice([0, 1, 127, 128, 255]) for _ in range(end - at))
                content = content[:at] + patch + content[end:]
            case 4:
                patch = bytes(byte ^ (1 << draws.randrange(8)) for byte in content[at:end])
                content = content[:at] + patch + content[end:]
            case 5:
                patch = bytes(draws.randrange(256) for _ in range(draws.randint(1, 20)))
                content = content[:at] + patch + content[at:]
            case 6:
                numbers = list(re.finditer(rb"\d+", content[:5000]))
                if numbers:
                    found = draws.choice(numbers)
                    number = draws.choice(NUMBERS).encode()
                    content = content[: found.start()] + number + content[found.end() :]
    return content


def _json(content: bytes, draws: random.Random) -> bytes:
    """One of the values, however deep, is another one, is gone, or is there twice."""
    root = [json.loads(content)]
    places: list[tuple[Any, Any]] = []

    def walk(group: Any) -> None:
        for key, value in group.items() if isinstance(group, dict) else enumerate(group):
            places.append((group, key))
            if isinstance(value, dict | list):
                walk(value)

    walk(root)
    for _ in range(draws.randint(1, 2)):
        group, key = draws.choice(places)
        if draws.randrange(4) or group is root:
            with suppress(KeyError, IndexError):
                group[key] = draws.choice(VALUES)
        elif isinstance(group, dict):
            group.pop(key, None)
            group[draws.choice(["", "x", "size", "1"])] = draws.choice(VALUES)
        else:
            group.append(group[key] if key < len(group) else None)
    return json.dumps(root[0]).encode()


def _npy(content: bytes, draws: random.Random) -> bytes:
    """Another header of the right length, or another array."""
    length = int.from_bytes(content[8:10], "little")
    header, rest = content[10 : 10 + length], content[10 + length :]
    if draws.randrange(2):
        types = [b"|u1", b"<f4", b">i8", b"<i8", b"|O", b"<U5", b"|V8", b"<f2", b"|b1", b"<M8[s]"]
        header = re.sub(rb"'descr': '[^']*'", b"'descr': '%s'" % draws.choice(types), header)
    if draws.randrange(2):
        sides = [draws.choice([0, 1, 2, 6, 7, -1, 2**31, 10**12, 2**63]) for _ in range(4)]
        shape = repr(tuple(sides[: draws.randrange(5)])).encode()
        header = re.sub(rb"'shape': \([^)]*\)", b"'shape': " + shape, header)
    if draws.randrange(3) == 0:
        header = header.replace(b"False", b"True")
    if draws.randrange(3) == 0:
        header = _bytes(header, draws)
    if draws.randrange(3) == 0:
        rest = _bytes(rest, draws)
    return content[:8] + (len(header) % 2**16).to_bytes(2, "little") + header + rest


def _npz(content: bytes, draws: random.Random) -> bytes:
    """One of the arrays is damaged, gone, or has another name; checksums are right."""
    out = io.BytesIO()
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(out, "w") as new,
    ):
        warnings.simplefilter("ignore")  # of a name that is there twice
        chosen = draws.choice(old.namelist())
        for name in old.namelist():
            array = old.read(name)
            if name == chosen:
                match draws.randrange(6):
                    case 0:
                        continue
                    case 1:
                        name = draws.choice(["x.npy", "../x.npy", "", "facts.npy"])
                    case 2 | 3 if b"'<U" in array:  # JSON in it
                        text = _json(str(np.load(io.BytesIO(array))).encode(), draws).decode()
                        array = _saved(np.array(text))
                    case _:
                        array = _npy(array, draws)
            new.writestr(name, array, draws.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    return out.getvalue()


def _saved(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def _safetensors(content: bytes, draws: random.Random) -> bytes:
    """Another header of the right length, or another number."""
    end = 8 + int.from_bytes(content[:8], "little")
    header, rest = content[8:end], content[end:]
    match draws.randrange(4):
        case 0:
            header = _json(header, draws)
        case 1:  # the description within
            about = json.loads(header)
            (key,) = about["__metadata__"]
            about["__metadata__"][key] = _json(about["__metadata__"][key].encode(), draws).decode()
            header = json.dumps(about).encode()
        case 2:
            header = re.sub(rb"\d+", lambda m: draws.choice([m[0], m[0], m[0], b"7"]), header)
        case 3:
            at = 4 * draws.randrange(max(len(rest) // 4, 1))
            number = draws.choice([np.nan, np.inf, -1, 1e38])
            rest = rest[:at] + np.float32(number).tobytes() + rest[at + 4 :]
    return len(header).to_bytes(8, "little") + header + rest


def _gzip(content: bytes, draws: random.Random) -> bytes:
    return gzip.compress(_bytes(gzip.decompress(content), draws))
