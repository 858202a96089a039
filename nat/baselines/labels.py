"""The row "ImageNet labels" of Table 4: the same network trained with the pictures' own labels.

Softmax cross entropy, same front end, same crops and flips.
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from nat.features import KnnMonitor
from nat.files import check_writable
from nat.images.augment import random_crop_flip
from nat.images.store import Store, check_batch, epoch_batches
from nat.model import Network, initialise
from nat.params import Params
from nat.pretrained import write_pretrained
from nat.training.device import prepare_device
from nat.training.progress import progress
from nat.training.provenance import provenance
from nat.training.run import Run, scratch_folder
from nat.training.seeds import generator, seed_layers
from nat.training.sgd import finite, set_step_size, sgd


def supervised(params: Params, seed: int, manifest: Path, out: Path, record: Path) -> None:
    """Train a network with labels.

    Args:
        params: model, augment and labels are used.
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
    train.require_labels("the row with labels")
    check_batch(settings.batch_size, len(train), "labels.batch_size")

    crop, flip = params.augment.crop, params.augment.flip
    network = Network(params.model, crop, len(train.classes))
    initialise(network, generator(seed, "weights"))
    network.to(device)
    optimizer = sgd(network, settings)
    monitor = KnnMonitor(train, val, crop, every=settings.epochs)

    used = params.model_dump(include={"model", "augment", "labels"})
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
                loss = F.cross_entropy(outputs, labels)
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
        where = provenance(used, seed, train.source, run.seconds, device)
        write_pretrained(out, record, network, run, where, seen * settings.epochs)
        run.finish()
