"""What every way of training a trunk hands on: one folder, the same for each row of the tables.

network.safetensors  trunk and head
history.csv          a row an epoch
record.json          loss, speed, provenance
checkpoints/         epoch-EEEE.safetensors every ``save_every`` epochs
assignment.npy       NAT only: int64 (n,), the target row of each image
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
    network: Network,
    run: Run | None,
    provenance: dict[str, Any],
    seen: int,
    assignment: torch.Tensor | None = None,
) -> None:
    """Write the folder, whole.

    Args:
        out: the folder.
        network: trained.
        run: its history and checkpoints; None for an untrained network.
        provenance: of the run.
        seen: pictures that training has looked at, for the speed.
        assignment: NAT's P, int64 (n,).
    """
    with whole(out) as temporary:
        checkpoints = temporary / "checkpoints"
        checkpoints.mkdir(parents=True)
        measured = {}
        if run is not None:
            for file in sorted(run.folder.glob("checkpoints/*.safetensors")):
                shutil.copy(file, checkpoints)
            write_history(run.history, temporary / "history.csv")
            measured["loss"] = run.history[-1]["loss"]
            measured["images_per_second"] = round(seen / run.seconds)
        save_network(network, temporary / "network.safetensors")
        if assignment is not None:
            np.save(temporary / "assignment.npy", assignment.numpy())
        write_json(temporary / "record.json", {"measured": measured, "provenance": provenance})
