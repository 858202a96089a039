"""The row "Random": a trunk that was never trained, as NAT's is before its first step.

Same seed, same weights as NAT's at epoch 0. Its batch norm statistics are gathered in one pass
over the pictures, without labels or gradients: without them an untrained trunk's activations would
shrink from layer to layer, and the row would be weaker than it need be.
"""

import time
from pathlib import Path

import torch
from torch import nn

from nat.data.loader import Loader
from nat.data.seeds import generator
from nat.data.store import Store
from nat.network.model import Network, initialise
from nat.runtime.device import prepare_device
from nat.runtime.distributed import Team
from nat.runtime.pretrained import check_pretrained, write_pretrained
from nat.runtime.provenance import provenance
from nat.runtime.settings.params import Params


@torch.no_grad()
def untrained(params: Params, seed: int, manifest: Path, out: Path, record: Path) -> None:
    """Write the network at epoch 0.

    Args:
        params: model, augment and pretrain.batch_size are used.
        seed: of every random draw.
        manifest: of the image store.
        out: the network's folder to write (see pretrained.py).
        record: the record's folder to write.
    """
    start = time.perf_counter()
    used = params.model_dump(include={"model", "augment"})
    check_pretrained(out, record, used, "baseline")
    device = prepare_device(params.machine)
    train = Store(manifest, params.machine.data, "train")
    loader = Loader(
        train, params.pretrain.batch_size, params.augment, seed, Team(device), "pretrain.batch_size"
    )
    network = Network(params.model, params.augment.crop, 2, train.channels)
    initialise(network, generator(seed, "weights"))
    network.to(device).train()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the plain average over batches
    for _, pictures in loader.epoch(0):
        network.trunk(pictures)
    seconds = time.perf_counter() - start
    where = provenance(used, seed, train.source, seconds, device)
    write_pretrained(out, record, network, None, where, "baseline")
