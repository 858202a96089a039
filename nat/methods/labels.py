"""The same network trained with the images' own labels: Tables 1 and 2, a row of Tables 3 and 4.

Same crops and flips as NAT, any front end (Table 2), softmax or square loss (Table 1).
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F

from nat.evaluation.multi_crop import multi_crop_accuracies
from nat.methods import TrunkSession
from nat.network.loss import square_loss
from nat.network.model import Network
from nat.pretext.training import Measures, Task, fit
from nat.runtime.settings.params import Crops, Training

LABEL = "Labels"
REFERENCE = ""


class Settings(Training):
    """The loss; how many test crops the network's own accuracy is measured on."""

    loss: Literal["softmax", "square"]
    crops: Crops


def softmax(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Softmax cross entropy, averaged over the batch."""
    return F.cross_entropy(outputs, labels)


def square(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Eq. 2's square loss with known targets, averaged over the batch (Table 1).

    After Tygert et al. (2017), whom the paper cites for it: least squares instead of the logistic.
    The outputs are unit-normalised, as the paper asks, and each class has a fixed target, the
    canonical basis vector of its number. The closest target is that of the largest output, so
    that testing is the same as with softmax.

    Args:
        outputs: float (b, classes).
        labels: int64 (b,).
    """
    targets = F.one_hot(labels, outputs.shape[1]).float()
    return square_loss(F.normalize(outputs), targets) / len(outputs)


LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "softmax": softmax,
    "square": square,
}


class Classification(Task):
    """The labels of a batch, by the whole network."""

    def __init__(self, network: Network, labels: torch.Tensor, loss: str) -> None:
        """``labels`` are int64 (n,), of all images."""
        super().__init__()
        self.network, self.labels, self.loss = network, labels, LOSSES[loss]

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """The loss; see ``Task``."""
        labels = self.labels[rows].to(images.device, non_blocking=True)
        return self.loss(self.network(images).float(), labels), {}


def train(session: TrunkSession, settings: Settings) -> None:
    """Train a network with labels; its accuracy on the test images is measured too.

    Raises:
        UserError: images without labels, a batch larger than the data, an output that cannot be
            written, or a loss that is no longer finite.
    """
    for store in (session.train, session.test):
        store.require_labels("training with labels")
    network = session.network(len(session.train.classes))
    task = Classification(network, session.train.labels, settings.loss)
    seen = fit(session, network, task, settings, labelled=True)
    for statistics in network.buffers():  # of each process's own last batch until here
        session.distributed.broadcast(statistics)
    (accuracy,) = multi_crop_accuracies(
        lambda cuts: (network(cuts),), session.test, session.crop, settings.crops,
        session.distributed,
    )  # fmt: skip
    session.save(network, seen, {"accuracy": round(accuracy, 2)})
