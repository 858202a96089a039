"""One seed; every random draw comes from a generator derived from it by purpose.

A generator per purpose and epoch makes a resumed epoch draw what the uninterrupted one would have
drawn, without random state in the checkpoint, and keeps one draw from shifting another.
"""

import hashlib

import torch


def derive(seed: int, *purpose: str | int) -> int:
    """A 63-bit seed for ``purpose``, e.g. ``derive(seed, "augment", epoch)``."""
    words = "/".join(str(word) for word in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "little") >> 1


def generator(seed: int, *purpose: str | int) -> torch.Generator:
    """A CPU generator for ``purpose``."""
    return torch.Generator().manual_seed(derive(seed, *purpose))


def seed_layers(seed: int, *purpose: str | int) -> None:
    """Seed the global generator, which layers such as dropout draw from."""
    torch.manual_seed(derive(seed, *purpose))
