"""Autoencoder: the trunk encodes an image from which a decoder is to make it again.

The paper's row is Donahue et al.'s (2016), who give no settings: an encoder of AlexNet's
convolutions and a decoder, trained on the squared error. Here the code is conv5 as the probe sees
it, and what is made again is the standardised image, not its gradients.
"""

from nat.methods import TrunkSession
from nat.network.model import initialise
from nat.pretext.reconstruction import Reconstruction
from nat.pretext.training import AdamTraining, pretrain_on

LABEL = "Autoencoder"
REFERENCE = "Donahue et al., 2016"
MEASURE = "error"
BETTER = "lower"
MEASURE_TEXT = "squared error a pixel of standardised images"

Settings = AdamTraining


def train(session: TrunkSession, settings: AdamTraining) -> None:
    """Train the trunk to keep what an image is made of."""
    network = session.network(2)
    task = Reconstruction(network.trunk, session.crop)
    initialise(task.decoder, session.generator("decoder"))
    pretrain_on(session, network, task, settings)
