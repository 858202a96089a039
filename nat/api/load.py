"""A trained trunk for other programs, in three lines:

from nat import load_trunk
trunk = load_trunk("network.safetensors")
features = trunk.embed(["a.jpg", "b.jpg"])
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError, safe_open

from nat.api.export import load_exported
from nat.data.augment import fixed_crops
from nat.data.formats import Unreadable, decoding
from nat.data.squares import read_square, square
from nat.evaluation.features import unit_features
from nat.network.model import Network, Trunk, load_network
from nat.runtime.errors import UserError

Layer = Literal["conv5", "output"]
ImageLike = str | Path | Image.Image
BATCH = 256


@contextmanager
def readers() -> Iterator[ThreadPoolExecutor]:
    """Threads that decode images, as many as compute."""
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        yield pool


class FrozenTrunk:
    """A trunk in evaluation mode, and the network's head where its file has one.

    Attributes:
        channels: of the images it sees: 1 luma, 3 RGB.
        crop: side of the squares it sees, pixels.
        size: what an image's short side is scaled to before the central crop, pixels.
        device: where it computes.
    """

    def __init__(
        self, model: Network | Trunk, crop: int, size: int | None, device: torch.device
    ) -> None:
        """``size`` None is ``crop``.

        Raises:
            UserError: ``size`` is smaller than ``crop``.
        """
        self.network = model.to(device).eval() if isinstance(model, Network) else None
        self.trunk = model.trunk if isinstance(model, Network) else model.to(device).eval()
        self.channels, self.crop, self.device = self.trunk.channels, crop, device
        self.size = crop if size is None else size
        if self.size < crop:
            raise UserError(f"size: {size} is smaller than the network's input {crop}; use more")

    def width(self, layer: Layer = "conv5") -> int:
        """How many features an image has.

        Raises:
            UserError: no such layer, or the file has no head.
        """
        if layer == "conv5":
            return self.trunk.features(self.crop)
        if layer != "output":
            raise UserError(f"layer: {layer!r} is unknown; use conv5 or output")
        if self.network is None:
            raise UserError("layer: an exported trunk has no output; use conv5, or the network")
        return self.network.outputs

    def read(self, image: ImageLike) -> np.ndarray:
        """An image's square, uint8 (channels, size, size).

        Raises:
            UserError: the file is no readable image.
        """
        try:
            if isinstance(image, Image.Image):
                with decoding():
                    return square(image, self.size, self.channels, upright=True)
            content = Path(image).read_bytes()
            return read_square(content, self.size, self.channels, upright=True)
        except OSError as error:
            raise UserError(f"{image}: cannot be read ({error.strerror or error})") from error
        except Unreadable as error:
            raise UserError(
                f"{image}: no readable image ({error}); replace or remove it"
            ) from error

    @torch.no_grad()
    def embed_squares(self, squares: np.ndarray, layer: Layer = "conv5") -> np.ndarray:
        """Features of the squares' central crops.

        Args:
            squares: uint8 (b, channels, size, size).
            layer: ``conv5``, after pooling, or ``output``, f_theta on the unit sphere (eq. 2).

        Returns:
            float32 (b, d).
        """
        self.width(layer)
        module = self.trunk if layer == "conv5" or not self.network else unit_features(self.network)
        images = torch.from_numpy(squares).to(self.device)
        return module(fixed_crops(images, self.crop, 1)[0]).flatten(1).cpu().numpy()

    def embed(self, images: Sequence[ImageLike], layer: Layer = "conv5") -> np.ndarray:
        """Features of image files or Pillow images.

        Args:
            images: paths or images, of any size and mode.
            layer: as ``embed_squares``.

        Returns:
            float32 (n, d), a row an image, in order.

        Raises:
            UserError: a file is no readable image; no such layer.
        """
        found = [np.empty((0, self.width(layer)), np.float32)]
        with readers() as pool:
            for start in range(0, len(images), BATCH):
                squares = list(pool.map(self.read, images[start : start + BATCH]))
                found.append(self.embed_squares(np.stack(squares), layer))
        return np.concatenate(found)


def load_trunk(
    path: Path | str, size: int | None = None, device: torch.device | str = "cpu"
) -> FrozenTrunk:
    """Load a trained trunk.

    Args:
        path: network.safetensors of any method, or what ``nat export --format nat`` wrote.
        size: what an image's short side is scaled to before the central crop, pixels. None is the
            crop's own side, so that the whole central square is seen; ``images.size`` of the
            training shows objects as large as the training did.
        device: where to compute.

    Raises:
        UserError: missing, damaged or not of this project; ``size`` is too small.
    """
    path = Path(path)
    try:
        with safe_open(path, "pt") as file:
            exported = "trunk" in (file.metadata() or {})
    except (OSError, SafetensorError):
        exported = False  # load_network says what is wrong
    if exported:
        return FrozenTrunk(*load_exported(path), size, torch.device(device))
    network = load_network(path)
    return FrozenTrunk(network, network.input_size, size, torch.device(device))
