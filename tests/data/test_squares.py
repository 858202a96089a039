import io

import numpy as np
import pytest
from ilsvrc import encode, rotated
from PIL import Image
from torchvision.transforms import functional as F

from nat.data.formats import FORMATS, Unreadable
from nat.data.squares import read_square, square


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth noise, as images are, rather than of single pixels."""
    draws = np.random.default_rng(seed)
    small = draws.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def by_torchvision(content: bytes, size: int, channels: int) -> np.ndarray:
    image = Image.open(io.BytesIO(content)).convert("L" if channels == 1 else "RGB")
    image = F.center_crop(image, min(image.size))
    array = np.asarray(F.resize(image, size, F.InterpolationMode.BICUBIC)).astype(int)
    return array[None] if channels == 1 else np.moveaxis(array, 2, 0)


SLOPE = np.arange(256, dtype=np.uint8)[None].repeat(256, 0)  # from black at the left to white


def slope(mode: str) -> Image.Image:
    if mode in ("I", "I;16", "I;16B"):  # of 16 bits; Pillow knows its big-endian mode by name only
        deep = 257 * SLOPE.astype({"I": "<i4", "I;16": "<u2", "I;16B": ">u2"}[mode])
        return Image.frombytes(mode, deep.shape[::-1], deep.tobytes())
    if mode == "P":  # whose palette begins with white
        image = Image.fromarray(255 - SLOPE)
        image.putpalette(np.arange(255, -1, -1, dtype=np.uint8).repeat(3).tobytes())
        return image
    return Image.fromarray(SLOPE).convert("RGB").convert(mode)


MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "I;16B"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("channels", [1, 3])
def test_any_mode(mode: str, channels: int) -> None:
    """A slope stays the same slope; dithered (1) and compressed (CMYK), it does so on average."""
    form = {"CMYK": "JPEG", "YCbCr": "JPEG", "I": "PPM", "I;16B": "TIFF"}.get(mode, "PNG")
    found = read_square(encode(slope(mode), form), 256, channels, True)
    assert (found.shape, found.dtype) == ((channels, 256, 256), np.uint8)
    if mode in ("1", "CMYK", "YCbCr"):
        columns = found.reshape(channels, 256, 16, 16).mean((1, 3))
        assert np.abs(columns - SLOPE[0].reshape(16, 16).mean(1)).max() < 3
    else:
        assert (found == SLOPE).all()


@pytest.mark.parametrize("mode", ["I", "I;16", "I;16B"])
@pytest.mark.parametrize("side", [1, 5, 400])
def test_16_bits_at_any_size(mode: str, side: int) -> None:
    eight, sixteen = (square(slope(m).rotate(90), side, 1, True) for m in ("L", mode))
    assert np.array_equal(eight, sixteen)


def test_16_bits_lose_the_lower_8() -> None:
    deep = np.array([[0, 255, 256, 511], [32768, 65279, 65280, 65535]] * 2, np.uint16)
    found = read_square(encode(Image.fromarray(deep), "PNG"), 4, 1, True)
    upper = Image.fromarray((deep // 256).astype(np.uint8))
    assert np.array_equal(found, square(upper, 4, 1, True))


def test_mode_i_may_hold_8_bits() -> None:
    assert (square(Image.fromarray(SLOPE.astype(np.int32)), 256, 1, True) == SLOPE).all()


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (SLOPE.astype(np.float32), "floating-point pixels (mode F)"),
        (SLOPE.astype(np.int32) - 1, "pixels from -1 to 254"),
        (SLOPE.astype(np.int32) * 258, "pixels from 0 to 65790, more than 16 bits"),
    ],
)
def test_pixels_without_a_known_white_are_refused(pixels: np.ndarray, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_square(encode(Image.fromarray(pixels), "TIFF"), 16, 1, True)
    assert reason in str(caught.value)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sides", [(50, 38), (38, 50), (128, 98), (1000, 750), (16, 16), (12, 300)])
def test_as_by_cutting_and_scaling(sides: tuple[int, int], channels: int) -> None:
    """Also where the JPEG is decoded at a fraction of its size, and where it is enlarged."""
    content = encode(noise(*sides), quality=95)
    difference = read_square(content, 16, channels, False) - by_torchvision(content, 16, channels)
    assert np.abs(difference).mean() < 3
    assert np.abs(difference.mean()) < 1


def test_the_centre_is_kept() -> None:
    image = np.zeros((20, 60), np.uint8)
    image[:, 20:40] = 255
    assert read_square(encode(Image.fromarray(image), "PNG"), 20, 1, True).min() == 255


def test_an_exif_rotation_is_applied_or_not() -> None:
    image = noise(40, 40)
    plain, turned = encode(image, quality=95), rotated(image)
    straight = read_square(plain, 16, 3, True)
    assert np.array_equal(read_square(turned, 16, 3, False), straight)
    upright = read_square(turned, 16, 3, True).astype(int)
    quarter = np.rot90(straight, -1, axes=(1, 2)).astype(int)
    assert np.abs(upright - quarter).mean() < 2
    assert np.abs(upright - straight).mean() > 10


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"\xff\xd8\xff\xe0 no image", "Truncated"),
        (b"<html>", "no image of a known kind"),
        (encode(noise(64, 64))[:-200], "truncated"),
        (encode(noise(64, 64), "PNG")[:-200], ""),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_an_unreadable_image_is_told_in_a_line(content: bytes, reason: str, channels: int) -> None:
    with pytest.raises(Unreadable) as caught:
        read_square(content, 16, channels, True)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", FORMATS)
def test_any_damage_is_a_image_or_unreadable(form: str) -> None:
    draws = np.random.default_rng(0)
    content = np.frombuffer(encode(noise(40, 30), form), np.uint8)
    for _ in range(60):
        damaged = content.copy()
        first = min(len(content), int(draws.choice([64, len(content)])))  # headers hold most
        damaged[draws.integers(0, first, 4)] = draws.integers(0, 256, 4)
        try:
            found = read_square(damaged.tobytes(), 16, 1, True)
        except Unreadable:
            continue
        assert found.shape == (1, 16, 16)
