"""Trained classifiers, fine-tuned networks and detectors, kept where ``machine.keep`` says.

The stages hand on numbers, so nothing in the pipeline reads these files and DVC does not declare
them: what a stage declares may not be missing, and so would have to be written, cached and pushed
by everybody, 230 MB a probe of AlexNet; and as the setting decides no result, DVC would not run a
stage again for it, nor take a file back from its cache that a run without it has not made. They
stand in a folder of their own that git and DVC pass over.

    kept/STAGE/TRAINING-DIGEST.safetensors     kept/probe/nat-0-1f2e3d4c.safetensors

The digest is of the content: what other settings or other data made stays beside it, whichever
experiment it comes from, and the same training gives the same file again. nat/api/kept.py reads
them.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from nat.runtime.io.files import atomic_write
from nat.runtime.io.outputs import tensors
from nat.runtime.io.paths import place
from nat.runtime.naming import Name

KEPT = tensors("what a stage has kept", "kept")


def keep(folder: str, stage: str, name: Name, module: nn.Module, about: dict[str, Any]) -> Path:
    """Write a trained module as safetensors, whole.

    Args:
        folder: ``machine.keep``.
        stage: that trained it.
        name: of the training that its trunk comes from.
        module: whose tensors are kept.
        about: what the module can be made of again, and where it comes from; JSON values, kept as
            the metadata ``kept``.

    Returns:
        The file.

    Raises:
        UserError: it cannot be written.
    """
    weights = {key: value.cpu().contiguous() for key, value in module.state_dict().items()}
    content = save(weights, {"kept": json.dumps(about)})
    digest = hashlib.sha256(content).hexdigest()[:8]
    path = place(folder) / stage / f"{name}-{digest}.safetensors"
    with atomic_write(path, KEPT) as temporary:
        temporary.write_bytes(content)
    return path
