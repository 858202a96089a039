"""The stage ``illustrate``: what the figures show of a seed's networks, in one folder."""

from dataclasses import dataclass
from pathlib import Path

from nat.illustrate.detected import save_detected
from nat.illustrate.detections import gather_detections
from nat.illustrate.features import gather_features
from nat.illustrate.filters import save_filters
from nat.illustrate.first_layer import gather_filters
from nat.illustrate.illustration import save_illustration
from nat.runtime.io.files import atomic_write, check_output
from nat.runtime.io.outputs import folder
from nat.runtime.settings.params import Params

FEATURES, FILTERS, DETECTIONS = "features.npz", "filters.npz", "detections.npz"
FOLDER = folder("illustrations that `nat illustrate` wrote", FEATURES, r"(filters|detections)\.npz")


@dataclass(frozen=True)
class Inputs:
    """What is illustrated.

    Attributes:
        images: manifest of the image store.
        nat: NAT's network folder.
        labels: the network folder of the same network trained with labels.
        targets: that NAT was trained with.
        voc: what ``nat prepare voc`` wrote.
        result: what ``nat detect`` measured from NAT's network.
        detections: what it wrote with it; where they are missing, no detections are shown.
    """

    images: Path
    nat: Path
    labels: Path
    targets: Path
    voc: Path
    result: Path
    detections: Path


def illustrate(params: Params, seed: int, given: Inputs, out: Path) -> None:
    """Gather what Figures 1, 3 and 4 show, and the figure of detections where there are any.

    Args:
        params: machine and target_type are used, and voc.folder to find the VOC images.
        seed: of the choice of images.
        given: what is illustrated.
        out: the folder to write: features.npz, filters.npz and, with detections, detections.npz.

    Raises:
        UserError: an input is missing or damaged, has no labels, or does not fit the others.
    """
    check_output(out, FOLDER)
    features = gather_features(params, seed, given.images, given.nat, given.targets)
    filters = gather_filters(params, seed, given.images, given.nat, given.labels)
    detections = None
    if given.detections.exists():
        detections = gather_detections(params, seed, given.voc, given.result, given.detections)
    with atomic_write(out, FOLDER) as temporary:
        temporary.mkdir()
        save_illustration(features, temporary / FEATURES)
        save_filters(filters, temporary / FILTERS)
        if detections:
            save_detected(detections, temporary / DETECTIONS)
