"""The fixed target representations C of eq. 3, a file for each type, and their vectors.

Images are given targets through an assignment: image i has target row ``assignment[i]``. The
matrix C is fixed by the seed and never trained; k = n, so an assignment is a permutation (eq. 6).

A type is a file of this folder with a function ``sample(n, settings, draws)`` that returns Targets
of n rows; the file's name is the value of ``target_type``. If it has settings of its own, the file
defines them as a class ``Settings``, a TargetSettings with more, and params.yaml has them in the
group ``targets.NAME``.
"""

from pathlib import Path
from types import ModuleType

import numpy as np
import torch
import torch.nn.functional as F

from nat.data.seeds import generator
from nat.runtime.device import fits
from nat.runtime.errors import UserError
from nat.runtime.io.arrays import Kinds, open_array, save_array
from nat.runtime.io.files import atomic_write
from nat.runtime.io.foreign import reading
from nat.runtime.io.outputs import array
from nat.runtime.settings.families import load_member, own
from nat.runtime.settings.params import TargetSettings

ARRAY = array("targets that `nat targets` wrote")
PIECE = 2**16  # rows whose lengths are checked at once
SAMPLE = 64  # rows whose lengths are checked when a file is opened


class Targets:
    """The target set: ``len`` rows in ``dimension`` dimensions.

    Attributes:
        array: float32 or float16 (n, d), rows of unit length; or int64 (n,), where each row's only
            1 stands.
        dimension: d.
    """

    def __init__(self, array: torch.Tensor, dimension: int | None = None) -> None:
        """``dimension`` is needed for an ``array`` of (n,), whose n x d matrix is never built."""
        self.array = array
        self.dimension = dimension or array.shape[1]

    def __len__(self) -> int:
        return len(self.array)

    def cached_on(self, device: torch.device) -> "Targets":
        """The same targets in the GPU's memory, where they fit; else where they are."""
        if fits(self.array.nbytes, device):
            return Targets(self.array.to(device), self.dimension)
        return self

    def fault(self, file: Path) -> str | None:
        """The first row that is not of finite numbers, which no training can approach."""
        if self.array.ndim == 1:
            return None
        for first, piece in enumerate(self.array.split(PIECE)):
            wrong = torch.nonzero(~torch.isfinite(piece).all(1))
            if len(wrong):
                return f"{file}: target {first * PIECE + int(wrong[0])} is not of finite numbers"
        return None

    def vectors(self, rows: torch.Tensor, device: torch.device | None = None) -> torch.Tensor:
        """The target vectors of ``rows`` (b,): float32, (b, dimension), unit length.

        Args:
            rows: int64 (b,).
            device: to have them on, by default where the array is; nobody waits for a GPU.
        """
        chosen = self.array[rows.to(self.array.device, non_blocking=True)]
        if device is not None and chosen.device != device:
            if device.type == "cuda":
                chosen = chosen.pin_memory()
            chosen = chosen.to(device, non_blocking=True)
        if chosen.ndim == 2:
            return chosen.float()
        return F.one_hot(chosen, self.dimension).float()


def sample_targets(target_type: str, n: int, settings: TargetSettings, seed: int) -> Targets:
    """Sample n targets of a type, a file of this folder.

    Raises:
        UserError: the type refuses its settings, or its rows are not n of unit length, of which
            the assignment makes use (see alignments).
    """
    module, checked = settings_for(target_type, settings)
    targets: Targets = module.sample(n, checked, generator(seed, "targets"))
    if len(targets) != n:
        raise UserError(f"{module.__file__}: sample gave {len(targets)} rows, not n = {n}")
    if targets.array.ndim == 2:
        for piece in targets.array.split(PIECE):
            lengths = torch.linalg.vector_norm(piece.double(), dim=1)
            if not torch.allclose(lengths, torch.ones_like(lengths), atol=1e-4):
                raise UserError(
                    f"{module.__file__}: sample must give rows of unit length; divide them"
                )
        if settings.precision == "float16":
            targets = Targets(targets.array.half())
    return targets


def settings_for(
    target_type: str, settings: TargetSettings, path: Path | str = "params.yaml"
) -> tuple[ModuleType, TargetSettings]:
    """A type's file, and its settings: those of all types, and its own.

    Raises:
        UserError: a setting of its own is unknown, missing or wrong, or the file has no ``sample``.
    """
    module = load_member("targets", target_type, "sample")
    shared = settings.model_dump()
    mine = shared.pop(target_type, {})
    shared = {name: shared[name] for name in TargetSettings.model_fields}
    kind = getattr(module, "Settings", TargetSettings)
    return module, own(kind, shared | mine, f"targets.{target_type}", path)


def save_targets(targets: Targets, path: Path) -> None:
    """Write the array as .npy: as it is for vectors (n, d), int64 (n + 1,) for one-hot rows.

    One-hot arrays end in their number of classes, which the rows alone need not show.
    """
    array = targets.array
    if array.ndim == 1:
        array = torch.cat([array, torch.tensor([targets.dimension])])
    with atomic_write(path, ARRAY) as temporary:
        save_array(temporary, array.numpy())


def load_targets(path: Path) -> Targets:
    """Read what ``save_targets`` wrote.

    Of vectors, a few evenly spaced rows are checked, so that most of a large file stays unread.

    Raises:
        UserError: the file is missing or no target array.
    """
    what, remedy = "target array", "make it with `python -m nat targets`"
    kinds: Kinds = {"float32": ("n", "d"), "float16": ("n", "d"), "int64": ("n + 1",)}
    # left on the disk until a row is used: ImageNet's in 2048 dimensions are 10 GB
    array = open_array(path, kinds, what, remedy, mode="c")
    with reading(path, what, remedy):
        if array.ndim == 2:
            some = np.linspace(0, len(array) - 1, SAMPLE).astype(np.int64)
            lengths = np.linalg.norm(array[some].astype(np.float64), axis=1)
            if not np.allclose(lengths, 1, atol=0.01):  # NaN is not close either
                raise ValueError("its rows are not of unit length")
            return Targets(torch.from_numpy(array))
        rows, classes = array[:-1], int(array[-1])
        if not 2 <= classes <= len(rows):  # each class has a row
            raise ValueError(f"it is of {classes} classes, for {len(rows)} rows")
        if rows.min() < 0 or rows.max() >= classes:
            raise ValueError(f"its rows leave the {classes} classes")
        return Targets(torch.from_numpy(rows), classes)
