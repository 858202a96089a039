"""What every way of training a trunk hands on: two folders, the same for each row of the tables.

The network's, which probe and finetune read:
    network.safetensors  trunk and head
    checkpoints/         epoch-EEEE.safetensors every ``save_every`` epochs but the last (NAT only)
    assignment.npy       int64 (n,), the target row of each image (NAT only)

The record's, small, which the reports read:
    record.json          loss, speed, provenance
    history.csv          a row an epoch (trained networks only)
"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nat.files import whole, write_json
from nat.model import Network, save_network
from nat.training.history import write_history
from nat.training.run import Run


def checkpoint(network: Network, scratch: Path, epoch: int) -> None:
    """Keep the network as it is after ``epoch``, counted from 1, for the evolution figure."""
    save_network(network, scratch / "checkpoints" / f"epoch-{epoch:04d}.safetensors")


def write_pretrained(
    out: Path,
    record: Path,
    network: Network,
    run: Run | None,
    provenance: dict[str, Any],
    seen: int = 0,
    measured: dict[str, Any] | None = None,
    assignment: torch.Tensor | None = None,
) -> None:
    """Write both folders, each whole.

    Args:
        out: the network's folder.
        record: the record's folder.
        network: to hand on.
        run: its history and checkpoints; None for an untrained network.
        provenance: of the run.
        seen: pictures that training has looked at, for the speed.
        measured: further numbers for the record.
        assignment: NAT's P, int64 (n,).
    """
    with whole(out) as temporary:
        temporary.mkdir()
        save_network(network, temporary / "network.safetensors")
        if assignment is not None:
            np.save(temporary / "assignment.npy", assignment.numpy())
            (temporary / "checkpoints").mkdir()
        if run is not None and (run.folder / "checkpoints").is_dir():
            shutil.copytree(
                run.folder / "checkpoints", temporary / "checkpoints", dirs_exist_ok=True
            )
    with whole(record) as temporary:
        temporary.mkdir()
        found: dict[str, Any] = {}
        if run is not None:
            write_history(run.history, temporary / "history.csv")
            found["loss"] = run.history[-1]["loss"]
            found["images_per_second"] = round(seen / run.seconds)
        found |= measured or {}
        write_json(temporary / "record.json", {"measured": found, "provenance": provenance})
