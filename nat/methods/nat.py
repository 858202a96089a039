"""Noise As Targets: Algorithm 1 of the paper.

For every batch: compute the features, reassign the batch's targets among its images, and step
along the gradient of the square loss. Everything else is where its name says: the targets in
targets/, the matching in alignments/ and assignment.py, the network in model.py.
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from nat.alignments import Align, find_alignment, reassign
from nat.data.loader import Loader
from nat.data.seeds import generator, seed_layers
from nat.data.store import Store
from nat.evaluation.features import KnnMonitor
from nat.network.loss import square_loss
from nat.network.model import Network, initialise
from nat.network.optimizer import INTERVAL, Guard, set_step_size, sgd
from nat.network.schedule import due, permutes_in
from nat.runtime.device import clock
from nat.runtime.distributed import Team, join
from nat.runtime.errors import UserError
from nat.runtime.pretrained import check_pretrained, checkpoint, write_pretrained
from nat.runtime.progress import progress
from nat.runtime.provenance import provenance
from nat.runtime.resume import Run, scratch_folder
from nat.runtime.settings.params import Params, Pretrain
from nat.targets import load_targets


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
    used = params.model_dump(include={"permute_every", "alignment", "model", "augment", "pretrain"})
    check_pretrained(out, record, used, "pretrain")
    team = join(params.machine)
    device = team.device
    train, val = (Store(manifest, params.machine.data, split) for split in ("train", "val"))
    targets = load_targets(targets_file)
    if len(targets) != len(train):
        raise UserError(
            f"{targets_file}: {len(targets)} targets for {len(train)} pictures; "
            "make them again with `python -m nat targets`"
        )
    loader = Loader(train, settings.batch_size, params.augment, seed, team, "pretrain.batch_size")
    targets = targets.near(device)
    align = find_alignment(params.alignment)
    network = Network(params.model, params.augment.crop, targets.dimension, train.channels)
    initialise(network, generator(seed, "weights"))
    network.to(device).to(memory_format=torch.channels_last)
    f_theta = team.joined(network, settings.batch_norm == "synchronised")
    optimizer = sgd(network, settings)
    # P of eq. 3 as a permutation: image i has target row assignment[i]
    assignment = torch.randperm(len(train), generator=generator(seed, "assignment"))
    # seconds spent on reassigning and batches that were
    cost = torch.zeros(2, dtype=torch.float64)

    monitor = KnnMonitor(train, val, params.augment.crop, settings.knn_every)
    # after the last epoch it is the network itself
    checkpoints = [e for e in range(1, settings.epochs) if due(e, settings.save_every)]
    scratch = scratch_folder(
        params.machine.scratch,
        f"nat-{seed}",
        parameters=used,
        seed=seed,
        manifest=manifest,
        targets=targets_file,
        computing=team.computing,
    )
    state = {
        "network": network,
        "optimizer": optimizer,
        "assignment": assignment,
        "cost": cost,
    }
    guard = Guard(
        {"pretrain.lr": settings.lr, "pretrain.batch_size": settings.batch_size},
        targets_file,
        network,
        optimizer,
        lambda: targets.fault(targets_file),
    )
    with Run(scratch, state, team) as run:
        for epoch in run.epochs(settings.epochs):
            network.train()
            seed_layers(seed, "layers", epoch, team.rank)
            permute = permutes_in(epoch, params.permute_every)
            before = assignment.clone()
            total = torch.zeros((), device=device)
            label = f"nat {epoch + 1}/{settings.epochs}"
            bar = progress(loader.epoch(epoch), label, total=loader.steps)
            for step, (rows, pictures) in enumerate(bar):
                lr = set_step_size(optimizer, settings, epoch * loader.steps + step)
                with team.autocast():
                    outputs = f_theta(pictures)
                features = F.normalize(outputs.float())
                vectors = targets.vectors(assignment[rows]).to(device, non_blocking=True)
                if permute:
                    start = clock(device)
                    try:
                        vectors = rematch(
                            align, features, vectors, rows, assignment, team, settings
                        )
                    except FloatingPointError as error:
                        guard.fail(str(error), epoch, step)
                    cost += torch.tensor([clock(device) - start, 1])
                loss = square_loss(features, vectors)

                optimizer.zero_grad()
                # the gradients are averaged over the processes, eq. 2's are summed over the batch
                (loss * team.size).backward()
                optimizer.step()

                total += loss.detach()
                guard.look(total, epoch, step)
                if step % INTERVAL == INTERVAL - 1:
                    done = (step + 1) * len(rows)
                    rate = (bar.format_dict["rate"] or 0) * settings.batch_size
                    shown = float(total) / done
                    bar.set_postfix(loss=f"{shown:.4f}", images_per_s=f"{rate:.0f}")
            if settings.matching == "local":
                # each process has moved targets among its own images alone
                assignment.copy_(before + team.sum(assignment - before))
            else:
                team.spread(assignment)  # all have found the same, unless their GPUs round apart
            run.log(
                epoch=epoch + 1,
                lr=lr,
                loss=guard.end(team.sum(total), epoch) / loader.seen,
                reassigned=100 * int((assignment != before).sum()) / loader.seen,
                knn=monitor.accuracy(network.trunk, epoch + 1, device) if team.first else None,
            )
            if epoch + 1 in checkpoints and team.first:
                checkpoint(network, scratch, epoch + 1)
        if team.first:
            seconds, updates = cost.tolist()
            measured = {"alignment_ms": round(1000 * seconds / updates, 3) if updates else None}
            seen = loader.seen * settings.epochs
            where = provenance(used, seed, train.source, run.seconds, device)
            write_pretrained(
                out,
                record,
                network,
                run,
                where,
                "pretrain",
                seen,
                measured,
                assignment,
                checkpoints,
            )
        run.finish()
    team.leave()


def rematch(
    align: Align,
    features: torch.Tensor,
    vectors: torch.Tensor,
    rows: torch.Tensor,
    assignment: torch.Tensor,
    team: Team,
    settings: Pretrain,
) -> torch.Tensor:
    """Give a batch's targets anew to its images, in P too.

    Args:
        align: how.
        features: (b, d), unit length, of this process's part of the batch.
        vectors: (b, d), the targets of its images.
        rows: int64 (b,), its images.
        assignment: int64 (n,), target row of each image, changed in place.
        team: whose whole batch is matched where ``settings.matching`` is global.
        settings: of pretraining.

    Returns:
        (b, d), what the loss draws the features to.

    Raises:
        FloatingPointError: a feature or a target is not a finite number.
    """
    if settings.matching == "local" or team.size == 1:
        order, drawn_to = reassign(align, features, vectors)
        update(assignment, rows, order)
        return drawn_to
    everyone = team.gather(features.detach()), team.gather(vectors)
    order, drawn_to = reassign(align, *everyone)
    update(assignment, team.gather(rows.to(team.device)).cpu(), order)
    return drawn_to[len(rows) * team.rank :][: len(rows)]


def update(assignment: torch.Tensor, rows: torch.Tensor, order: torch.Tensor) -> None:
    """Permute the target rows of a batch in place; P stays a permutation (eq. 6).

    Args:
        assignment: int64 (n,), target row of each image.
        rows: int64 (b,), images.
        order: int64 (b,), image i of the batch takes the row of its image order[i].
    """
    assignment[rows] = assignment[rows[order.cpu()]]
