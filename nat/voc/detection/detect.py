"""VOC 2007 detection (Table 4): what is where in the picture?

The protocol is that of rbgirshick/fast-rcnn, stated beside each step. Trained on trainval and its
mirror images, tested on test, every layer but conv1 trained. The measured numbers are those of the
files that are written, so that anyone who scores these gets the same.

Its published numbers, for the group ``detect`` of params.yaml: short side 600, long side at most
1000, 2 pictures and 128 regions a batch, lr 0.001 and a tenth of it from iteration 30,000 of
40,000, momentum 0.9, weight decay 5e-4, dropout 0.5; a region is pooled to 6 x 6 cells, as conv5 of
AlexNet gives for classification's 224 px. Krähenbühl et al. are said to train for 150,000
iterations, a tenth each 50,000, on pictures of several scales.
"""

import time
from pathlib import Path
from typing import Any

import torch

from nat.data.store import check_batch
from nat.network.model import Trunk
from nat.runtime.distributed import join
from nat.runtime.errors import UserError
from nat.runtime.io.files import check_output, write_json
from nat.runtime.io.outputs import result
from nat.runtime.provenance import provenance
from nat.runtime.resume import Run, scratch_folder
from nat.runtime.settings.params import Detect, Params
from nat.voc.data.manifest import open_voc
from nat.voc.data.proposals import load_proposals
from nat.voc.data.reader import VocSplit
from nat.voc.detection.evaluate import detected, judged
from nat.voc.detection.model import check_size, pooled_side
from nat.voc.detection.pictures import scale_factor
from nat.voc.detection.results import DETECTIONS, read_results, write_results
from nat.voc.detection.sampling import usable
from nat.voc.detection.targets import make_example
from nat.voc.detection.train import TrainingSet, make_detector, make_optimizer, train
from nat.voc.transfer.top import load_trunk


def regions_of(folder: Path, split: VocSplit, name: str) -> tuple[Path, list[torch.Tensor]]:
    """The proposals of a split's pictures.

    Args:
        folder: what ``nat proposals`` wrote.
        split: the pictures.
        name: of the split.

    Returns:
        The file, and float32 (m, 4) for each picture.

    Raises:
        UserError: a picture has no proposals in the file, or they do not fit it.
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
                f"{path}: a proposal leaves picture {one.name} of {one.width} x {one.height}: they "
                "were made for other data; run `python -m nat proposals` for this"
            )
        found.append(boxes)
    return path, found


def shortest_side(settings: Detect, *splits: VocSplit) -> int:
    """The shortest side of any picture as the network sees it, in training or test, pixels."""
    short = min(*settings.short_sides, settings.test_short_side)
    sizes = {(one.height, one.width) for split in splits for one in split.annotations}
    return min(round(min(size) * scale_factor(*size, short, settings.long_side)) for size in sizes)


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
    seed: int,
    manifest: Path,
    proposals: Path,
    network_file: Path,
    out: Path,
    detections: Path,
) -> None:
    """Train a detector from a network, test it, write its average precisions and detections.

    Args:
        params: detect is used, and finetune.input for the size of a pooled region; voc.folder and
            machine.data tell where the pictures lie.
        seed: of every random draw.
        manifest: what ``nat prepare voc`` wrote.
        proposals: folder of trainval's and test's proposals.
        network_file: network.safetensors of any method.
        out: a JSON file; percent, ``measured.map`` is VOC 2007's 11-point mean average precision,
            ``measured.ap`` is null for a class without an object to find in test.
        detections: folder for the kit's result files.

    Raises:
        UserError: several processes, faulty data, proposals that do not fit them, a damaged
            network, pictures too small for the trunk, a batch larger than the data, an output that
            cannot be written, or a loss that is no longer finite.
    """
    settings = params.detect
    used: dict[str, Any] = {
        **params.model_dump(include={"detect"}),
        "finetune": {"input": params.finetune.input},
    }
    kind = result("average precisions that `nat detect` wrote", used)
    check_output(out, kind)
    check_output(detections, DETECTIONS)
    team = join(params.machine)
    device = team.device
    if team.size > 1:
        raise UserError("launcher: detect is one process, its batch being 2 pictures; use python")
    trunk = load_trunk(network_file)
    source, trainval, test = open_voc(params, manifest)
    check_batch(settings.pictures, len(trainval), "detect.pictures")
    check_size(trunk, shortest_side(settings, trainval, test), "detect.short_sides")
    side = pooled_cells(trunk, params.finetune.input)
    trained_on, regions = regions_of(proposals, trainval, "trainval")
    _, test_regions = regions_of(proposals, test, "test")
    examples = [make_example(trainval.objects(row), boxes) for row, boxes in enumerate(regions)]
    taught = len(usable(examples, settings))
    if 2 * taught < settings.pictures:
        raise UserError(
            f"detect.pictures: {settings.pictures} a batch, but {taught} of trainval's "
            f"{len(trainval)} pictures have regions to learn from; use at most {2 * taught}"
        )
    training = TrainingSet(trainval.pictures(), examples)
    network = make_detector(trunk, training, len(trainval.classes), side, settings, seed, device)
    optimizer = make_optimizer(network, settings)
    scratch = scratch_folder(
        params.machine.scratch,
        f"detect-{seed}",
        parameters=used,
        seed=seed,
        manifest=manifest,
        trainval=trained_on,
        network=network_file,
        computing=team.computing,
    )
    with Run(scratch, {"network": network, "optimizer": optimizer}) as run:
        train(network, optimizer, training, settings, seed, run, team, network_file)
        start_of_test = time.perf_counter()
        names = [one.name for one in test.annotations]
        found = detected(network, test, test_regions, settings, team)
        write_results(detections, names, test.classes, found)
        measured = judged(read_results(detections, names, test.classes), test)
        seconds = run.seconds + time.perf_counter() - start_of_test
        where = provenance(used, seed, source, seconds, device)
        write_json(out, {"measured": measured, "provenance": where}, kind)
        run.finish()
