"""Train Fast R-CNN as its authors did (rbgirshick/fast-rcnn), from any pretrained trunk.

fc6 and fc7 are fresh, and the network is rescaled on training images exactly as for
classification (see ``rescale.py``): fc6 and fc7 within the layer, conv1 to fc7 between the layers,
which leaves the trunk's function as it was but for one positive factor. The two output layers keep
the protocol's initialisation.

The history has a row every ``save_every`` iterations: iteration (of all so far), lr, loss, and
``train``, the share in percent of the regions trained on that were given their class or background.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from nat.data.seeds import generator
from nat.network.model import Trunk
from nat.network.session import Session
from nat.runtime.settings.params import Detect
from nat.voc.detection.boxes import encode, mirrored
from nat.voc.detection.images import scale_factor, scaled
from nat.voc.detection.model import Detector, Regions, initialise_outputs
from nat.voc.detection.sampling import BACKGROUND, image_batches, sample_regions, usable
from nat.voc.detection.targets import Example, move_statistics
from nat.voc.transfer.rescale import scale_between, scale_within
from nat.voc.transfer.top import layers_to_fc7

RESCALING = 4  # training batches to measure the layers' statistics on


@dataclass(frozen=True)
class TrainingSet:
    """Images, uint8 (h, w), or all in colour (3, h, w), and what each teaches."""

    images: Sequence[torch.Tensor]
    examples: Sequence[Example]


@dataclass(frozen=True)
class Batch:
    """What one iteration sees, on the network's device.

    Attributes:
        regions: of all its images.
        labels: int64 (r,): 0 background, a class's row plus 1.
        moves: float32 (r, 4) to the nearest object, 0 for background.
    """

    regions: Regions
    labels: torch.Tensor
    moves: torch.Tensor


def draw_batch(
    training: TrainingSet,
    chosen: Sequence[tuple[int, bool]],
    settings: Detect,
    draws: torch.Generator,
    device: torch.device,
) -> Batch:
    """Draw regions of the chosen images and a scale for each.

    Args:
        training: the set.
        chosen: image and whether it is flipped.
        settings: of the sampling and of the scales.
        draws: a CPU generator.
        device: of the batch.
    """
    images, boxes, labels, moves = [], [], [], []
    for slot, (row, flip) in enumerate(chosen):
        image, example = training.images[row], training.examples[row]
        rows, label = sample_regions(example, settings, draws)
        region = example.boxes[rows]
        move = torch.zeros(len(rows), 4)
        shows = rows[label != BACKGROUND]  # they come first
        goal = example.objects[example.nearest[shows]]
        height, width = image.shape[-2:]
        if flip:
            region, goal = mirrored(region, width), mirrored(goal, width)
        move[: len(shows)] = encode(region[: len(shows)], goal)
        which = int(torch.randint(len(settings.short_sides), (1,), generator=draws))
        factor = scale_factor(height, width, settings.short_sides[which], settings.long_side)
        images.append(scaled(image, factor, flip, device))
        boxes.append(F.pad((region - 1) * factor, (1, 0), value=slot))
        labels.append(label)
        moves.append(move)
    return Batch(
        Regions(images, torch.cat(boxes).to(device)),
        torch.cat(labels).to(device),
        torch.cat(moves).to(device),
    )


def make_detector(
    trunk: Trunk,
    training: TrainingSet,
    classes: int,
    side: int,
    settings: Detect,
    seed: int,
    device: torch.device,
) -> Detector:
    """The network as training starts: folded, initialised, rescaled on batches, conv1 fixed."""
    network = Detector(trunk, side, settings.hidden, classes, settings.dropout)
    initialise_outputs(network, generator(seed, "detector"))
    mean, std = move_statistics(training.examples, classes, settings.foreground_iou)
    network.mean.copy_(mean)
    network.std.copy_(std)
    network.to(device).eval()
    draws = generator(seed, "rescale")
    rows = usable(training.examples, settings)
    batches = [
        draw_batch(training, chosen, settings, draws, device).regions
        for chosen in image_batches(rows, settings.images, range(RESCALING), seed)
    ]
    layers = layers_to_fc7(network.trunk, network.hidden)
    scale_within(network.fc7, layers[-2:], batches)
    scale_between(network.fc7, layers, batches, draws)
    layers[0].requires_grad_(False)  # conv1, as the protocol has it
    return network


def multi_task_loss(
    network: Detector, logits: torch.Tensor, moves: torch.Tensor, batch: Batch
) -> torch.Tensor:
    """Softmax cross entropy, and smooth L1 of the standardised moves of the regions' own classes.

    Both are summed and divided by the number of regions, background included; weight 1 each.

    Args:
        network: whose standardisation is used.
        logits: float (r, 1 + classes).
        moves: float (r, classes, 4).
        batch: with r regions.
    """
    (shows,) = torch.nonzero(batch.labels != BACKGROUND, as_tuple=True)
    classes = batch.labels[shows] - 1
    wanted = (batch.moves[shows] - network.mean[classes]) / network.std[classes]
    distance = F.smooth_l1_loss(moves[shows, classes].float(), wanted, reduction="sum")
    return F.cross_entropy(logits.float(), batch.labels) + distance / len(batch.labels)


def make_optimizer(network: Detector, settings: Detect) -> torch.optim.SGD:
    """Momentum SGD; biases learn twice as fast and do not decay."""
    trained = [(n, w) for n, w in network.named_parameters() if w.requires_grad]
    groups = [
        {"params": [w for n, w in trained if not n.endswith("bias")], "rate": 1.0},
        {
            "params": [w for n, w in trained if n.endswith("bias")],
            "rate": 2.0,
            "weight_decay": 0.0,
        },
    ]
    return torch.optim.SGD(
        groups, settings.lr, settings.momentum, weight_decay=settings.weight_decay
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, settings: Detect, iteration: int) -> None:
    """A tenth of the learning rate from each iteration of ``lr_drop_at`` on, counted from 0."""
    drops = sum(iteration >= at for at in settings.lr_drop_at)
    for group in optimizer.param_groups:
        group["lr"] = settings.lr * 0.1**drops * group["rate"]


def train(
    session: Session, network: Detector, optimizer: torch.optim.Optimizer, training: TrainingSet,
    source: object,
) -> None:  # fmt: skip
    """Train for ``iterations``; an epoch is ``save_every`` of them.

    A training gives the same weights again on a CPU; CUDA adds the gradients of pooled regions in
    no fixed order.

    Args:
        session: of one process.
        network: as ``make_detector`` gives it.
        optimizer: of its weights.
        training: the set.
        source: the file that the network starts from, for messages.

    Raises:
        UserError: the loss is no longer finite.
    """
    settings, seed = session.params.detect, session.seed
    blame = {
        "detect.lr": settings.lr,
        "detect.images": settings.images,
        "detect.regions": settings.regions,
    }
    rows = usable(training.examples, settings)
    epochs = -(-settings.iterations // settings.save_every)  # the last one may be shorter
    for epoch in session.epochs(network, optimizer, epochs, blame, source):
        draws = generator(seed, "regions", epoch.number)
        start = epoch.number * settings.save_every
        todo = range(start, min(start + settings.save_every, settings.iterations))
        right = torch.zeros((), device=session.device)
        for iteration, chosen in epoch.batches(
            zip(image_batches(rows, settings.images, todo, seed), strict=True),
            settings.save_every,
            settings.images,
        ):
            set_learning_rate(optimizer, settings, iteration)
            batch = draw_batch(training, chosen, settings, draws, session.device)
            with session.distributed.autocast():
                logits, moves = network(batch.regions)
            loss = multi_task_loss(network, logits, moves, batch)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            epoch.add(loss)
            right += (logits.detach().argmax(1) == batch.labels).float().mean()
        session.log(
            iteration=todo.stop,
            lr=optimizer.param_groups[0]["lr"],
            loss=epoch.loss() / len(todo),
            train=100 * float(right) / len(todo),
        )
