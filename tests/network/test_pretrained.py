"""The folder of a network, which replaces that of the same command and nothing else."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nat.data.seeds import generator
from nat.network.model import Network, initialise, load_network
from nat.network.pretrained import check_network, checkpoint, write_network
from nat.runtime.errors import UserError


@pytest.fixture
def network(make_params: Any) -> Network:
    network = Network(make_params().model, 28, 8)
    initialise(network, generator(0, "weights"))
    return network


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_nat_s_holds_assignment_and_checkpoints_and_others_the_network_alone(
    network: Network, tmp_path: Path
) -> None:
    nat, labels, state = tmp_path / "nat", tmp_path / "labels", tmp_path / "state"
    for epoch in (1, 12):
        checkpoint(network, state, epoch)
    write_network(nat, network, "nat", state, torch.arange(5).flip(0), [1, 12])
    write_network(labels, network, "labels", tmp_path / "other")
    checkpoints = [f"checkpoints/epoch-{epoch}.safetensors" for epoch in ("0001", "0012")]
    assert files(nat) == ["assignment.npy", *checkpoints, "network.safetensors"]
    assert files(labels) == ["network.safetensors"]
    assert np.load(nat / "assignment.npy").tolist() == [4, 3, 2, 1, 0]
    expected = network.state_dict()
    for file in ("network.safetensors", *checkpoints):
        found = load_network(nat / file).state_dict()
        assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_only_the_checkpoints_that_are_named_are_handed_on(
    network: Network, tmp_path: Path
) -> None:
    """A state may hold more: of an interrupted training that was to be longer."""
    for epoch in (1, 2, 3):
        checkpoint(network, tmp_path / "state", epoch)
    write_network(tmp_path / "nat", network, "nat", tmp_path / "state", torch.arange(5), [2])
    assert files(tmp_path / "nat/checkpoints") == ["epoch-0002.safetensors"]
    with pytest.raises(UserError, match=r"epoch-0004\.safetensors: missing in the state .*remove"):
        write_network(tmp_path / "nat", network, "nat", tmp_path / "state", torch.arange(5), [2, 4])
    assert files(tmp_path / "nat/checkpoints") == ["epoch-0002.safetensors"]


def test_a_folder_of_another_command_is_left_alone(network: Network, tmp_path: Path) -> None:
    nat, labels = tmp_path / "nat", tmp_path / "labels"
    write_network(nat, network, "nat", None, torch.arange(5))
    write_network(labels, network, "labels")
    for method in ("labels", "random"):
        check_network(labels, method)
        with pytest.raises(UserError, match="a network's folder that `nat train` wrote"):
            check_network(nat, method)
    check_network(nat, "nat")
    (labels / "notes.txt").write_text("mine")
    for method in ("nat", "labels"):
        with pytest.raises(UserError, match="a network's folder that `nat "):
            write_network(labels, network, method)
    assert files(labels) == ["network.safetensors", "notes.txt"]
    assert "assignment.npy" in files(nat)
