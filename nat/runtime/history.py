"""The history of a training as CSV, a row an epoch, for ``dvc plots`` and people."""

import csv
from pathlib import Path
from typing import Any

from nat.runtime.io.files import whole


def write_history(rows: list[dict[str, Any]], path: Path) -> None:
    """Write rows with the keys of the first as the header; None leaves a field empty."""
    with whole(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
