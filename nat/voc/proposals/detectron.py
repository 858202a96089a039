"""Read proposals in the file format of Detectron and Detectron2: pickles.

A dict of lists with an entry an image: ``boxes``, an array (m, 4) of xmin, ymin, xmax, ymax
counted from 0, both ends inclusive; ``scores`` or ``objectness_logits``, an array (m,), the higher
the better, all 0 for selective search; ``indexes`` or ``ids``, an image's number or name.
Detectron2 adds ``bbox_mode``, 0 for these coordinates. The keys are those of Detectron's public
converter and reader. That VOC 2007's numbers are the images' names without leading zeros, and
``objectness_logits`` and ``bbox_mode``, are general knowledge, not taken from a file.
"""

from pathlib import Path
from typing import Any

import numpy as np

from nat.runtime.errors import UserError
from nat.runtime.io.unpickle import read_plain_pickle
from nat.voc.data.boxes import corners
from nat.voc.proposals.published import Published

DIGITS = 6  # of VOC 2007's names, such as 000005
LONGEST = 100  # characters of a name


def read_detectron(path: Path) -> dict[str, Published]:
    """The boxes of every image in the file, best first.

    Returns:
        By image, by falling score, and in the file's order where scores are equal.

    Raises:
        UserError: missing, damaged, or with other content; a pickle that would run code.
    """
    content = read_plain_pickle(path, "mend `proposals` in params.yaml")

    def fault(what: str) -> UserError:
        return UserError(f"{path}: {what}; should be proposals as Detectron writes them")

    if not isinstance(content, dict):
        raise fault("holds no dict")
    entries = [
        _entry(content, keys)
        for keys in (("boxes",), ("scores", "objectness_logits"), ("indexes", "ids"))
    ]
    if any(entry is None for entry in entries):
        raise fault("lacks boxes, scores or indexes")
    boxes, scores, indexes = ([] if entry is None else entry for entry in entries)
    if not len(boxes) == len(scores) == len(indexes):
        raise fault(f"{len(boxes)} boxes, {len(scores)} scores, {len(indexes)} indexes")
    mode = content.get("bbox_mode", 0)
    if not isinstance(mode, int) or mode != 0:
        raise fault("bbox_mode is not 0 (corners, in pixels), the only known one")
    found: dict[str, Published] = {}
    for row, (index, each, rank) in enumerate(zip(indexes, boxes, scores, strict=True)):
        name = _name(index)
        if name is None:
            raise fault(f"entry {row} of indexes is no number or name of an image")
        try:
            numbers = corners(each)
            ranks = np.asarray(rank, float).reshape(len(numbers))
        except (TypeError, ValueError, OverflowError) as error:
            raise fault(f"boxes or scores of {name} are no numbers (m, 4) and (m,)") from error
        if name in found:
            raise fault(f"the image {name} is there twice")
        order = np.argsort(-ranks, kind="stable")
        found[name] = Published(numbers[order] + 1, ranks[order])
    return found


def _entry(content: dict[str, Any], keys: tuple[str, ...]) -> list | None:
    found = next((content[key] for key in keys if key in content), None)
    if isinstance(found, np.ndarray) and found.ndim:
        found = list(found)
    return found if isinstance(found, list) else None


def _name(index: Any) -> str | None:
    if isinstance(index, int | np.integer) and 0 <= int(index) < 10**LONGEST:
        index = str(index)
    if isinstance(index, bytes):
        index = index.decode("latin1")
    if not isinstance(index, str) or not index.isprintable() or len(index) > LONGEST:
        return None
    text = index.removesuffix(".jpg")
    return text.zfill(DIGITS) if text.isdigit() else text or None
