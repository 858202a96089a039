"""JPEGs as large as ImageNet's, made on the fly for the other benchmarks."""

import io

import numpy as np
from PIL import Image


def jpeg(draws: np.random.Generator, width: int = 500, height: int = 375) -> bytes:
    """Noise at several scales: some 110 kB, which is what an image of ImageNet's takes."""
    image = np.full((height, width, 3), 128.0)
    for scale, strength in ((64, 40), (16, 24), (4, 12), (1, 6)):
        small = draws.normal(0, strength, (height // scale + 2, width // scale + 2, 3))
        planes = [
            Image.fromarray(small[..., c].astype(np.float32)).resize((width, height))
            for c in range(3)
        ]
        image += np.stack([np.asarray(plane) for plane in planes], 2)
    out = io.BytesIO()
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=96)
    return out.getvalue()
