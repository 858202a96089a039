"""The same network trained with the pictures' own labels: Tables 1 and 2, a row of Tables 3 and 4.

Same crops and flips as NAT, any front end (Table 2), softmax or square loss (Table 1).
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from nat.features import KnnMonitor
from nat.files import check_writable
from nat.images.augment import random_crop_flip
from nat.images.store import Store, check_batch, epoch_batches
from nat.loss import square_loss
from nat.model import Network, initialise
from nat.multi_crop import multi_crop_accuracies
from nat.params import Params
from nat.pretrained import write_pretrained
from nat.training.device import prepare_device
from nat.training.progress import progress
from nat.training.provenance import provenance
from nat.training.run import Run, scratch_folder
from nat.training.seeds import generator, seed_layers
from nat.training.sgd import finite, set_step_size, sgd


def softmax(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Softmax cross entropy, averaged over the batch."""
    return F.cross_entropy(outputs, labels)


def square(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Eq. 2's square loss with known targets, averaged over the batch (Table 1).

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


def supervised(params: Params, seed: int, manifest: Path, out: Path, record: Path) -> None:
    """Train a network with labels.

    Args:
        params: model, augment, labels and probe.crops are used.
        seed: of every random draw.
        manifest: of the image store.
        out: the network's folder to write (see pretrained.py).
        record: the record's folder to write.

    Raises:
        UserError: pictures without labels, a batch larger than the data, an output that cannot be
            written, or a loss that is no longer finite.
    """
    settings = params.labels
    check_writable(out)
    check_writable(record)
    device = prepare_device(params.machine)
    train, val = (Store(manifest, params.machine.data, split) for split in ("train", "val"))
    for store in (train, val):
        store.require_labels("training with labels")
    check_batch(settings.batch_size, len(train), "labels.batch_size")

    crop, flip = params.augment.crop, params.augment.flip
    network = Network(params.model, crop, len(train.classes), train.channels)
    initialise(network, generator(seed, "weights"))
    network.to(device)
    optimizer = sgd(network, settings)
    monitor = KnnMonitor(train, val, crop, every=settings.epochs)

    loss_of = LOSSES[settings.loss]
    used = params.model_dump(
        include={"model": True, "augment": True, "labels": True, "probe": {"crops"}}
    )
    batches = len(train) // settings.batch_size
    seen = batches * settings.batch_size
    scratch = scratch_folder(
        params.machine.scratch,
        f"labels-{seed}",
        parameters=used,
        seed=seed,
        manifest=manifest,
        device=device.type,
    )
    with Run(scratch, {"network": network, "optimizer": optimizer}) as run:
        for epoch in run.epochs(settings.epochs):
            network.train()
            seed_layers(seed, "layers", epoch)
            draws = generator(seed, "augment", epoch)
            total = torch.zeros((), device=device)
            order = epoch_batches(len(train), settings.batch_size, generator(seed, "order", epoch))
            bar = progress(order, f"labels {epoch + 1}/{settings.epochs}", total=batches)
            for step, batch in enumerate(bar):
                lr = set_step_size(optimizer, settings, epoch * batches + step)
                pictures = train.batch(batch).to(device, non_blocking=True)
                labels = train.labels[batch].to(device)
                outputs = network(random_crop_flip(pictures, crop, flip, draws))
                loss = loss_of(outputs, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach()
                if step % 20 == 19:
                    shown = finite(total, "labels.lr", epoch) / (step + 1)
                    bar.set_postfix(loss=f"{shown:.4f}")
            run.log(
                epoch=epoch + 1,
                lr=lr,
                loss=finite(total, "labels.lr", epoch) / batches,
                knn=monitor.accuracy(network.trunk, epoch + 1, device),
            )
        network.eval()
        (accuracy,) = multi_crop_accuracies(
            lambda cuts: (network(cuts),), val, crop, params.probe.crops, device
        )
        where = provenance(used, seed, train.source, run.seconds, device)
        measured = {"accuracy": round(accuracy, 2)}
        write_pretrained(out, record, network, run, where, seen * settings.epochs, measured)
        run.finish()
