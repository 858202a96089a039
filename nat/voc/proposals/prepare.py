"""Proposals for trainval and test: computed or read, checked against the images, and measured."""

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from nat.runtime.code import code_of
from nat.runtime.device import prepare_device
from nat.runtime.io.files import atomic_write, check_output, discard, sha256, write_json
from nat.runtime.io.outputs import folder
from nat.runtime.provenance import provenance
from nat.runtime.resume import scratch_folder, state_folder
from nat.runtime.settings.params import Params
from nat.voc.data.boxes import recall
from nat.voc.data.manifest import open_voc
from nat.voc.data.proposals import Proposals, save_proposals
from nat.voc.data.reader import VocSplit
from nat.voc.proposals.detectron import read_detectron
from nat.voc.proposals.matlab import read_mat
from nat.voc.proposals.published import Reader, files_of, fitted, read_all
from nat.voc.proposals.selective_search import check_opencv, search_split

FOLDER = folder(
    "proposals that `nat proposals` wrote", "summary.json", r"(trainval|test)\.safetensors"
)
READERS: dict[str, Reader] = {"mat": read_mat, "pickle": read_detectron}


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
            threads = params.machine.workers
            found[name], took = search_split(split, settings, threads, scratches[name], name)
        else:
            files = files_of(getattr(settings, name))
            read = read_all(READERS[settings.source], files)
            found[name] = fitted(read, split, files, settings)
            # paths alone do not tell what was read
            used |= {f"{name} sha256": [sha256(file) for file in files]}
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
