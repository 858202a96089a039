"""Context encoder: the trunk sees an image with missing blocks, of which the rest is to be made.

Pathak et al. (2016), with the reconstruction loss alone, by which the published features were
learnt. Different here: random blocks instead of regions of random shape; they are filled with the
mean of the rest of the image, not of the data set; what is made is the standardised image. See
nat/pretext/inpainting.py.
"""

from nat.methods import TrunkSession
from nat.network.model import initialise
from nat.pretext.inpainting import Inpainting
from nat.pretext.training import AdamTraining, pretrain_on

LABEL = "Context encoder"
REFERENCE = "Pathak et al., 2016"
MEASURE = "error"
BETTER = "lower"
MEASURE_TEXT = "squared error a missing pixel of standardised images"

Settings = AdamTraining


def train(session: TrunkSession, settings: AdamTraining) -> None:
    """Train the trunk to find what is missing."""
    network = session.network(2)
    task = Inpainting(network.trunk, session.crop)
    initialise(task.decoder, session.generator("decoder"))
    pretrain_on(session, network, task, settings, whole=False)
