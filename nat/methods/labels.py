"""The same network trained with the images' own labels: Tables 1 and 2, a row of Tables 3 and 4.

Same crops and flips as NAT, any front end (Table 2), softmax or square loss (Table 1).
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F

from nat.evaluation.features import KnnMonitor
from nat.evaluation.multi_crop import multi_crop_accuracies
from nat.methods import TrunkSession
from nat.network.loss import square_loss
from nat.network.optimizer import set_learning_rate, sgd
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


def train(session: TrunkSession, settings: Settings) -> None:
    """Train a network with labels; its accuracy on the test images is measured too.

    Raises:
        UserError: images without labels, a batch larger than the data, an output that cannot be
            written, or a loss that is no longer finite.
    """
    distributed, device, crop = session.distributed, session.device, session.crop
    for store in (session.train, session.val):
        store.require_labels("training with labels")
    loader = session.loader(session.train, settings.batch_size, "baselines.labels.batch_size")
    network = session.network(len(session.train.classes)).to(memory_format=torch.channels_last)
    wrapped = distributed.wrap(network)
    optimizer = sgd(network, settings)
    monitor = KnnMonitor(session.train, session.val, crop, every=settings.epochs)
    loss_of = LOSSES[settings.loss]
    blame = {
        "baselines.labels.lr": settings.lr,
        "baselines.labels.batch_size": settings.batch_size,
    }
    for epoch in session.epochs(network, optimizer, settings.epochs, blame, session.manifest):
        for t, rows, images in epoch.batches(
            loader.epoch(epoch.number), loader.steps, settings.batch_size
        ):
            lr = set_learning_rate(optimizer, settings, t)
            labels = session.train.labels[rows].to(device, non_blocking=True)
            with distributed.autocast():
                outputs = wrapped(images)
            loss = loss_of(outputs.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            epoch.add(loss)
        number = epoch.number + 1
        session.log(
            epoch=number,
            lr=lr,
            loss=epoch.loss() / loader.steps / distributed.size,
            knn=monitor.accuracy(network.trunk, number, device) if distributed.is_main else None,
        )
    network.eval()
    for statistics in network.buffers():  # of each process's own last batch until here
        distributed.broadcast(statistics)
    (accuracy,) = multi_crop_accuracies(
        lambda cuts: (network(cuts),), session.val, crop, settings.crops, distributed
    )
    seen = loader.images_per_epoch * settings.epochs
    session.save(network, seen, {"accuracy": round(accuracy, 2)})
