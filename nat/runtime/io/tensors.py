"""Read safetensors files whose metadata and numbers are not trusted.

The library compares a file's header with its length. Here the tensors' names, types and shapes are
compared with what is expected before any is read, so that metadata that lies allocates nothing.
"""

from collections.abc import Mapping
from typing import Any

import torch

from nat.runtime.io.arrays import Kinds, fit

NAMES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
}


def described(file: Any, key: str) -> str:
    """The entry ``key`` of an opened file's metadata.

    Raises:
        ValueError: there is none.
    """
    text = (file.metadata() or {}).get(key)
    if text is None:
        raise ValueError(f"its metadata has no entry {key!r}")
    return text


def layout_of(state: Mapping[str, torch.Tensor]) -> dict[str, Kinds]:
    """The names, types and shapes of tensors, which may be on the meta device."""
    return {
        name: {str(tensor.dtype).removeprefix("torch."): tuple(tensor.shape)}
        for name, tensor in state.items()
    }


def read_tensors(file: Any, layout: Mapping[str, Kinds]) -> dict[str, torch.Tensor]:
    """All tensors of an opened file.

    Args:
        file: of ``safe_open``.
        layout: their names and kinds, as nat/runtime/io/arrays.py has them.

    Raises:
        ValueError: a tensor is missing, too many or of another type or shape, or a number is not
            finite or a negative variance.
    """
    names = set(file.keys())
    for which, some in (("lacks", layout.keys() - names), ("also has", names - layout.keys())):
        if some:
            raise ValueError(f"it {which} the tensor {min(some)} ({len(some)} such)")
    sizes: dict[str, int] = {}
    for name, kinds in layout.items():
        part = file.get_slice(name)
        kind = part.get_dtype()
        try:
            fit(NAMES.get(kind, kind), tuple(part.get_shape()), kinds, sizes)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    found = {}
    for name in layout:
        found[name] = file.get_tensor(name)
        if found[name].is_floating_point() and not torch.isfinite(found[name]).all():
            raise ValueError(f"the tensor {name} holds a number that is NaN or infinite")
        if name.endswith("running_var") and (found[name] < 0).any():  # batch norm takes its root
            raise ValueError(f"the tensor {name} holds a negative variance")
    return found
