"""For ``torch.hub.load(FOLDER, "nat_trunk", source="local")``, from a clone that is not installed.

The networks are in the clone once they are trained (``bash run.sh``) or pulled (``dvc pull``).
"""

from pathlib import Path
from typing import Any

dependencies = [
    "PIL", "numpy", "pydantic", "ruamel", "safetensors", "torch", "tqdm",
]  # fmt: skip


def nat_trunk(
    network: str | Path | None = None,
    method: str = "nat",
    seed: int = 0,
    size: int | None = None,
    device: str = "cpu",
) -> Any:
    """A trained trunk as an ``nn.Module``: images, uint8 or float (b, c, h, w), to conv5.

    Args:
        network: network.safetensors, or what ``nat export`` wrote; None is this clone's own.
        method: whose network of this clone: nat, labels, random.
        seed: of its training.
        size: what ``embed`` scales an image's short side to, pixels; None is the crop's.
        device: where to compute.

    Raises:
        UserError: there is no such network, or it is damaged.
    """
    from nat.api.load import load_trunk
    from nat.runtime.naming import Name

    own = Path(__file__).parent / Name(method, seed=seed).network / "network.safetensors"
    return load_trunk(own if network is None else network, size, device)
