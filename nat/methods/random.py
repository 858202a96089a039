"""The row "Random": a trunk that was never trained, as NAT's is before its first step.

Same seed, same weights as NAT's at epoch 0. Its batch norm statistics are gathered in one pass
over the images, without labels or gradients: without them an untrained trunk's activations would
shrink from layer to layer, and the row would be weaker than it need be.
"""

import torch
from torch import nn

from nat.data.loader import Loader
from nat.methods import TrunkSession
from nat.runtime.distributed import Distributed
from nat.runtime.settings.params import Batch, Group

LABEL = "Random"
REFERENCE = ""


class Settings(Group):
    """The batch of the pass that gathers statistics."""

    batch_size: Batch


@torch.no_grad()
def train(session: TrunkSession, settings: Settings) -> None:
    """Hand on the network at epoch 0.

    Raises:
        UserError: a batch larger than the data, or an output that cannot be written.
    """
    # each process by itself, so that statistics are those of whole batches
    alone, setting = Distributed(session.device), "baselines.random.batch_size"
    augment = session.params.augment
    loader = Loader(session.images, settings.batch_size, augment, session.seed, alone, setting)
    network = session.network(2).train()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = None  # the plain average over batches
    for _, images in loader.epoch(0):
        network.trunk(images)
    session.save(network)
