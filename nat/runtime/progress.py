"""How far work is: bars on a terminal, a line an epoch elsewhere.

Of the processes that torchrun starts, the main one alone tells.
"""

import os
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress(iterable: Iterable | None = None, label: str = "", **options: Any) -> tqdm:
    """A tqdm bar over ``iterable`` on standard error that is quiet when that is no terminal."""
    quiet = not (attended() and _is_main())
    return tqdm(iterable, desc=label, disable=quiet, leave=False, dynamic_ncols=True, **options)


def attended() -> bool:
    """Whether standard error is a terminal, where bars show; else it is a file or a pipe."""
    return sys.stderr.isatty()


def say(line: str) -> None:
    """A line on standard error, above the bars that are shown."""
    if _is_main():
        tqdm.write(line, file=sys.stderr)
        sys.stderr.flush()


def duration(seconds: float) -> str:
    """Rounded to what a reader wants to know: 41 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _is_main() -> bool:
    return os.environ.get("RANK", "0") == "0"
