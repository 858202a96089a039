"""From an image file of any size and mode to the store's square."""

import io

import numpy as np
from PIL import Image, ImageOps

from nat.data.formats import Unreadable, opened

# A JPEG may be decoded at 1/2, 1/4 or 1/8 of its size for a fraction of the time. Down to twice the
# square's side this is not seen after the bicubic reduction to it.
REDUCING_GAP = 2


def read_square(content: bytes, size: int, channels: int, upright: bool) -> np.ndarray:
    """Decode an image, scale its short side to ``size`` and keep the central square.

    Squares rather than whole images: a store of one shape is one memory map, and a batch is one
    gather. The price is paid by the margins of long images: corner crops are the square's.

    Args:
        content: a file of one of the formats that are read, whatever its name says.
        size: side in pixels.
        channels: 1 for luma, which a JPEG holds as it is and gives away without its colours; 3 for
            RGB. Grey, palette and CMYK images are converted; of 16 bits the upper 8 are kept.
        upright: whether to apply an EXIF rotation.

    Returns:
        uint8, (channels, size, size).

    Raises:
        Unreadable: empty, truncated, damaged or no image, or pixels that have no known white.
    """
    if not content:
        raise Unreadable("empty file")
    gap = REDUCING_GAP * size
    with opened(io.BytesIO(content)) as file:
        file.draft(_mode(channels), (gap, gap))
        return square(file, size, channels, upright)


def square(image: Image.Image, size: int, channels: int, upright: bool) -> np.ndarray:
    """The central square of an opened image, decoded in full; otherwise as ``read_square``."""
    whole = converted(image, channels, upright)
    return planes(ImageOps.fit(whole, (size, size), Image.Resampling.BICUBIC))


def converted(image: Image.Image, channels: int, upright: bool) -> Image.Image:
    """A whole opened image in luma or RGB; otherwise as ``read_square``."""
    turned = _eight_bits(ImageOps.exif_transpose(image) if upright else image)
    return turned.convert(_mode(channels))


def planes(image: Image.Image) -> np.ndarray:
    """The pixels of luma or RGB: uint8 (channels, h, w)."""
    array = np.asarray(image)
    return array[None] if array.ndim == 2 else np.moveaxis(array, 2, 0)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits as grey of 8, where Pillow's own conversion makes all from 255 on white.

    The upper 8 bits are taken, as Pillow does with 16-bit RGB: v / 257 rounded differs from them by
    1 at most, and both give back v where 8 bits were widened to 257 v.

    A file of 16 bits may be opened in mode I (PGM, and PNG by older releases); grey that does not
    go beyond 255 there is taken for 8 bits.
    """
    if image.mode == "F":
        raise Unreadable("floating-point pixels (mode F), whose white is unknown")
    if image.mode != "I" and not image.mode.startswith("I;16"):
        return image
    grey = np.asarray(image)
    if grey.min() < 0 or grey.max() > 0xFFFF:
        raise Unreadable(f"pixels from {grey.min()} to {grey.max()}, more than 16 bits (mode I)")
    if image.mode != "I" or grey.max() > 0xFF:
        grey = grey >> 8
    return Image.fromarray(grey.astype(np.uint8))


def _mode(channels: int) -> str:
    return "L" if channels == 1 else "RGB"
