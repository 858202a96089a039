from pathlib import Path
from typing import Any

import pytest

from nat.network.model import Network, save_network
from nat.runtime import device
from nat.runtime.errors import UserError
from nat.voc.transfer.top import hidden_layers, load_trunk


@pytest.mark.parametrize("preprocessing", ["sobel", "clean", "high-pass"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_trunk_keeps_the_channels_it_looks_at(
    preprocessing: str, channels: int, make_params: Any, tmp_path: Path
) -> None:
    model = make_params(model={"preprocessing": preprocessing}).model
    save_network(Network(model, 28, 3, channels), tmp_path / "n.safetensors")
    assert load_trunk(tmp_path / "n.safetensors").channels == channels


def test_layers_larger_than_all_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "memory", lambda: 2 * 4 * (10 + 100) * 100)
    hidden_layers(10, 100, 0.0, "detect.hidden")
    with pytest.raises(UserError, match=r"detect\.hidden: makes layers of 11,100 weights"):
        hidden_layers(11, 100, 0.0, "detect.hidden")
