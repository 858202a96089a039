"""A trained trunk for other programs, in three lines:

from nat import load_trunk
trunk = load_trunk("network.safetensors")
features = trunk.embed(["a.jpg", "b.jpg"])
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from torch import nn

from nat.api.export import load_exported
from nat.api.images import ImageLike, readers, square_of
from nat.data.augment import fixed_crops
from nat.network.model import Network, Trunk, load_network
from nat.runtime.errors import UserError

Layer = Literal["conv5", "output"]
BATCH = 256


class PretrainedTrunk(nn.Module):
    """A trunk as it was trained, in evaluation mode, and the network's head where its file has one.

    A module like any other: it can be moved, trained further, or be a part of another one. The
    names in its ``state_dict`` are those of network.safetensors.

    Attributes:
        trunk: the front end and conv1 to conv5.
        head: from conv5 to the network's output; None for an exported trunk.
        channels: of the images it sees: 1 luma, 3 RGB.
        crop: side of the squares it was trained on, pixels.
        size: what an image's short side is scaled to before the central crop, pixels.
    """

    def __init__(self, model: Network | Trunk, crop: int, size: int | None = None) -> None:
        """``size`` None is ``crop``.

        Raises:
            UserError: ``size`` is smaller than ``crop``.
        """
        super().__init__()
        self.trunk = model.trunk if isinstance(model, Network) else model
        self.head = model.head if isinstance(model, Network) else None
        self.channels, self.crop = self.trunk.channels, crop
        self.size = crop if size is None else size
        self._outputs = model.outputs if isinstance(model, Network) else None
        if self.size < crop:
            raise UserError(f"size: {size} is smaller than the network's input {crop}; use more")
        self.eval()

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """conv5 after pooling; no image needs to be normalised before.

        Args:
            images: uint8 or float (b, channels, h, w), on the module's device. Each image is
                standardised inside, so that values may be 0 to 255, 0 to 1 or of any other scale
                and offset that all its channels share.

        Returns:
            float32 (b, width, h', w'); ``flatten(1)`` are the features of ``embed`` for squares of
            side ``crop``.
        """
        return self.trunk(images)

    def width(self, layer: Layer = "conv5") -> int:
        """How many features an image has.

        Raises:
            UserError: no such layer, or the file has no head.
        """
        if layer == "conv5":
            return self.trunk.features(self.crop)
        if layer != "output":
            raise UserError(f"layer: {layer!r} is unknown; use conv5 or output")
        if self._outputs is None:
            raise UserError("layer: an exported trunk has no output; use conv5, or the network")
        return self._outputs

    def read(self, image: ImageLike) -> np.ndarray:
        """An image's square, uint8 (channels, size, size).

        Raises:
            UserError: the file is no readable image.
        """
        return square_of(image, self.size, self.channels)

    @torch.no_grad()
    def embed_squares(self, squares: np.ndarray, layer: Layer = "conv5") -> np.ndarray:
        """Features of the squares' central crops, in evaluation mode.

        Args:
            squares: uint8 (b, channels, size, size).
            layer: ``conv5``, after pooling, or ``output``, f_theta on the unit sphere (eq. 2).

        Returns:
            float32 (b, d).
        """
        self.width(layer)
        training = self.training
        self.eval()
        found = self(fixed_crops(torch.from_numpy(squares).to(self.device), self.crop, 1)[0])
        if layer == "output" and self.head is not None:
            found = F.normalize(self.head(found))
        self.train(training)
        return found.flatten(1).cpu().numpy()

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
) -> PretrainedTrunk:
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
        return PretrainedTrunk(*load_exported(path), size).to(device)
    network = load_network(path)
    return PretrainedTrunk(network, network.input_size, size).to(device)
