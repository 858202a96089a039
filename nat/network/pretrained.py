"""The folder that every way of training a trunk hands on, which probe and finetune read.

network.safetensors  trunk and head; or not-run.json, why the method was not run on the data
checkpoints/         epoch-EEEE.safetensors every ``save_every`` epochs but the last (NAT only)
assignment.npy       int64 (n,), the target row of each image (NAT only)
"""

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field

from nat.network.model import NETWORK, Network, save_network
from nat.runtime.errors import UserError
from nat.runtime.io.arrays import save_array
from nat.runtime.io.files import atomic_write, check_output, write_json
from nat.runtime.io.foreign import reading
from nat.runtime.io.outputs import NOTHING, Kind, folder, json_like
from nat.runtime.naming import Name
from nat.runtime.progress import say
from nat.runtime.results import write_result
from nat.runtime.settings.params import NAT

NOT_RUN = "not-run.json"


def check_network(out: Path, method: str) -> None:
    """Fail now if ``write_network`` could not write its folder later, or should not.

    Raises:
        UserError: names the folder.
    """
    check_output(out, _kind(method))


def _kind(method: str) -> Kind:
    """What the folder may replace: that of the same command."""
    command, others = "train", ""
    if method == NAT:
        command, others = "pretrain", r"assignment\.npy|checkpoints"
    what = f"a network's folder that `nat {command}` wrote"
    network = folder(what, "network.safetensors", others, NETWORK)
    none = folder(what, NOT_RUN, of=json_like({"reason": "", "provenance": {}}))
    return Kind(what, lambda path: network.is_mine(path) or none.is_mine(path), folder=True)


def checkpoint_name(epoch: int) -> str:
    """The file of the network as it is after ``epoch``, counted from 1."""
    return f"epoch-{epoch:04d}.safetensors"


def checkpoint(network: Network, state: Path, epoch: int) -> None:
    """Keep the network as it is after ``epoch``, counted from 1, for the evolution figure."""
    save_network(network, state / "checkpoints" / checkpoint_name(epoch))


def write_network(
    out: Path,
    network: Network,
    method: str,
    state: Path | None = None,
    assignment: torch.Tensor | None = None,
    checkpoints: Collection[int] = (),
) -> None:
    """Write the folder, whole.

    Args:
        out: the folder.
        network: to hand on.
        method: that trained it.
        state: the folder of the run's state, with its checkpoints; None for an untrained network.
        assignment: NAT's P, int64 (n,).
        checkpoints: the epochs, counted from 1, after which ``checkpoint`` was called.

    Raises:
        UserError: a checkpoint is missing in the run's state, or the folder cannot be written.
    """
    with atomic_write(out, _kind(method)) as temporary:
        temporary.mkdir()
        save_network(network, temporary / "network.safetensors")
        if assignment is not None:
            save_array(temporary / "assignment.npy", assignment.numpy())
            (temporary / "checkpoints").mkdir()
        for epoch in checkpoints:
            _copy(checkpoint_name(epoch), state, temporary / "checkpoints")


def write_not_run(out: Path, method: str, reason: str, provenance: dict[str, Any]) -> None:
    """Write the folder of a method that the data cannot serve.

    Args:
        out: the folder.
        method: of it.
        reason: it was not run for.
        provenance: of that finding.
    """
    with atomic_write(out, _kind(method)) as temporary:
        temporary.mkdir()
        write_json(temporary / NOT_RUN, {"reason": reason, "provenance": provenance}, NOTHING)


class NotRun(BaseModel):
    """What ``write_not_run`` wrote."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    reason: Annotated[str, Field(min_length=1, max_length=500)]
    provenance: dict[str, Any]


def passed_on(network: Path, stage: str, name: Name, out: Path) -> bool:
    """Whether the method was not run, in which case the result says so.

    Args:
        network: the file that a stage would read.
        stage: that it is.
        name: of the training.
        out: the stage's result to write.

    Raises:
        UserError: the reason cannot be read, or the result cannot be written.
    """
    file = network.parent / NOT_RUN
    if network.exists() or not file.is_file():
        return False
    with reading(file, "reason of this project", "make it again with `python -m nat train`"):
        found = NotRun.model_validate_json(file.read_bytes())
    say(f"{stage} {name}: not run, {found.reason}")
    write_result(out, stage, name, {}, found.provenance, not_run=found.reason)
    return True


def _copy(name: str, state: Path | None, folder: Path) -> None:
    assert state is not None
    try:
        shutil.copyfile(state / "checkpoints" / name, folder / name)
    except FileNotFoundError as error:
        raise UserError(
            f"{error.filename}: missing in the state of this run; remove {state} to start it "
            "from its first epoch"
        ) from error
