"""Progress bars: shown on a terminal, silent elsewhere."""

import os
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def progress(iterable: Iterable | None = None, label: str = "", **options: Any) -> tqdm:
    """A tqdm bar over ``iterable`` on standard error that is quiet when that is no terminal.

    Of the processes that torchrun starts, the first alone shows it.
    """
    quiet = not sys.stderr.isatty() or os.environ.get("RANK", "0") != "0"
    return tqdm(iterable, desc=label, disable=quiet, leave=False, dynamic_ncols=True, **options)
