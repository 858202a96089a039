"""Noise As Targets: the reference pipeline of "Unsupervised Learning by Predicting Noise"."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nat.trunk import load_trunk

__all__ = ["__version__", "load_trunk"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import on first use: `import nat` alone loads no PyTorch."""
    if name == "load_trunk":
        return importlib.import_module("nat.trunk").load_trunk
    raise AttributeError(f"module 'nat' has no attribute {name!r}")
