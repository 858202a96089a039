"""Whether the disk holds a store: said before hours of work, not after them."""

import shutil
import sys
from pathlib import Path

from nat.runtime.errors import UserError


def announce_space(
    stores: Path, counts: dict[str, int], image: int, present: int = 0, beside: Path | None = None
) -> None:
    """Say on standard error what a store takes and what is free.

    Args:
        stores: the folder to write in; made if missing.
        counts: images by split.
        image: bytes of one.
        present: bytes that an interrupted preparation has written already.
        beside: the unfinished store of this preparation, which is none of the forgotten ones.

    Raises:
        UserError: the free space does not suffice; names unfinished stores that could be removed.
    """
    stores.mkdir(parents=True, exist_ok=True)
    total = sum(counts.values()) * image
    free = shutil.disk_usage(stores).free
    words = " + ".join(f"{count:,} {split}" for split, count in counts.items())
    print(
        f"images: {words}, {image:,} bytes each: {_size(total)} in {stores}, where "
        f"{_size(free)} are free",
        file=sys.stderr,
    )
    if total - present > free:
        forgotten = [str(path) for path in stores.glob("unfinished-*/") if path != beside]
        removal = f", remove the unfinished {', '.join(forgotten)}" if forgotten else ""
        raise UserError(
            f"{stores}: the images need {_size(total - present)} more, "
            f"{_size(free)} are free; name a larger disk by machine.data{removal} "
            "or take fewer by images.train"
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
