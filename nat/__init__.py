"""Noise As Targets: the reference pipeline of "Unsupervised Learning by Predicting Noise"."""

TYPE_CHECKING = False  # typing's own, without loading it: this file comes before all signals
if TYPE_CHECKING:
    from nat.api.kept import load_kept
    from nat.api.load import load_trunk

__all__ = ["__version__", "load_kept", "load_trunk"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Import on first use: `import nat` alone loads no PyTorch."""
    if name == "load_trunk":
        from nat.api import load as trunk

        return trunk.load_trunk
    if name == "load_kept":
        from nat.api import kept

        return kept.load_kept
    raise AttributeError(f"module 'nat' has no attribute {name!r}")
