"""The row "Random, as initialised": an untrained trunk without its batch norm's statistics.

The weights of the row "Random", with running means of 0 and variances of 1: activations shrink from
layer to layer, so that it is weaker. What "Random" was in published tables is not always said.
"""

from nat.methods import TrunkSession
from nat.runtime.settings.params import Group

LABEL = "Random, as initialised"
REFERENCE = ""


class Settings(Group):
    """None."""


def train(session: TrunkSession, settings: Settings) -> None:
    """Hand on the network as it is drawn.

    Raises:
        UserError: an output that cannot be written.
    """
    session.save(session.network(2))
