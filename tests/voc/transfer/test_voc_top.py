from pathlib import Path
from typing import Any

import pytest

from nat.network.model import Network, save_network
from nat.runtime import device
from nat.runtime.errors import UserError
from nat.voc.transfer.top import hidden_layers, load_trunk


@pytest.mark.parametrize(
    ("preprocessing", "channels", "works"),
    [("sobel", 3, True), ("clean", 1, True), ("clean", 3, False), ("high-pass", 3, False)],
)
def test_a_trunk_that_looks_at_colours_is_refused(
    preprocessing: str, channels: int, works: bool, make_params: Any, tmp_path: Path
) -> None:
    model = make_params(model={"preprocessing": preprocessing}).model
    save_network(Network(model, 28, 3, channels), tmp_path / "n.safetensors")
    if works:
        assert load_trunk(tmp_path / "n.safetensors").channels == channels
    else:
        with pytest.raises(UserError, match="looks at 3 colour channels"):
            load_trunk(tmp_path / "n.safetensors")


def test_layers_larger_than_all_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "memory", lambda: 2 * 4 * (10 + 100) * 100)
    hidden_layers(10, 100, 0.0, "detect.hidden")
    with pytest.raises(UserError, match=r"detect\.hidden: makes layers of 11,100 weights"):
        hidden_layers(11, 100, 0.0, "detect.hidden")
