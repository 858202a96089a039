"""Selective search (Uijlings et al., 2013) with OpenCV's implementation, over a whole split.

Similar neighbouring segments are merged, pair by pair, until the image is one; the box of every
segment on the way is a proposal. "Fast" mode as R-CNN has it: segmentations of the scales 50 and
100, a segment having at least as many pixels, in two colour spaces, by two measures of similarity.
OpenCV's own scales, 150, 300 and 450 with segments of at least 100 pixels, are coarser: of 20
pixels or more they give two photographs of 500 x 375 pixels 1,114 and 578 boxes instead of 2,234
and 1,577.

Colour spaces add little to a grey image, which is searched in its one channel instead: on 200
composed images, enlarged to 90 pixels, 2.4 times as fast, with 52 boxes an image that cover 99.0 %
of the objects, where colour spaces find 90 that cover all.

Which boxes OpenCV finds follows from the image, in which order from the C library's random
numbers, and from nothing it finds out. So the order is replaced by a drawn one of our own.
"""

import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from pydantic import TypeAdapter

from nat.data.seeds import generator
from nat.runtime.errors import UserError
from nat.runtime.io.files import write_json
from nat.runtime.io.outputs import FILE_OF_OURS
from nat.runtime.progress import progress
from nat.runtime.resume import state_folder
from nat.runtime.settings.params import NotNegative, ProposalSettings
from nat.voc.data.boxes import clean
from nat.voc.data.proposals import load_proposals, save_proposals
from nat.voc.data.reader import Annotation, VocSplit

CHUNK = 16  # images between two states of an interrupted search
AHEAD = 4  # images a thread may be given before the first of them is done


def check_opencv() -> None:
    """Fail before the work where OpenCV comes without its further modules.

    Raises:
        UserError: names the package to install.
    """
    if not hasattr(getattr(cv2, "ximgproc", None), "segmentation"):
        raise UserError(
            "proposals.source: selective-search needs OpenCV's further modules, which this OpenCV "
            f"{cv2.__version__} lacks; run `pip uninstall -y opencv-python opencv-python-headless` "
            "and `pip install --force-reinstall opencv-contrib-python-headless`, or read published "
            "boxes by proposals.source"
        )


def search(image: np.ndarray, settings: ProposalSettings, draws: torch.Generator) -> np.ndarray:
    """Proposals for an image.

    Args:
        image: uint8 (h, w, 3), RGB.
        settings: count, smallest, short_side, segments and sigma are used.
        draws: of the boxes' order; the search knows no better one.

    Returns:
        int64 (m, 4), at least one, at most count: xmin, ymin, xmax, ymax; pixels counted from 1,
        both ends inclusive. The whole image if nothing in it is large enough.
    """
    height, width, _ = image.shape
    rectangles = _rectangles(_resized(image, settings.short_side), settings)
    scale = 1.0 if settings.short_side is None else settings.short_side / min(height, width)
    start, size = rectangles[:, :2], rectangles[:, 2:]
    # every pixel that the rectangle touches
    first, last = np.floor(start / scale) + 1, np.ceil((start + size) / scale)
    boxes = np.unique(np.concatenate([first, last], axis=1).astype(np.int64), axis=0)
    drawn = boxes[torch.randperm(len(boxes), generator=draws).numpy()]
    found = clean(drawn, width, height, settings.smallest)[0][: settings.count]
    return found if len(found) else np.array([[1, 1, width, height]])


def _resized(image: np.ndarray, short_side: int | None) -> np.ndarray:
    if short_side is None:
        return image
    height, width, _ = image.shape
    scale = short_side / min(height, width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)


def _rectangles(image: np.ndarray, settings: ProposalSettings) -> np.ndarray:
    """What OpenCV finds: integers (m, 4) of left, top, width, height, counted from 0."""
    searcher = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
    searcher.setBaseImage(np.ascontiguousarray(image[..., ::-1]))  # OpenCV's order is BGR
    searcher.switchToSelectiveSearchFast()  # colour spaces and measures
    searcher.clearGraphSegmentations()
    for scale in settings.segments:
        segmentation = cv2.ximgproc.segmentation.createGraphSegmentation(
            settings.sigma, scale, scale
        )
        searcher.addGraphSegmentation(segmentation)
    if (image == image[..., :1]).all():
        searcher.clearImages()
        searcher.addImage(np.ascontiguousarray(image[..., 0]))
    return np.asarray(searcher.process()).reshape(-1, 4)


def search_split(
    split: VocSplit, settings: ProposalSettings, threads: int, scratch: Path, label: str
) -> tuple[dict[str, np.ndarray], float]:
    """Proposals for all images of a split; an interrupted search resumes.

    OpenCV releases Python's lock while it searches, nearly all of the time, so that threads work at
    once. Neither their number nor an interruption changes the result.

    Args:
        split: what to search.
        settings: as for ``search``.
        threads: images to search at the same time.
        scratch: a folder that belongs to exactly this search; stays until it is discarded.
        label: of the progress bar.

    Returns:
        int64 (m, 4) by image, and the seconds it took, interruptions not counted.

    Raises:
        UserError: an image that cannot be read, or a folder that cannot be written.
    """
    cv2.setNumThreads(1)  # an image is one thread's work

    def one(index: int) -> np.ndarray:
        name = split.annotations[index].name
        image = split.image(index, "RGB").numpy()
        return search(image, settings, generator(0, "proposals", name))

    found: dict[str, np.ndarray] = {}
    clock = scratch / "seconds.json"
    with state_folder(scratch), ThreadPoolExecutor(threads) as workers:
        seconds = _seconds(clock)
        parts: dict[Path, tuple[list[Annotation], dict[str, np.ndarray] | None]] = {}
        todo: list[int] = []
        for first in range(0, len(split), CHUNK):
            file, images = scratch / f"{first:06d}.safetensors", split.annotations[first:][:CHUNK]
            part = _part(file, images)
            parts[file] = images, part
            todo += [] if part else range(first, first + len(images))
        with (
            closing(_in_order(one, todo, workers, AHEAD * threads)) as searched,
            progress(total=len(split), label=label) as bar,
        ):
            for file, (images, part) in parts.items():
                if part is None:
                    start = time.perf_counter()
                    names = [image.name for image in images]
                    part = dict(zip(names, searched, strict=False))  # others follow
                    seconds += time.perf_counter() - start
                    write_json(clock, seconds, FILE_OF_OURS)
                    save_proposals(file, part)
                found |= part
                bar.update(len(images))
    return found, seconds


def _seconds(clock: Path) -> float:
    """What an interrupted search took; 0 where nothing readable says so."""
    try:
        return TypeAdapter(NotNegative).validate_json(clock.read_bytes(), strict=True)
    except FileNotFoundError:
        return 0.0
    except (OSError, ValueError):
        print(f"{clock}: damaged; the time until now is not counted", file=sys.stderr)
        clock.unlink(missing_ok=True)
        return 0.0


def _part(file: Path, images: Sequence[Annotation]) -> dict[str, np.ndarray] | None:
    """The boxes, int64 (m, 4), of these images that an interrupted search found; None without."""
    if not file.exists():
        return None
    with suppress(UserError):
        done = load_proposals(file)
        if done.names == [image.name for image in images]:
            found = {name: done[name].numpy().astype(np.int64) for name in done}
            if all(_within(found[image.name], image) for image in images):
                return found
    print(f"{file}: damaged; its images are searched again", file=sys.stderr)
    file.unlink()
    return None


def _within(boxes: np.ndarray, image: Annotation) -> bool:
    """Whether there are boxes, all of them in the image."""
    start, end = boxes[:, :2], boxes[:, 2:]
    limits = [image.width, image.height]
    return len(boxes) > 0 and bool(((start >= 1) & (start <= end) & (end <= limits)).all())


def _in_order(
    one: Callable[[int], np.ndarray], rows: Iterable[int], workers: ThreadPoolExecutor, ahead: int
) -> Generator[np.ndarray, None, None]:
    """The results for ``rows``, of which ``ahead`` are begun before the first is asked for."""
    left = iter(rows)
    begun: deque[Future[np.ndarray]] = deque()
    try:
        while True:
            begun.extend(workers.submit(one, row) for row in islice(left, ahead - len(begun)))
            if not begun:
                return
            yield begun.popleft().result()
    finally:
        for future in begun:
            future.cancel()
