"""SeLa (Asano et al., 2020): the network labels the images itself, each label equally often.

Section 3: cross entropy is minimised over the network's weights and over the labels in turn, the
labels being shared out equally, which is a problem of optimal transport. With entropy (eq. 6) its
solution is Q_ij = p_ij^strength a_i b_j, found by Sinkhorn and Knopp's scaling; each image takes
its largest entry. Labels are found anew at the start of each epoch.

Different here: one head, of NAT's MLP, where their best has ten; NAT's crops alone as augmentation;
labels of central crops, anew in each epoch, in place of 100 times over 400 epochs (their script),
more often early; a constant learning rate, which they lower from epoch 150 on.
"""

import torch
import torch.nn.functional as F

from nat.methods import TrunkSession
from nat.network.model import Network
from nat.pretext.clusters import Labelling, accuracy, balanced, outputs_of_all
from nat.pretext.training import Measures, pretrain_on
from nat.runtime.settings.params import Classes, Positive, Training

LABEL = "SeLa"
REFERENCE = "Asano et al., 2020"
WHEN = "later"
MEASURE = "accuracy"
BETTER = "higher"
MEASURE_TEXT = "images whose label is told, %"


class Settings(Training):
    """The number of labels; ``strength`` is the paper's lambda, of the outputs against entropy."""

    k: Classes
    strength: Positive


class SelfLabelling(Labelling):
    """The label of an image, by the whole network."""

    def __init__(self, session: TrunkSession, network: Network, settings: Settings) -> None:
        super().__init__(session, settings.k)
        self.network, self.strength = network, settings.strength

    def cluster(self, epoch: int) -> torch.Tensor:
        """An equal share of the images for each label; see ``Labelling``."""
        outputs = outputs_of_all(self.session, self, self.network)
        scores = self.strength * outputs.log_softmax(1)
        return (scores + balanced(scores, len(scores) / self.k)).argmax(1)

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """Cross entropy; see ``Task``."""
        labels, outputs = self.labels_of(rows), self.network(images).float()
        loss = F.cross_entropy(outputs, labels)
        return loss, {"accuracy": accuracy(outputs, labels), **self.found}


def train(session: TrunkSession, settings: Settings) -> None:
    """Train the trunk on labels of its own.

    Raises:
        UserError: more labels than images.
    """
    network = session.network(settings.k)
    pretrain_on(session, network, SelfLabelling(session, network, settings), settings)
