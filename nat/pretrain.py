"""Noise As Targets: Algorithm 1 of the paper.

For every batch: compute the features, reassign the batch's targets among its images, and step
along the gradient of the square loss. Everything else is where its name says: the targets in
targets.py, the matching in assignment.py, the network in model.py.
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from nat.alignments import find_alignment, reassign
from nat.errors import UserError
from nat.features import KnnMonitor
from nat.files import check_writable
from nat.images.augment import random_crop_flip
from nat.images.store import Store, check_batch, epoch_batches
from nat.loss import square_loss
from nat.model import Network, initialise
from nat.params import Params
from nat.pretrained import checkpoint, write_pretrained
from nat.targets import load_targets
from nat.training.device import clock, prepare_device
from nat.training.progress import progress
from nat.training.provenance import provenance
from nat.training.run import Run, scratch_folder
from nat.training.schedule import due, permutes_in
from nat.training.seeds import generator, seed_layers
from nat.training.sgd import finite, set_step_size, sgd


def pretrain(
    params: Params, seed: int, manifest: Path, targets_file: Path, out: Path, record: Path
) -> None:
    """Train a network without labels.

    Args:
        params: permute_every, alignment, model, augment and pretrain are used.
        seed: of every random draw.
        manifest: of the image store.
        targets_file: what ``nat targets`` wrote for this store.
        out: the network's folder to write (see pretrained.py).
        record: the record's folder to write.

    Raises:
        UserError: targets and pictures do not match, a batch is larger than the data, the output
            cannot be written, or the loss is no longer finite.
    """
    settings = params.pretrain
    check_writable(out)
    check_writable(record)
    device = prepare_device(params.machine)
    train, val = (Store(manifest, params.machine.data, split) for split in ("train", "val"))
    targets = load_targets(targets_file).to(device)
    if len(targets) != len(train):
        raise UserError(
            f"{targets_file}: {len(targets)} targets for {len(train)} pictures; "
            "make them again with `python -m nat targets`"
        )
    check_batch(settings.batch_size, len(train), "pretrain.batch_size")

    align = find_alignment(params.alignment)
    crop, flip = params.augment.crop, params.augment.flip
    network = Network(params.model, crop, targets.dimension, train.channels)
    initialise(network, generator(seed, "weights"))
    network.to(device)
    optimizer = sgd(network, settings)
    # P of eq. 3 as a permutation: image i has target row assignment[i]
    assignment = torch.randperm(len(train), generator=generator(seed, "assignment"))

    used = params.model_dump(include={"permute_every", "alignment", "model", "augment", "pretrain"})
    monitor = KnnMonitor(train, val, crop, settings.knn_every)
    batches = len(train) // settings.batch_size
    seen = batches * settings.batch_size  # the incomplete last batch is dropped
    scratch = scratch_folder(
        params.machine.scratch,
        f"nat-{seed}",
        parameters=used,
        seed=seed,
        manifest=manifest,
        targets=targets_file,
        device=device.type,
    )
    # seconds spent on reassigning and batches that were
    cost = torch.zeros(2, dtype=torch.float64)
    state = {
        "network": network,
        "optimizer": optimizer,
        "assignment": assignment,
        "cost": cost,
    }
    with Run(scratch, state) as run:
        for epoch in run.epochs(settings.epochs):
            network.train()
            seed_layers(seed, "layers", epoch)
            draws = generator(seed, "augment", epoch)
            permute = permutes_in(epoch, params.permute_every)
            total, moved = torch.zeros((), device=device), 0
            order = epoch_batches(len(train), settings.batch_size, generator(seed, "order", epoch))
            bar = progress(order, f"nat {epoch + 1}/{settings.epochs}", total=batches)
            for step, batch in enumerate(bar):
                lr = set_step_size(optimizer, settings, epoch * batches + step)
                pictures = train.batch(batch).to(device, non_blocking=True)
                features = F.normalize(network(random_crop_flip(pictures, crop, flip, draws)))

                vectors = targets.vectors(assignment[batch])
                if permute:
                    start = clock(device)
                    new_order, vectors = reassign(align, features, vectors)
                    moved += update(assignment, batch, new_order)
                    cost += torch.tensor([clock(device) - start, 1])
                loss = square_loss(features, vectors)

                optimizer.zero_grad()
                loss.backward()
                optimizer.step()

                total += loss.detach()
                if step % 20 == 19:
                    done = (step + 1) * settings.batch_size
                    bar.set_postfix(
                        loss=f"{finite(total, 'pretrain.lr', epoch) / done:.4f}",
                        reassigned=f"{moved / done:.1%}",
                        images_per_s=f"{(bar.format_dict['rate'] or 0) * len(batch):.0f}",
                    )
            run.log(
                epoch=epoch + 1,
                lr=lr,
                loss=finite(total, "pretrain.lr", epoch) / seen,
                reassigned=100 * moved / seen,
                knn=monitor.accuracy(network.trunk, epoch + 1, device),
            )
            # the last epoch is the network itself
            if due(epoch + 1, settings.save_every) and epoch + 1 < settings.epochs:
                checkpoint(network, scratch, epoch + 1)
        where = provenance(used, seed, train.source, run.seconds, device)
        seconds, updates = cost.tolist()
        measured = {"alignment_ms": round(1000 * seconds / updates, 3) if updates else None}
        write_pretrained(
            out, record, network, run, where, seen * settings.epochs, measured, assignment
        )
        run.finish()


def update(assignment: torch.Tensor, batch: torch.Tensor, order: torch.Tensor) -> int:
    """Permute the target rows of a batch in place; P stays a permutation (eq. 6).

    Args:
        assignment: int64 (n,), target row of each image.
        batch: int64 (b,), images.
        order: int64 (b,), image i of the batch takes the row of its image order[i].

    Returns:
        How many images have another row than before.
    """
    order = order.cpu()
    assignment[batch] = assignment[batch[order]]
    return int((order != torch.arange(len(order))).sum())
