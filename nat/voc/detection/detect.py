"""VOC 2007 detection (Table 4): what is where in the image?

The protocol is that of rbgirshick/fast-rcnn, stated beside each step. Trained on trainval and its
mirror images, tested on test, every layer but conv1 trained. The measured numbers are those of the
files that are written, so that anyone who scores these gets the same.

Its published numbers, for the group ``detect`` of params.yaml: short side 600, long side at most
1000, 2 images and 128 regions a batch, lr 0.001 and a tenth of it from iteration 30,000 of
40,000, momentum 0.9, weight decay 5e-4, dropout 0.5; a region is pooled to 6 x 6 cells, as conv5 of
AlexNet gives for classification's 224 px. Krähenbühl et al. are said to train for 150,000
iterations, a tenth each 50,000, on images of several scales.
"""

from pathlib import Path
from typing import Any

import torch

from nat.data.store import check_batch
from nat.network.model import Trunk
from nat.network.session import Session
from nat.runtime.errors import UserError
from nat.runtime.io.files import check_output
from nat.runtime.naming import Name
from nat.runtime.settings.params import Detect, Params
from nat.voc.data.manifest import open_voc
from nat.voc.data.proposals import load_proposals
from nat.voc.data.reader import VocSplit
from nat.voc.detection.evaluate import detected, judged
from nat.voc.detection.images import scale_factor
from nat.voc.detection.model import check_size, pooled_side
from nat.voc.detection.results import DETECTIONS, read_results, write_results
from nat.voc.detection.sampling import usable
from nat.voc.detection.targets import make_example
from nat.voc.detection.train import TrainingSet, make_detector, make_optimizer, train
from nat.voc.transfer.top import load_trunk


def regions_of(folder: Path, split: VocSplit, name: str) -> list[torch.Tensor]:
    """The proposals of a split's images.

    Args:
        folder: what ``nat proposals`` wrote.
        split: the images.
        name: of the split whose images they were found in.

    Returns:
        float32 (m, 4) for each image.

    Raises:
        UserError: an image has no proposals in the file, or they do not fit it.
    """
    path = folder / f"{name}.safetensors"
    proposals = load_proposals(path)
    found = []
    for one in split.annotations:
        try:
            boxes = proposals[one.name]
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        limits = torch.tensor([one.width, one.height])
        if not ((boxes[:, :2] >= 1) & (boxes[:, 2:] <= limits)).all():
            raise UserError(
                f"{path}: a proposal leaves image {one.name} of {one.width} x {one.height}: they "
                "were made for other data; run `python -m nat proposals` for this"
            )
        found.append(boxes)
    return found


def check_sides(trunk: Trunk, settings: Detect, trainval: VocSplit, test: VocSplit) -> None:
    """Refuse sides by which some image is too small for the trunk.

    Raises:
        UserError: names the setting at fault.
    """
    for split, short_sides, setting in (
        (trainval, settings.short_sides, "short_sides"),
        (test, [settings.test_short_side], "test_short_side"),
    ):
        sizes = {(one.height, one.width) for one in split.annotations}
        for short in short_sides:
            check_size(trunk, short, f"detect.{setting}")
            shortest = min(
                round(min(size) * scale_factor(*size, short, settings.long_side)) for size in sizes
            )
            check_size(trunk, shortest, "detect.long_side")


def pooled_cells(trunk: Trunk, input_size: int) -> int:
    """Cells a side of a pooled region: those that fc6 sees in classification.

    Raises:
        UserError: classification's input is too small for the trunk.
    """
    try:
        return pooled_side(trunk, input_size)
    except UserError as error:
        raise UserError(
            f"finetune.input: {input_size} px is too small for the trunk; use a larger one"
        ) from error


def detect(
    params: Params,
    name: Name,
    manifest: Path,
    proposals: Path,
    network_file: Path,
    out: Path,
    detections: Path,
) -> None:
    """Train a detector from a network, test it, write its average precisions and detections.

    Args:
        params: detect is used, and finetune.input for the size of a pooled region; voc.folder and
            machine.data tell where the images lie.
        name: of the training that the network comes from.
        manifest: what ``nat prepare voc`` wrote.
        proposals: folder of trainval's and test's proposals.
        network_file: network.safetensors of any method.
        out: a JSON file; percent, ``measured.map`` is VOC 2007's 11-point mean average precision,
            ``measured.ap`` is null for a class without an object to find in test; ``history``: see
            train.py.
        detections: folder for the kit's result files.

    Raises:
        UserError: several processes, faulty data, proposals that do not fit them, a damaged
            network, images too small for the trunk, a batch larger than the data, an output that
            cannot be written, or a loss that is no longer finite.
    """
    settings = params.detect
    used: dict[str, Any] = {
        **params.model_dump(include={"detect", "evaluate_on"}),
        "finetune": {"input": params.finetune.input},
    }
    check_output(detections, DETECTIONS)
    inputs = {"manifest": manifest, "trainval": proposals / "trainval.safetensors"}
    with Session(params, name, "detect", used, out, network=network_file, **inputs) as session:
        if session.distributed.size > 1:
            raise UserError(
                "launcher: detect is one process, its batch being few images; use python"
            )
        trunk = load_trunk(network_file)
        data, trainval, test = open_voc(params, manifest, params.evaluate_on)
        check_batch(settings.images, len(trainval), "detect.images")
        check_sides(trunk, settings, trainval, test)
        side = pooled_cells(trunk, params.finetune.input)
        regions = regions_of(proposals, trainval, "trainval")
        of_test = "trainval" if params.evaluate_on == "validation" else "test"
        test_regions = regions_of(proposals, test, of_test)
        training = training_set(trainval, regions, settings, trunk.channels)
        network = make_detector(
            trunk, training, len(trainval.classes), side, settings, name.seed, session.device
        )
        train(session, network, make_optimizer(network, settings), training, network_file)
        seconds, start = session.prepared + session.seconds, session.elapsed
        names = [one.name for one in test.annotations]
        found = detected(network, test, test_regions, settings, session.distributed)
        write_results(detections, names, test.classes, found)
        measured = judged(read_results(detections, names, test.classes), test)
        search = {"count", "smallest", "short_side", "segments", "sigma"}
        session.keep(
            network,
            trunk,
            side=side,
            detect=settings.model_dump(),
            search=params.proposals.model_dump(include=search),
            classes=test.classes,
        )
        assert session.run is not None
        rows = {"history": session.run.history}
        session.write(measured, data, seconds + session.elapsed - start, rows)


def training_set(
    trainval: VocSplit, regions: list[torch.Tensor], settings: Detect, channels: int
) -> TrainingSet:
    """The images of trainval, in the trunk's channels, with what each teaches.

    Raises:
        UserError: fewer than a batch have regions to learn from.
    """
    examples = [make_example(trainval.objects(row), boxes) for row, boxes in enumerate(regions)]
    taught = len(usable(examples, settings))
    if 2 * taught < settings.images:
        raise UserError(
            f"detect.images: {settings.images} a batch, but {taught} of trainval's "
            f"{len(trainval)} images have regions to learn from; use at most {2 * taught}"
        )
    return TrainingSet(trainval.images(channels), examples)
