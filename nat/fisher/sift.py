"""Dense SIFT (Lowe, 2004): a descriptor for each patch of a regular grid, at several sizes.

OpenCV computes them, upright, of keypoints that are placed here: its keypoint of size s has bins of
1.5 s pixels, four by four of them, so that a patch of p pixels is a keypoint of p / 6.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch

from nat.data.store import Store
from nat.runtime.progress import attended, progress, say

LENGTH = 128  # numbers of a descriptor: 4 x 4 bins of 8 directions
UPRIGHT = 0.0  # degrees
BINS, BIN_OF_SIZE = 4, 1.5  # OpenCV's
BLUR = 24  # a patch is blurred by its side over this, as VLFeat's dense SIFT has it (unverified)
UNBLURRED = 0.5  # pixels of blur that OpenCV takes an image to have
BATCH = 256  # images
TOLD = 5  # lines, where there is no terminal


def grid(side: int, patch: int, step: int) -> np.ndarray:
    """Centres of the patches along one side of an image, in the middle of it: float64 (k,).

    Whole pixels, to which OpenCV rounds; so an even patch is half a pixel beside its place.
    """
    room = side - patch
    return np.arange(room // step + 1) * float(step) + room % step // 2 + patch // 2


def descriptors(image: np.ndarray, patches: list[int], step: int) -> np.ndarray:
    """Descriptors of all patches that lie within an image.

    Args:
        image: uint8 (channels, h, w), of 1 or 3 channels (RGB, of which the luma is taken).
        patches: their sides, pixels.
        step: pixels between the centres of neighbours.

    Returns:
        float32 (t, 128) of unit length. A patch without any gradient has no descriptor.
    """
    grey = np.ascontiguousarray(image[0])
    if len(image) == 3:
        grey = cv2.cvtColor(np.ascontiguousarray(image.transpose(1, 2, 0)), cv2.COLOR_RGB2GRAY)
    found = []
    for patch in patches:
        size = patch / (BINS * BIN_OF_SIZE)
        keypoints = [
            cv2.KeyPoint(x, y, size, UPRIGHT)
            for y in grid(grey.shape[0], patch, step).tolist()
            for x in grid(grey.shape[1], patch, step).tolist()
        ]
        if keypoints:
            sift = cv2.SIFT.create(sigma=max(patch / BLUR, UNBLURRED))
            found.append(sift.compute(grey, keypoints)[1])
    lengths = [np.linalg.norm(each, axis=1, keepdims=True) for each in found]
    kept = [each[of[:, 0] > 0] / of[of[:, 0] > 0] for each, of in zip(found, lengths, strict=True)]
    return np.concatenate([np.empty((0, LENGTH), np.float32), *kept])


def described(
    store: Store, rows: torch.Tensor, patches: list[int], step: int, threads: int, label: str
) -> Iterator[tuple[torch.Tensor, list[np.ndarray]]]:
    """The descriptors of images, in batches; threads compute those of a batch at once.

    OpenCV releases Python's lock while it computes. Their number changes no result.

    Args:
        store: where the images are.
        rows: int64 (n,), which.
        patches: see ``descriptors``.
        step: likewise.
        threads: images to look at at the same time.
        label: of the progress.

    Yields:
        int64 (b,), rows, and the descriptors of each.
    """
    cv2.setNumThreads(1)  # an image is one thread's work
    tenth = -(-len(rows) // TOLD)
    done = 0
    with (
        ThreadPoolExecutor(threads) as workers,
        progress(total=len(rows), label=label, unit="images") as bar,
    ):
        for batch in rows.split(BATCH):
            images = store.batch(batch).numpy()
            yield batch, list(workers.map(lambda one: descriptors(one, patches, step), images))
            bar.update(len(batch))
            before, done = done, done + len(batch)
            if not attended() and before // tenth < done // tenth:
                say(f"{label}: {done:,} of {len(rows):,} images")
