"""From a picture file of any size and mode to the store's square."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from nat.errors import UserError


def read_square(path: Path, size: int, channels: int) -> np.ndarray:
    """Read a picture, scale its short side to ``size`` and keep the central square.

    Squares rather than whole pictures: a store of one shape is one memory map, and a batch is one
    gather.

    Args:
        path: any file that Pillow reads; an EXIF rotation is applied.
        size: side in pixels.
        channels: 1 for luma, 3 for RGB.

    Returns:
        uint8, (channels, size, size).

    Raises:
        UserError: the file is empty, corrupt or no picture.
    """
    try:
        with Image.open(path) as file:
            return square(file, size, channels)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise UserError(
            f"{path}: no readable picture ({error}); replace or remove the file"
        ) from error


def square(picture: Image.Image, size: int, channels: int) -> np.ndarray:
    """The central square of an opened picture; arguments and result as ``read_square``."""
    converted = ImageOps.exif_transpose(picture).convert("L" if channels == 1 else "RGB")
    fitted = ImageOps.fit(converted, (size, size), Image.Resampling.BICUBIC)
    array = np.asarray(fitted)
    return array[None] if channels == 1 else np.moveaxis(array, 2, 0)
