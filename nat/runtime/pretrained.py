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
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from nat.network.model import NETWORK, Network, save_network
from nat.runtime.errors import UserError
from nat.runtime.history import write_history
from nat.runtime.io.arrays import save_array
from nat.runtime.io.files import check_output, whole, write_json
from nat.runtime.io.outputs import Kind, folder, result
from nat.runtime.resume import Run


def check_pretrained(out: Path, record: Path, parameters: Collection[str], command: str) -> None:
    """Fail now if ``write_pretrained`` could not write its folders later, or should not.

    Raises:
        UserError: names the folder.
    """
    for path, kind in zip((out, record), _kinds(parameters, command), strict=True):
        check_output(path, kind)


def _kinds(parameters: Collection[str], command: str) -> tuple[Kind, Kind]:
    """What both folders may replace: those of the same command."""
    by = f"that `nat {command}` wrote"
    others = r"assignment\.npy|checkpoints" if command == "pretrain" else ""
    return (
        folder(f"a network's folder {by}", "network.safetensors", others, NETWORK),
        folder(f"a record {by}", "record.json", r"history\.csv", result("", parameters)),
    )


def checkpoint_name(epoch: int) -> str:
    """The file of the network as it is after ``epoch``, counted from 1."""
    return f"epoch-{epoch:04d}.safetensors"


def checkpoint(network: Network, scratch: Path, epoch: int) -> None:
    """Keep the network as it is after ``epoch``, counted from 1, for the evolution figure."""
    save_network(network, scratch / "checkpoints" / checkpoint_name(epoch))


def write_pretrained(
    out: Path,
    record: Path,
    network: Network,
    run: Run | None,
    provenance: dict[str, Any],
    command: str,
    seen: int = 0,
    measured: dict[str, Any] | None = None,
    assignment: torch.Tensor | None = None,
    checkpoints: Collection[int] = (),
) -> None:
    """Write both folders, each whole.

    Args:
        out: the network's folder.
        record: the record's folder.
        network: to hand on.
        run: its history and checkpoints; None for an untrained network.
        provenance: of the run.
        command: of this project that makes it.
        seen: pictures that training has looked at, for the speed.
        measured: further numbers for the record.
        assignment: NAT's P, int64 (n,).
        checkpoints: the epochs, counted from 1, after which ``checkpoint`` was called.

    Raises:
        UserError: a checkpoint is missing in the run's state, or a folder cannot be written.
    """
    network_kind, record_kind = _kinds(provenance["parameters"].keys(), command)
    with whole(out, network_kind) as temporary:
        temporary.mkdir()
        save_network(network, temporary / "network.safetensors")
        if assignment is not None:
            save_array(temporary / "assignment.npy", assignment.numpy())
            (temporary / "checkpoints").mkdir()
        for epoch in checkpoints:
            _copy(checkpoint_name(epoch), run, temporary / "checkpoints")
    with whole(record, record_kind) as temporary:
        temporary.mkdir()
        found: dict[str, Any] = {}
        if run is not None:
            write_history(run.history, temporary / "history.csv")
            found["loss"] = run.history[-1]["loss"]
            found["images_per_second"] = round(seen / run.seconds)
        found |= measured or {}
        write_json(temporary / "record.json", {"measured": found, "provenance": provenance})


def _copy(name: str, run: Run | None, folder: Path) -> None:
    assert run is not None
    try:
        shutil.copyfile(run.folder / "checkpoints" / name, folder / name)
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename}: missing in the state of this run; remove {run.folder} to start it "
            "from its first epoch"
        ) from error
