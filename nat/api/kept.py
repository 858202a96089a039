"""Probes, fine-tuned networks and detectors that a stage has kept (see runtime/kept.py):

from nat import load_kept
probe = load_kept("kept/probe/nat-0-1f2e3d4c.safetensors")
probabilities = probe.predict(["a.jpg", "b.jpg"])  # float32 (2, classes)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from safetensors import safe_open
from torch import nn

from nat.api.images import ImageLike, readers, square_of, whole_of
from nat.data.seeds import generator
from nat.network.model import Trunk
from nat.probe import Classifiers
from nat.runtime.distributed import Distributed
from nat.runtime.errors import UserError
from nat.runtime.io.foreign import reading
from nat.runtime.io.tensors import described, layout_of, read_tensors
from nat.runtime.settings.params import (
    Detect,
    Preprocessing,
    ProposalSettings,
    Side,
    TrunkName,
    Units,
)
from nat.voc.classification.finetune import Classifier
from nat.voc.detection.evaluate import kept, look
from nat.voc.detection.model import Detector
from nat.voc.proposals.selective_search import search
from nat.voc.transfer.rescale import fold_batch_norm

BATCH = 64


class Found(NamedTuple):
    """An object as a detector sees it.

    Attributes:
        name: of its class.
        score: 0 to 1.
        box: xmin, ymin, xmax, ymax; pixels counted from 1, both ends inclusive, as in VOC.
    """

    name: str
    score: float
    box: tuple[float, float, float, float]


class Kept(nn.Module):
    """A trained module in evaluation mode.

    Attributes:
        network: what was trained; its tensors are the file's.
        shape: what it was made of.
        classes: their names, in the order of its outputs.
        channels: of the images it sees: 1 luma, 3 RGB.
    """

    def __init__(self, shape: "Shape", network: nn.Module) -> None:
        super().__init__()
        self.network, self.shape, self.classes = network, shape, shape.classes
        self.channels = shape.trunk.channels
        self.eval()

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device


class KeptClassifier(Kept):
    """A classifier of squares: a network fine-tuned on VOC classification, or a probe.

    Attributes:
        side: of the squares that it sees, pixels.
    """

    def __init__(self, shape: "ClassifierShape | ProbeShape", network: nn.Module) -> None:
        super().__init__(shape, network)
        self.side = shape.crop

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Squares, uint8 or float (b, channels, side, side), to logits, float (b, classes)."""
        return self.network(images)

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Of logits, float (b, classes): each class by itself, as an image may show several."""
        return logits.sigmoid()

    @torch.no_grad()
    def predict(self, images: Sequence[ImageLike]) -> np.ndarray:
        """Probabilities of the classes, of the central squares of images.

        Args:
            images: paths or Pillow images, of any size and mode.

        Returns:
            float32 (n, classes), a row an image.

        Raises:
            UserError: a file is no readable image.
        """
        found = [np.empty((0, len(self.classes)), np.float32)]
        with readers() as pool:
            for start in range(0, len(images), BATCH):
                squares = pool.map(self._square, images[start : start + BATCH])
                batch = torch.from_numpy(np.stack(list(squares))).to(self.device)
                found.append(self.probabilities(self(batch)).cpu().numpy())
        return np.concatenate(found)

    def _square(self, image: ImageLike) -> np.ndarray:
        return square_of(image, self.side, self.channels)


class KeptProbe(KeptClassifier):
    """Both classifiers of a probe, with their trunk; the MLP is what it answers by."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Squares, as above, to the MLP's logits."""
        return self._both(images)[0]

    def linear(self, images: torch.Tensor) -> torch.Tensor:
        """Squares, as above, to the linear classifier's logits."""
        return self._both(images)[1]

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Of logits, float (b, classes): of one class among all."""
        return logits.softmax(1)

    def _both(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        trunk, classifiers = self.network.children()
        return classifiers(trunk(images))


class KeptDetector(Kept):
    """A detector on VOC, Fast R-CNN."""

    shape: "DetectorShape"

    @torch.no_grad()
    def detect(
        self, image: ImageLike, boxes: np.ndarray | torch.Tensor | None = None
    ) -> list[Found]:
        """The objects of an image, the best scored first.

        Args:
            image: a path or a Pillow image.
            boxes: the regions to look at, (m, 4), as those of ``Found``; None searches for some as
                the training did.

        Raises:
            UserError: the file is no readable image.
        """
        if boxes is None:
            boxes = search(whole_of(image, "RGB"), self.shape.searching, generator(0, "boxes"))
        regions = torch.as_tensor(boxes).float()
        pixels = torch.from_numpy(whole_of(image, "L" if self.channels == 1 else "RGB"))
        seen = pixels if self.channels == 1 else pixels.permute(2, 0, 1).contiguous()
        assert isinstance(self.network, Detector)
        settings, here = self.shape.detect, Distributed(self.device)
        ((scores, moved),) = look(self.network, [seen], [regions], settings, here)
        found = [
            Found(name, float(scores[row, label]), tuple(moved[row, label].tolist()))
            for label, name in enumerate(self.classes)
            for row in kept(scores[:, label], moved[:, label], settings).tolist()
        ]
        return sorted(found, key=lambda each: -each.score)


class TrunkShape(BaseModel):
    """What makes a trunk."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: TrunkName
    preprocessing: Preprocessing
    channels: Literal[1, 3]

    def trunk(self) -> Trunk:
        """A trunk of this shape."""
        return Trunk(**self.model_dump())


class Shape(BaseModel):
    """What a file says of its module; the rest of its metadata is for people."""

    model_config = ConfigDict(strict=True, frozen=True)

    trunk: TrunkShape
    classes: Annotated[list[str], Field(min_length=1)]


class ProbeShape(Shape):
    """Of classifiers on a frozen trunk."""

    stage: Literal["probe"]
    crop: Side
    hidden: Units

    def made(self) -> KeptProbe:
        """The module, with weights of its own."""
        trunk = self.trunk.trunk()
        classifiers = Classifiers(trunk.features(self.crop), self.hidden, len(self.classes), 0.0)
        return KeptProbe(self, nn.ModuleDict({"trunk": trunk, "classifiers": classifiers}))


class ClassifierShape(Shape):
    """Of a network fine-tuned on VOC classification."""

    stage: Literal["finetune-fc6-8", "finetune-all"]
    crop: Side
    hidden: Units
    batch_norm: bool

    def made(self) -> KeptClassifier:
        """The module, with weights of its own."""
        trunk = self.trunk.trunk()
        features = trunk.features(self.crop)
        trunk = trunk if self.batch_norm else fold_batch_norm(trunk)
        return KeptClassifier(
            self, Classifier(trunk, features, self.hidden, len(self.classes), 0.0)
        )


class DetectorShape(Shape):
    """Of a detector; ``search`` is how its regions are found."""

    stage: Literal["detect"]
    side: Annotated[int, Field(gt=0, le=100)]
    detect: Detect
    search: dict[str, Any]

    @property
    def searching(self) -> ProposalSettings:
        """Settings of the search for regions."""
        computed = {"source": "selective-search", "trainval": None, "test": None}
        return ProposalSettings.model_validate(self.search | computed)

    def made(self) -> KeptDetector:
        """The module, with weights of its own."""
        assert self.searching
        shape = self.side, self.detect.hidden, len(self.classes), 0.0
        return KeptDetector(self, Detector(self.trunk.trunk(), *shape))


SHAPES: TypeAdapter = TypeAdapter(
    Annotated[ProbeShape | ClassifierShape | DetectorShape, Field(discriminator="stage")]
)


def load_kept(path: Path | str, device: torch.device | str = "cpu") -> Kept:
    """Load what a stage kept where ``machine.keep`` says.

    Args:
        path: kept/STAGE/TRAINING-DIGEST.safetensors.
        device: where to compute.

    Returns:
        A KeptProbe, KeptClassifier or KeptDetector.

    Raises:
        UserError: missing, damaged or something else.
    """
    path = Path(path)
    remedy = "make one with machine.keep, see docs/python.md"
    what = "kept probe, fine-tuned network or detector of this project"
    with reading(path, what, remedy), safe_open(path, "pt") as file:
        shape = SHAPES.validate_json(described(file, "kept"))
        try:
            with torch.device("meta"):  # which takes no memory, whatever the file says
                expected = layout_of(shape.made().network.state_dict())
        except UserError as error:  # of the setting that it would be elsewhere
            raise ValueError(str(error)) from error
        weights = read_tensors(file, expected)
        module: Kept = shape.made()
        module.network.load_state_dict(weights)
        return module.to(device)
