"""What Figure 4 shows of two trained networks: the filters of the first layer."""

import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from nat.data.store import Store
from nat.illustrate.filters import Filters
from nat.network.model import Trunk, load_network
from nat.runtime.device import prepare_device
from nat.runtime.errors import UserError
from nat.runtime.provenance import provenance
from nat.runtime.settings.params import Params


def gather_filters(
    params: Params, seed: int, manifest: Path, nat_folder: Path, labels_folder: Path
) -> Filters:
    """Gather what Figure 4 shows.

    Args:
        params: machine is used.
        seed: of both trainings.
        manifest: of the image store.
        nat_folder: what ``nat pretrain`` wrote.
        labels_folder: what ``nat train labels`` wrote.

    Raises:
        UserError: an input is missing or damaged, or does not fit the others.
    """
    start = time.perf_counter()
    device = prepare_device(params.machine)
    train, test = (Store(manifest, params.machine.data, split) for split in ("train", "test"))
    files = [folder / "network.safetensors" for folder in (nat_folder, labels_folder)]
    nat, labels = (load_network(file, train.channels).trunk for file in files)
    if nat.name != labels.name:
        raise UserError(
            f"{files[1]}: its trunk is {labels.name}, and {nat.name} in {files[0]}; give networks "
            "of one run"
        )
    facts = {
        "source": train.source,
        "preprocessing": nat.described["preprocessing"],
        "trunk": nat.name,
    }
    data, seconds = train.described(test), time.perf_counter() - start
    arrays = [first_filters(trunk).numpy().astype(np.float16) for trunk in (labels, nat)]
    return Filters(facts, provenance({}, seed, data, seconds, device), *arrays)


@torch.no_grad()
def first_filters(trunk: Trunk) -> torch.Tensor:
    """Conv1's filters composed with the front end, as they act on grey images (Figure 4).

    Correlating with the front end's kernels and then with conv1's filters is correlating once with
    their full convolution, summed over the channels; a transposed convolution is just that.

    Returns:
        float32 (w, k + 2, k + 2), without conv1's bias.
    """
    weight = trunk.layers.get_parameter("conv1.weight")
    return F.conv_transpose2d(weight, trunk.front_end.kernel)[:, 0]
