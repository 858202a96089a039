import ast
import io
import struct
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features
from tiny import PROJECT

from nat.data import formats
from nat.data.formats import _ENDINGS, ENDINGS, FORMATS, Unreadable, decoding, opened
from nat.data.squares import read_square

SLOPE = np.arange(48, dtype=np.uint8)[None].repeat(48, 0) * 5
# An interpreter's, a system's, those that hold no image, and one that has no signature.
REFUSED = ["EPS", "PSD", "ICO", "WMF", "TGA", "PCX", "FITS", "PDF"]
POSTSCRIPT = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 48 48\n%%EndComments\n"
    b"0 0 48 48 rectfill showpage\n%%EOF\n"
)


def encode(form: str, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(SLOPE).convert("RGB").save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_named_is_read(form: str) -> None:
    options = {"lossless": True} if form == "WEBP" else {}
    found = read_square(encode(form, **options), 48, 1, True)[0].astype(int)
    assert np.abs(found - SLOPE).max() <= 4, form


def test_the_endings_are_pillows() -> None:
    Image.init()
    for form in FORMATS:
        for end in _ENDINGS[form]:
            assert Image.registered_extensions()[end] in (form, "MPO"), end
            assert end in ENDINGS
    assert not ENDINGS & {".eps", ".ps", ".pdf", ".wmf", ".tga"}


def test_only_formats_of_this_pillow_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that Pillow does not know would be a KeyError on opening."""
    assert features.check("webp")
    assert formats._available("WEBP")
    monkeypatch.delitem(features.modules, "webp")
    assert not formats._available("WEBP")
    monkeypatch.setitem(features.modules, "webp", ("PIL.nothing", None))
    assert not formats._available("WEBP")
    assert formats._available("JPEG")


def test_postscript_is_not_run_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("Ghostscript"))
    monkeypatch.setattr(EpsImagePlugin, "has_ghostscript", lambda: True)
    with Image.open(io.BytesIO(POSTSCRIPT)) as image, pytest.raises(pytest.fail.Exception):
        image.load()  # which is what Pillow would do
    (tmp_path / "x.jpg").write_bytes(POSTSCRIPT)
    with pytest.raises(Unreadable, match="no image of a known kind"):
        read_square(POSTSCRIPT, 16, 1, True)
    with pytest.raises(Unreadable, match="no image of a known kind"), opened(tmp_path / "x.jpg"):
        pass


@pytest.mark.parametrize("form", REFUSED)
def test_other_formats_are_no_images(form: str) -> None:
    assert form not in FORMATS
    if form not in ("PSD", "WMF", "FITS"):  # which Pillow does not write
        with pytest.raises(Unreadable, match="no image of a known kind"):
            read_square(encode(form), 16, 1, True)


def test_images_are_opened_in_one_place() -> None:
    """Elsewhere the formats might be forgotten."""
    for file in sorted((PROJECT / "nat").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "Image.open":
                assert file.name == "formats.py"
            if isinstance(node, ast.Name | ast.Attribute):
                assert ast.unparse(node).rpartition(".")[2] not in ("imread", "fromqimage"), file


def odd_exif() -> bytes:
    """Its rotation is sound, another entry lies behind the end."""
    entries = struct.pack(">HHI4s", 0x0112, 3, 1, b"\0\6\0\0")
    entries += struct.pack(">HHII", 0x010F, 2, 5000, 60000)
    return b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 2) + entries


def test_pillows_warnings_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode("JPEG", exif=odd_exif())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 48 * 48 - 1)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        read_square(content, 16, 1, True)
        assert not shown
        with Image.open(io.BytesIO(content)) as image:
            image.getexif()
        assert {w.category for w in shown} == {UserWarning, Image.DecompressionBombWarning}


def test_a_image_beyond_the_limit_is_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 48 * 48 // 2 - 1)
    with pytest.raises(Unreadable, match="exceeds limit"):
        read_square(encode("PNG"), 16, 1, True)


def test_a_thread_that_ends_first_leaves_the_others_quiet() -> None:
    """And the last one leaves the filters as the first found them."""
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def first() -> None:
        with decoding():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(10)
    quiet = list(warnings.filters)
    assert quiet != before
    with decoding():
        leave.set()
        thread.join()
        assert warnings.filters == quiet
    assert warnings.filters == before
    with pytest.raises(Unreadable, match="odd"), decoding():
        raise ValueError("odd")
    assert warnings.filters == before


def test_only_pillows_warnings_are_kept_back() -> None:
    with decoding(), pytest.warns(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)


@pytest.mark.parametrize(
    ("error", "said"),
    [(SyntaxError("broken\nPNG"), "broken PNG"), (struct.error(), "error"), (KeyError("x"), "'x'")],
)
def test_errors_of_every_kind_are_one(error: Exception, said: str) -> None:
    with pytest.raises(Unreadable) as caught, decoding():
        raise error
    assert str(caught.value) == said


def test_want_of_memory_is_no_fault_of_the_image() -> None:
    with pytest.raises(MemoryError), decoding():
        raise MemoryError
