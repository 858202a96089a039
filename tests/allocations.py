"""What operations make, without looking at a machine's memory, which other work disturbs."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class Allocations(TorchDispatchMode):
    """Notes how many numbers each new tensor holds; views and changes in place make none."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if not (func.is_view or func._schema.is_mutable):
            made = found if isinstance(found, tuple | list) else [found]
            self.sizes += [one.numel() for one in made if isinstance(one, torch.Tensor)]
        return found
