"""The same network trained with the pictures' own labels: Tables 1 and 2, a row of Tables 3 and 4.

Same crops and flips as NAT, any front end (Table 2), softmax or square loss (Table 1).
"""

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from nat.data.loader import Loader
from nat.data.seeds import generator, seed_layers
from nat.data.store import Store
from nat.evaluation.features import KnnMonitor
from nat.evaluation.multi_crop import multi_crop_accuracies
from nat.network.loss import square_loss
from nat.network.model import Network, initialise
from nat.network.optimizer import INTERVAL, Guard, set_step_size, sgd
from nat.runtime.distributed import join
from nat.runtime.pretrained import check_pretrained, write_pretrained
from nat.runtime.progress import progress
from nat.runtime.provenance import provenance
from nat.runtime.resume import Run, scratch_folder
from nat.runtime.settings.params import Params


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
    used = params.model_dump(
        include={"model": True, "augment": True, "labels": True, "probe": {"crops"}}
    )
    check_pretrained(out, record, used, "baseline")
    team = join(params.machine)
    device = team.device
    train, val = (Store(manifest, params.machine.data, split) for split in ("train", "val"))
    for store in (train, val):
        store.require_labels("training with labels")
    loader = Loader(train, settings.batch_size, params.augment, seed, team, "labels.batch_size")
    crop = params.augment.crop
    network = Network(params.model, crop, len(train.classes), train.channels)
    initialise(network, generator(seed, "weights"))
    network.to(device).to(memory_format=torch.channels_last)
    joined = team.joined(network)
    optimizer = sgd(network, settings)
    monitor = KnnMonitor(train, val, crop, every=settings.epochs)

    guard = Guard(
        {"labels.lr": settings.lr, "labels.batch_size": settings.batch_size},
        manifest,
        network,
        optimizer,
    )
    loss_of = LOSSES[settings.loss]
    scratch = scratch_folder(
        params.machine.scratch,
        f"labels-{seed}",
        parameters=used,
        seed=seed,
        manifest=manifest,
        computing=team.computing,
    )
    with Run(scratch, {"network": network, "optimizer": optimizer}, team) as run:
        for epoch in run.epochs(settings.epochs):
            network.train()
            seed_layers(seed, "layers", epoch, team.rank)
            total = torch.zeros((), device=device)
            label = f"labels {epoch + 1}/{settings.epochs}"
            bar = progress(loader.epoch(epoch), label, total=loader.steps)
            for step, (rows, pictures) in enumerate(bar):
                lr = set_step_size(optimizer, settings, epoch * loader.steps + step)
                labels = train.labels[rows].to(device)
                with team.autocast():
                    outputs = joined(pictures)
                loss = loss_of(outputs.float(), labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach()
                guard.look(total, epoch, step)
                if step % INTERVAL == INTERVAL - 1:
                    shown = float(total) / (step + 1)
                    bar.set_postfix(loss=f"{shown:.4f}")
            run.log(
                epoch=epoch + 1,
                lr=lr,
                loss=guard.end(team.sum(total), epoch) / loader.steps / team.size,
                knn=monitor.accuracy(network.trunk, epoch + 1, device) if team.first else None,
            )
        network.eval()
        for statistics in network.buffers():  # of each process's own last batch until here
            team.spread(statistics)
        (accuracy,) = multi_crop_accuracies(
            lambda cuts: (network(cuts),), val, crop, params.probe.crops, team
        )
        if team.first:
            where = provenance(used, seed, train.source, run.seconds, device)
            measured = {"accuracy": round(accuracy, 2)}
            seen = loader.seen * settings.epochs
            write_pretrained(out, record, network, run, where, "baseline", seen, measured)
        run.finish()
    team.leave()
