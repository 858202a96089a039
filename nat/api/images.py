"""Image files and Pillow images as a network sees them, with faults told by the file's name."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageOps

from nat.data.formats import Unreadable, decoding, opened
from nat.data.squares import read_square, square
from nat.runtime.errors import UserError

ImageLike = str | Path | Image.Image


@contextmanager
def readers() -> Iterator[ThreadPoolExecutor]:
    """Threads that decode images, as many as compute."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        yield pool


@contextmanager
def named(image: ImageLike) -> Iterator[None]:
    """Tell, within, of what cannot be read as an image.

    Raises:
        UserError: names it.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{image}: cannot be read ({error.strerror or error})") from error
    except Unreadable as error:
        raise UserError(f"{image}: no readable image ({error}); replace or remove it") from error


def square_of(image: ImageLike, size: int, channels: int) -> np.ndarray:
    """The central square, its side scaled to ``size``: uint8 (channels, size, size).

    Raises:
        UserError: it is no readable image.
    """
    with named(image):
        if isinstance(image, Image.Image):
            with decoding():
                return square(image, size, channels, upright=True)
        return read_square(Path(image).read_bytes(), size, channels, upright=True)


def whole_of(image: ImageLike, mode: Literal["L", "RGB"]) -> np.ndarray:
    """The whole image, upright: luma, uint8 (h, w), or its colours, uint8 (h, w, 3).

    Raises:
        UserError: it is no readable image, or one of more than 8 bits.
    """
    with named(image):
        if isinstance(image, Image.Image):
            with decoding():
                return _converted(image, mode)
        with opened(io.BytesIO(Path(image).read_bytes())) as file:
            file.draft(mode, None)  # for luma the decoder then leaves out colour, as for VOC's
            return _converted(file, mode)


def _converted(image: Image.Image, mode: Literal["L", "RGB"]) -> np.ndarray:
    if image.mode.startswith(("I", "F")):
        raise Unreadable(f"pixels of more than 8 bits (mode {image.mode})")
    return np.array(ImageOps.exif_transpose(image).convert(mode))
