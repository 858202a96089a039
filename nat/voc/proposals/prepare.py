"""Proposals for trainval and test: computed or read, checked against the images, and measured."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nat.runtime.code import code_of
from nat.runtime.device import prepare_device
from nat.runtime.errors import UserError
from nat.runtime.io.files import atomic_write, check_output, discard, sha256, write_json
from nat.runtime.io.outputs import folder
from nat.runtime.io.paths import place
from nat.runtime.provenance import provenance
from nat.runtime.resume import scratch_folder, state_folder
from nat.runtime.settings.params import Params, ProposalSettings
from nat.voc.data.boxes import clean, recall
from nat.voc.data.manifest import open_voc
from nat.voc.data.proposals import Proposals, save_proposals
from nat.voc.data.reader import VocSplit
from nat.voc.proposals.detectron import read_detectron
from nat.voc.proposals.matlab import read_mat
from nat.voc.proposals.selective_search import check_opencv, search_split

FOLDER = folder(
    "proposals that `nat proposals` wrote", "summary.json", r"(trainval|test)\.safetensors"
)
READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    "mat": read_mat,
    "pickle": read_detectron,
}


def prepare_proposals(params: Params, manifest: Path, out: Path) -> None:
    """Write the proposals of both splits and what they cover of the ground truth.

    Args:
        params: proposals is used; voc.folder and machine.data tell where the images lie.
        manifest: what ``nat prepare voc`` wrote.
        out: a folder: trainval.safetensors, test.safetensors (see store.py) and summary.json with
            ``recall_trainval`` and ``recall_test``, the percentage of objects (difficult ones left
            out) that a box overlaps with IoU >= 0.5, and ``boxes_per_image``, the mean.

    Raises:
        UserError: faulty data, a proposal file of other images, an unwritable output, or an
            OpenCV that cannot search.
    """
    check_output(out, FOLDER)
    settings = params.proposals
    if settings.source == "selective-search":
        check_opencv()
    device = prepare_device(params.machine.model_copy(update={"device": "cpu"}))
    data, trainval, test = open_voc(params, manifest)
    splits = {"trainval": trainval, "test": test}
    used: dict[str, Any] = params.model_dump(include={"proposals"})
    scratches = {
        name: scratch_folder(
            params.machine.scratch,
            f"proposals-{name}",
            code=code_of("proposals", "", params),
            parameters=used,
            manifest=manifest,
            opencv=cv2.__version__,
        )
        for name in splits
    }
    found: dict[str, dict[str, np.ndarray]] = {}
    seconds = 0.0
    for name, split in splits.items():
        start = time.perf_counter()
        if settings.source == "selective-search":
            threads = params.machine.threads
            found[name], took = search_split(split, settings, threads, scratches[name], name)
        else:
            file = place(str(getattr(settings, name)))
            found[name] = fitted(READERS[settings.source](file), split, file, settings)
            used |= {f"{name} sha256": sha256(file)}  # a path alone does not tell what was read
            took = time.perf_counter() - start
        seconds += took
    covered = {name: covers(splits[name], boxes) for name, boxes in found.items()}
    each = [len(boxes) for one in found.values() for boxes in one.values()]
    measured = {
        **{f"recall_{name}": value for name, value in covered.items()},
        "boxes_per_image": round(sum(each) / len(each), 1),
    }
    with atomic_write(out, FOLDER) as temporary:
        temporary.mkdir()
        for name, boxes in found.items():
            save_proposals(temporary / f"{name}.safetensors", boxes)
        where = provenance(used, 0, data, seconds, device)
        write_json(temporary / "summary.json", {"measured": measured, "provenance": where})
    for scratch in scratches.values():
        with state_folder(scratch):
            discard(scratch)
    print(
        f"objects covered at IoU 0.5: {covered['trainval']} % of trainval, {covered['test']} % of "
        f"test; {measured['boxes_per_image']} boxes an image",
        flush=True,  # where it is a full disk, that is told here and not while Python ends
    )


def covers(split: VocSplit, found: dict[str, np.ndarray]) -> float:
    """Recall in percent."""
    return round(100 * recall(split, Proposals(list(found), list(found.values()))), 2)


def fitted(
    found: dict[str, np.ndarray], split: VocSplit, file: Path, settings: ProposalSettings
) -> dict[str, np.ndarray]:
    """A file's boxes for the images of a split, in its order, inside the images.

    Images of the file that are not in the split are left out.

    Raises:
        UserError: an image without usable boxes, or none of the images in the file.
    """
    missing = [one.name for one in split.annotations if one.name not in found]
    if len(missing) == len(split):
        raise UserError(
            f"{file}: holds none of the {len(split)} images, but {_some(list(found))}: it is of "
            "another split or data set; mend proposals.trainval and proposals.test"
        )
    if missing:
        raise UserError(
            f"{file}: lacks {len(missing)} of {len(split)} images, first {missing[0]}; name the "
            "file of the whole split"
        )
    kept = {}
    for one in split.annotations:
        boxes = clean(found[one.name], one.width, one.height, settings.smallest, settings.count)
        if not len(boxes):
            if np.isfinite(found[one.name]).all(axis=1).any():
                what = f"no box of {settings.smallest} pixels or more inside its "
                what += f"{one.width} x {one.height}; lower proposals.smallest or name"
            else:
                what = "only boxes that are no finite numbers" if len(found[one.name]) else "no box"
                what += "; name"
            raise UserError(
                f"{file}: image {one.name} has {what} the file of these images, with boxes for each"
            )
        kept[one.name] = boxes
    return kept


def _some(names: list[str]) -> str:
    return f"{len(names)} others, such as {names[0]}" if names else "no image at all"
