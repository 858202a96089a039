"""Small files that claim to be, or unpack to, large ones."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import fields
from functools import cache

import torch
from safetensors.torch import save
from shown import detected, filters, illustration
from tiny import settings


def _deep(depth: int = 100_000) -> bytes:
    return b"[" * depth + b"]" * depth


def _npy_of(header: str, rest: bytes = b"") -> bytes:
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + rest


def _big_npz() -> bytes:
    """Arrays of half a gigabyte in half a megabyte, by the names that any reader here asks for."""
    shown = illustration(), filters(), detected()
    names = {field.name for each in shown for field in fields(each)}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(names | {"names", "offsets", "lengths"}):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(_npy_of(f"{{'descr':'|u1','fortran_order':False,'shape':({2**24},)}}"))
                for _ in range(2**4):
                    member.write(bytes(2**20))
    return out.getvalue()


def _big_header(kind: bytes) -> bytes:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 2**33 - 1
    return header.tobuf() + bytes(2**16)


def _big_network(**changes: int) -> bytes:
    about = {"model": settings()["model"] | {"hidden": changes.get("hidden", 16)}}
    about |= {"input_size": 28, "outputs": changes.get("outputs", 8), "channels": 1}
    trunk = {"format": "nat", "trunk": "alexnet", "preprocessing": "sobel", "channels": 1}
    trunk |= {"crop": changes.get("crop", 10**6)}
    meta = {"network": json.dumps(about)} if changes.get("crop") is None else {}
    return save({"x": torch.zeros(1)}, meta or {"trunk": json.dumps(trunk)})


@cache
def bombs(form: str) -> list[tuple[str, bytes]]:
    """Names and contents of small files of a form that a careless reader takes for large ones."""
    return list(_bombs(form))


def _bombs(form: str) -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    yield "zeros", bytes(10**6)
    if form in ("json", "text", "bytes"):
        yield "nested JSON", _deep()
        yield "a number of many digits", b"9" * 10**6
        yield "one line", b"x" * 10**7
        entity = b'<!ENTITY a0 "ha">' + b"".join(
            b'<!ENTITY a%d "&a%d;&a%d;">' % (i, i - 1, i - 1) for i in range(1, 40)
        )
        yield "XML entities", b"<!DOCTYPE a [" + entity + b"]><annotation>&a39;</annotation>"
        yield "XML file", b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><a>&a;</a>'
        yield "nested XML", b"<a>" * 10**6
        yield "wide XML", b"<annotation>" + b"<object/>" * 10**6 + b"</annotation>"
        for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE):
            yield f"tar header {kind!r}", _big_header(kind)
        yield "pickled place", b"\x80\x02Nr\xff\xff\xff\x0f."
        yield "pickled bytearray", b"\x80\x05\x96" + (2**34).to_bytes(8, "little") + b"x."
        yield "pickled frame", b"\x80\x05\x95" + (2**34).to_bytes(8, "little") + b"N."
        yield "pickled key", b"}" + b")" + b"\x85" * 10**6 + b"Ns."
        yield "pickled lists", b"]" * 10**5 + b"a" * (10**5 - 1) + b"."
    if form == "npy":
        for dtype in ("|u1", "<f4", "<i8", "|O", "<U9"):
            for shape in ("(1000000000000,)", "(1000000000, 4)", "(1000000000, 0)", "()"):
                header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}"
                yield f"{dtype} {shape}", _npy_of(header, bytes(8))
        yield "nested header", _npy_of("(" * 9000)
        yield "header of signs", _npy_of("-" * 9000 + "1")
        yield "long header", b"\x93NUMPY\2\0\xff\xff\xff\x7f{"
    if form == "npz":
        yield "unpacks to half a gigabyte", _big_npz()
    if form == "safetensors":
        yield "long header", (2**62).to_bytes(8, "little") + b"{}"
        yield "nested header", (2 * 10**5).to_bytes(8, "little") + _deep()
        for name in ("hidden", "outputs", "crop"):
            for value in (10**6, 10**9, 10**18):
                yield f"{name} {value}", _big_network(**{name: value})
        shape = b'{"x":{"dtype":"F32","shape":[1000000000,1000],"data_offsets":[0,4]}}'
        yield "shape", len(shape).to_bytes(8, "little") + shape + bytes(4)
    if form == "gzip":
        out = io.BytesIO()
        with gzip.open(out, "wb", compresslevel=1) as file:
            for _ in range(2**9):
                file.write(bytes(2**20))
        yield "unpacks to half a gigabyte", out.getvalue()
        yield "tar header", gzip.compress(_big_header(tarfile.XHDTYPE))
