"""VOC 2007 classification (Table 4): which classes are somewhere in the image?

The protocol is that of philkr/voc-classification, stated beside each step. The network is the
trunk, and fresh fc6, fc7, fc8 without batch norm. Trained on trainval, tested on test. A class that
an image shows as difficult only counts neither in the loss nor in the average precision.

Two variants are published, by their numbers for the group ``finetune`` of params.yaml:

``philkr``
    Batch norm is folded away and the layers are rescaled (see rescale.py); squares are drawn by
    their side. Batch 16, lr 0.001 halved every 10,000 of 80,000 iterations, momentum 0.9, weight
    decay 1e-6, clip 10, dropout 0.5, 10 crops.
``deepcluster``
    The rendition in PyTorch. Batch norm stays, always in evaluation mode, and the trunk is not
    rescaled; squares are drawn by their area, 0.1 to 0.5 of the image's. lr 0.003, halved every
    5,000. Here fc6 and fc7 begin as in the other variant.

The result's ``history`` has a row an epoch of trainval: epoch, iteration (of all so far), lr, loss,
and ``train``, the mean average precision in percent of the batches as they were trained on.
"""

from itertools import islice
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import nn

from nat.data.seeds import generator
from nat.data.store import check_batch, epoch_batches
from nat.network.model import Trunk
from nat.network.session import Session
from nat.runtime.distributed import Distributed
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.progress import progress
from nat.runtime.settings.params import Finetune, LayersTrained, Params
from nat.voc.classification.average_precision import mean_average_precision, percent_in_training
from nat.voc.classification.crops import random_squares
from nat.voc.data.devkit import DIFFICULT, PRESENT
from nat.voc.data.manifest import open_voc
from nat.voc.data.reader import VocSplit
from nat.voc.transfer.rescale import fold_batch_norm, scale_between, scale_within
from nat.voc.transfer.top import hidden_layers, initialise_hidden, layers_to_fc7, load_trunk

RESCALING = (4, 64)  # batches and their size, to measure the layers' statistics on


class Classifier(nn.Module):
    """A trunk, fc6 and fc7 with ReLU and dropout, fc8."""

    def __init__(self, trunk: Trunk, features: int, hidden: int, classes: int, dropout: float):
        super().__init__()
        self.trunk = trunk
        self.hidden = hidden_layers(features, hidden, dropout, "finetune.hidden")
        self.fc8 = nn.Linear(hidden, classes)

    def fc7(self, images: torch.Tensor) -> torch.Tensor:
        """Images (b, channels, h, w), 0 to 255, to fc7's output, float (b, hidden)."""
        return self.hidden(self.trunk(images).flatten(1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images (b, channels, h, w), 0 to 255, to logits, float (b, classes)."""
        return self.fc8(self.fc7(images))

    def train(self, mode: bool = True) -> Self:
        """Dropout follows ``mode``; batch norm, where the trunk has it, stays as it was learnt."""
        super().train(mode)
        self.trunk.eval()
        return self


@torch.no_grad()
def initialise_top(network: Classifier, draws: torch.Generator) -> None:
    """fc6 and fc7: N(0, 1/inputs), bias 0, to be rescaled. fc8: N(0, 0.01^2), bias 0.1."""
    initialise_hidden(network.hidden, draws)
    network.fc8.weight.normal_(0, 0.01, generator=draws)
    network.fc8.bias.fill_(0.1)


def make_network(
    trunk: Trunk,
    images: list[torch.Tensor],
    classes: int,
    settings: Finetune,
    seed: int,
    device: torch.device,
) -> Classifier:
    """The network as fine-tuning starts: initialised, and rescaled on training images."""
    try:
        features = trunk.features(settings.input)
    except UserError as error:
        raise UserError(
            f"finetune.input: {settings.input} px is too small for the trunk; use a larger one"
        ) from error
    folded = settings.variant == "philkr"
    if folded:
        trunk = fold_batch_norm(trunk)
    network = Classifier(trunk, features, settings.hidden, classes, settings.dropout)
    initialise_top(network, generator(seed, "classifier"))
    network.to(device).eval()
    draws = generator(seed, "rescale")
    count, size = RESCALING
    batches = [
        random_squares(
            [images[i] for i in torch.randint(len(images), (size,), generator=draws)],
            settings.scale,
            settings.input,
            True,
            torch.rand(size, 4, generator=draws),
            device,
            not folded,
        )
        for _ in range(count)
    ]
    layers = layers_to_fc7(network.trunk, network.hidden)
    scale_within(network.fc7, layers[-2:], batches)
    if folded:
        scale_between(network.fc7, layers, batches, draws)
    return network


def masked_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sigmoid cross entropy, summed over the classes, divided by the batch.

    Args:
        logits: float (b, classes).
        labels: int (b, classes): 1 present, 0 absent, -1 present as difficult only, left out.
    """
    each = F.binary_cross_entropy_with_logits(
        logits, (labels == PRESENT).to(logits.dtype), reduction="none"
    )
    return each[labels != DIFFICULT].sum() / len(logits)


def finetune(
    params: Params,
    name: Name,
    manifest: Path,
    network_file: Path,
    layers: LayersTrained,
    out: Path,
) -> None:
    """Fine-tune a network on VOC classification and write its average precisions to ``out``.

    Args:
        params: finetune is used; voc.folder and machine.data tell where the images lie.
        name: of the training that the network comes from.
        manifest: what ``nat prepare voc`` wrote.
        network_file: network.safetensors of any method.
        layers: "fc6-8" keeps the trunk as it is, "all" trains it too.
        out: a JSON file; percent, ``measured.ap`` is null for a class that no test image has.

    Raises:
        UserError: faulty data, a damaged network, an input too small for the trunk, a batch larger
            than the data, an output that cannot be written, or a loss that is no longer finite.
    """
    used = params.model_dump(include={"evaluate_on", "finetune"})
    stage = f"finetune-{layers}"
    with Session(
        params, name, stage, used, out, manifest=manifest, network=network_file, layers=layers
    ) as session:
        data, trainval, test = open_voc(params, manifest, params.evaluate_on)
        network = train(session, trainval, network_file, layers)
        seconds, start = session.prepared + session.seconds, session.elapsed
        draws = generator(name.seed, "test")
        scores = tested(network, test, params.finetune, draws, session.distributed)
        mean_ap, each = mean_average_precision(scores.numpy(), test.labels.numpy())
        measured = {
            "map": round(100 * mean_ap, 2),
            "ap": {
                of: None if ap is None else round(100 * ap, 2)
                for of, ap in zip(test.classes, each, strict=True)
            },
        }
        session.keep(
            network,
            network.trunk,
            crop=params.finetune.input,
            hidden=params.finetune.hidden,
            batch_norm=params.finetune.variant == "deepcluster",
            classes=test.classes,
        )
        assert session.run is not None
        rows = {"history": session.run.history}
        session.write(measured, data, seconds + session.elapsed - start, rows)


def train(
    session: Session, trainval: VocSplit, network_file: Path, layers: LayersTrained
) -> Classifier:
    """Train for ``finetune.iterations``, in epochs of ``trainval``.

    Args:
        session: of the training.
        trainval: what to train on.
        network_file: what to start from.
        layers: "fc6-8" or "all".

    Returns:
        The network as it is at the end.

    Raises:
        UserError: as ``finetune``.
    """
    settings, seed, distributed = session.params.finetune, session.seed, session.distributed
    check_batch(settings.batch_size, len(trainval), "finetune.batch_size")
    part = distributed.shard(settings.batch_size, "finetune.batch_size")
    trunk = load_trunk(network_file)
    images = trainval.images(trunk.channels)
    network = make_network(trunk, images, len(trainval.classes), settings, seed, distributed.device)
    network.trunk.requires_grad_(layers == "all")
    wrapped = distributed.wrap(network)
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.SGD(
        trained, settings.lr, settings.momentum, weight_decay=settings.weight_decay
    )
    blame = {"finetune.lr": settings.lr, "finetune.batch_size": settings.batch_size}
    per_epoch = len(trainval) // settings.batch_size
    epochs = -(-settings.iterations // per_epoch)  # the last one may be shorter
    for epoch in session.epochs(network, optimizer, epochs, blame, network_file):
        draws = generator(seed, "crops", epoch.number)
        order = epoch_batches(
            len(trainval), settings.batch_size, generator(seed, "order", epoch.number)
        )
        start = epoch.number * per_epoch
        todo = min(per_epoch, settings.iterations - start)
        scores, shown = [], []
        for iteration, batch in epoch.batches(
            zip(islice(order, todo)), per_epoch, settings.batch_size
        ):
            for group in optimizer.param_groups:
                group["lr"] = settings.lr * 0.5 ** (iteration // settings.lr_halve_every)
            rows = batch[part]
            cuts = random_squares(
                [images[row] for row in rows],
                settings.scale,
                settings.input,
                True,
                torch.rand(len(batch), 4, generator=draws)[part],
                distributed.device,
                settings.variant == "deepcluster",
            )
            with distributed.autocast():
                logits = wrapped(cuts)
            labels = trainval.labels[rows].to(distributed.device)
            loss = masked_loss(logits.float(), labels)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(trained, settings.clip)
            optimizer.step()
            epoch.add(loss)
            scores.append(distributed.all_gather(logits.detach().float()))
            shown.append(distributed.all_gather(labels))
        session.log(
            epoch=epoch.number + 1,
            iteration=start + todo,
            lr=optimizer.param_groups[0]["lr"],
            loss=epoch.loss() / todo / distributed.size,
            train=percent_in_training(scores, shown),
        )
    return network


@torch.no_grad()
def tested(
    network: Classifier,
    split: VocSplit,
    settings: Finetune,
    draws: torch.Generator,
    distributed: Distributed,
) -> torch.Tensor:
    """Scores of images: logits summed over ``crops`` random squares, float (n, classes).

    Each process tests every ``distributed.size``-th batch, and has the scores of all.
    """
    network.eval()
    scores = torch.zeros(len(split), len(split.classes))
    for number, rows in enumerate(progress(torch.arange(len(split)).split(16), "test")):
        uniform = torch.rand(len(rows) * settings.crops, 4, generator=draws)
        if number % distributed.size != distributed.rank:
            continue
        images = [split.seen(int(row), network.trunk.channels) for row in rows]
        cuts = random_squares(
            images * settings.crops,
            settings.scale,
            settings.input,
            False,
            uniform,
            distributed.device,
            settings.variant == "deepcluster",
        )
        scores[rows] = network(cuts).view(settings.crops, len(rows), -1).sum(0).cpu()
    return distributed.all_reduce(scores)
