import io

import numpy as np
import pytest
from ilsvrc import encode, rotated
from PIL import Image
from torchvision.transforms import functional as F

from nat.images.squares import Unreadable, read_square


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth noise, as pictures are, rather than of single pixels."""
    draws = np.random.default_rng(seed)
    small = draws.integers(0, 256, (height // 8 + 2, width // 8 + 2, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def by_torchvision(content: bytes, size: int, channels: int) -> np.ndarray:
    picture = Image.open(io.BytesIO(content)).convert("L" if channels == 1 else "RGB")
    picture = F.center_crop(picture, min(picture.size))
    array = np.asarray(F.resize(picture, size, F.InterpolationMode.BICUBIC)).astype(int)
    return array[None] if channels == 1 else np.moveaxis(array, 2, 0)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1", "I;16"])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_size_and_mode(mode: str, channels: int) -> None:
    if mode == "I;16":
        content = encode(Image.fromarray(np.full((20, 50), 300, np.uint16)), "PNG")
    else:
        picture = Image.new("RGB", (50, 20), (200, 100, 50)).convert(mode)
        content = encode(picture, "JPEG" if mode == "CMYK" else "PNG")
    square = read_square(content, 16, channels, True)
    assert square.shape == (channels, 16, 16)
    assert square.dtype == np.uint8


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sides", [(50, 38), (38, 50), (128, 98), (1000, 750), (16, 16), (12, 300)])
def test_as_by_cutting_and_scaling(sides: tuple[int, int], channels: int) -> None:
    """Also where the JPEG is decoded at a fraction of its size, and where it is enlarged."""
    content = encode(noise(*sides), quality=95)
    difference = read_square(content, 16, channels, False) - by_torchvision(content, 16, channels)
    assert np.abs(difference).mean() < 3
    assert np.abs(difference.mean()) < 1


def test_the_centre_is_kept() -> None:
    picture = np.zeros((20, 60), np.uint8)
    picture[:, 20:40] = 255
    assert read_square(encode(Image.fromarray(picture), "PNG"), 20, 1, True).min() == 255


def test_an_exif_rotation_is_applied_or_not() -> None:
    picture = noise(40, 40)
    plain, turned = encode(picture, quality=95), rotated(picture)
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
        (b"\xff\xd8\xff\xe0 no picture", "Truncated"),
        (b"<html>", "no picture of a known kind"),
        (encode(noise(64, 64))[:-200], "truncated"),
        (encode(noise(64, 64), "PNG")[:-200], ""),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_an_unreadable_picture_is_told_in_a_line(
    content: bytes, reason: str, channels: int
) -> None:
    with pytest.raises(Unreadable) as caught:
        read_square(content, 16, channels, True)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_any_damage_is_a_picture_or_unreadable() -> None:
    draws = np.random.default_rng(0)
    for form in ("JPEG", "PNG"):
        content = np.frombuffer(encode(noise(40, 30), form), np.uint8)
        for _ in range(60):
            damaged = content.copy()
            damaged[draws.integers(0, len(content), 4)] = draws.integers(0, 256, 4)
            try:
                square = read_square(damaged.tobytes(), 16, 1, True)
            except Unreadable:
                continue
            assert square.shape == (1, 16, 16)
