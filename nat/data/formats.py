"""Which image formats are read, and how: with no other decoder, no warning, one kind of error.

Pillow takes a file for what its first bytes say, whatever its name. Left to itself it would hand a
PostScript file named ``x.jpg`` to Ghostscript, which is a programming language's interpreter.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from PIL import Image, UnidentifiedImageError, features

# Raster formats, each known by a signature, with the endings of their names. TGA has none: Pillow
# would take damaged files of other formats for it.
_ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "QOI": (".qoi",),
}
_OPTIONAL = {"WEBP": "webp", "AVIF": "avif", "JPEG2000": "jpg_2000"}  # of Pillow's builds


def _available(name: str) -> bool:
    feature = _OPTIONAL.get(name)
    known = feature in features.modules or feature in features.codecs  # to this release
    return feature is None or (known and bool(features.check(feature)))


FORMATS = tuple(name for name in _ENDINGS if _available(name))
ENDINGS = frozenset(ending for name in FORMATS for ending in _ENDINGS[name])


class Unreadable(Exception):
    """The bytes are no image, or a damaged one: one line on what is wrong."""


class _Quiet:
    """``warnings.catch_warnings`` for threads: they share the filters, so one restores them.

    Were each to restore what it found, a thread would take away the filter that another needs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._before.__exit__(None, None, None)


_quiet = _Quiet()


@contextmanager
def decoding() -> Iterator[None]:
    """Within, Pillow's warnings, of odd EXIF data beside sound pixels or of size, are not shown.

    Raises:
        Unreadable: instead of whatever error Pillow's decoders meet foreign bytes with.
    """
    try:
        with _quiet:
            yield
    except (MemoryError, Unreadable):
        raise
    except UnidentifiedImageError as error:
        raise Unreadable("no image of a known kind") from error
    except Exception as error:
        raise Unreadable(" ".join(str(error).split()) or type(error).__name__) from error


@contextmanager
def opened(file: Path | IO[bytes]) -> Iterator[Image.Image]:
    """An image of one of ``FORMATS``, to be decoded within.

    Raises:
        Unreadable: as ``decoding``, or it is of another format.
    """
    with decoding(), Image.open(file, formats=FORMATS) as image:
        yield image
