"""The row "Random": a trunk that was never trained, as NAT's is before its first step.

Same seed, same weights as NAT's at epoch 0. Its batch norm statistics are gathered in one pass
over the images, without labels or gradients: without them an untrained trunk's activations would
shrink from layer to layer, and the row would be weaker than it need be.
"""

from nat.methods import TrunkSession
from nat.pretext.statistics import gather_statistics
from nat.runtime.settings.params import Batch, Group

LABEL = "Random"
REFERENCE = ""


class Settings(Group):
    """The batch of the pass that gathers statistics."""

    batch_size: Batch


def train(session: TrunkSession, settings: Settings) -> None:
    """Hand on the network at epoch 0.

    Raises:
        UserError: a batch larger than the data, or an output that cannot be written.
    """
    network = session.network(2)
    gather_statistics(session, network, settings.batch_size)
    session.save(network)
