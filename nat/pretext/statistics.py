"""Batch norm's statistics of whole images, for a trunk that was not trained on such."""

import torch
from torch import nn

from nat.data.loader import Loader
from nat.methods import TrunkSession
from nat.network.model import Network
from nat.runtime.distributed import Distributed


@torch.no_grad()
def gather_statistics(session: TrunkSession, network: Network, batch_size: int) -> None:
    """Let batch norm hold means and variances over one pass, without labels or gradients.

    Each process makes the whole pass by itself, so that they are those of whole batches.

    Raises:
        UserError: a batch larger than the data.
    """
    alone = Distributed(session.device)
    setting = f"{session.group}.batch_size"
    augment = session.params.augment
    loader = Loader(session.images, batch_size, augment, session.seed, alone, setting)
    network.trunk.train()
    layers = [layer for layer in network.trunk.modules() if isinstance(layer, nn.BatchNorm2d)]
    usual = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # the plain average over batches
    for _, images in loader.epoch(0):
        network.trunk(images)
    for layer, momentum in zip(layers, usual, strict=True):
        layer.momentum = momentum
    network.eval()
