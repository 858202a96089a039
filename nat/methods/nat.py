"""Noise As Targets: Algorithm 1 of the paper.

For every batch: compute the features, reassign the batch's targets among its images, and step
along the gradient of the square loss. Everything else is where its name says: the targets in
targets/, the matching in alignments/, the network in network/, and what surrounds a loop, from
several processes to resumption, in network/session.py.
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from nat.alignments import Align, find_alignment, reassign
from nat.evaluation.features import KnnMonitor
from nat.methods import TrunkSession
from nat.network.loss import square_loss
from nat.network.optimizer import set_learning_rate, sgd
from nat.network.pretrained import checkpoint
from nat.network.schedule import due, permutes_in
from nat.runtime.device import Stopwatch
from nat.runtime.distributed import Distributed
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.settings.params import Params, Pretrain
from nat.targets import Targets, load_targets, sample_targets

LABEL = "NAT"
REFERENCE = ""
MEASURE = "loss"
BETTER = "lower"
MEASURE_TEXT = "squared distance to the targets"
Settings = Pretrain
GROUPS = {
    "permute_every", "alignment", "target_type", "targets", "model", "augment", "pretrain",
}  # fmt: skip


def pretrain(
    params: Params,
    name: Name,
    manifest: Path,
    targets_file: Path | None,
    out: Path,
    result: Path,
) -> None:
    """Train a network without labels.

    Args:
        params: permute_every, alignment, target_type, targets, model, augment and pretrain are
            used.
        name: of the training; an ablation's keeps no checkpoints.
        manifest: of the image store.
        targets_file: what ``nat targets`` wrote for this store; None samples the same here.
        out: the network's folder to write (see network/pretrained.py).
        result: the result's file to write.

    Raises:
        UserError: targets and images do not match, a batch is larger than the data, the output
            cannot be written, or the loss is no longer finite.
    """
    used = params.model_dump(include=GROUPS)
    inputs = {} if targets_file is None else {"targets": targets_file}
    with TrunkSession(params, name, used, manifest, out, result, **inputs) as session:
        n = len(session.images)
        if targets_file is None:
            targets = sample_targets(params.target_type, n, params.targets, name.seed)
        else:
            targets = load_targets(targets_file)
        if len(targets) != n:
            raise UserError(
                f"{targets_file}: {len(targets)} targets for {n} images; "
                "make them again with `python -m nat targets`"
            )
        train(session, params.pretrain, targets, targets_file or manifest)


def train(session: TrunkSession, settings: Pretrain, targets: Targets, source: Path) -> None:
    """Algorithm 1.

    Args:
        session: of the training.
        settings: of pretraining.
        targets: C of eq. 3, one for each image.
        source: the file that they come from, to name when their numbers are not finite.
    """
    params, distributed, device = session.params, session.distributed, session.device
    loader = session.loader(session.images, settings.batch_size, "pretrain.batch_size")
    targets = targets.cached_on(device)
    align = find_alignment(params.alignment)
    network = session.network(targets.dimension).to(memory_format=torch.channels_last)
    f_theta = distributed.wrap(network, settings.batch_norm == "synchronised")
    optimizer = sgd(network.parameters(), settings)
    # P of eq. 3 as a permutation: image i has target row assignment[i]
    assignment = torch.randperm(len(targets), generator=session.generator("assignment"))
    watch = Stopwatch(device)
    is_ablation = bool(session.name.override)
    monitor = KnnMonitor(
        session.train,
        session.validation,
        session.crop,
        "never" if is_ablation else settings.knn_every,
    )
    # after the last epoch it is the network itself
    due_after = [
        e for e in range(1, settings.epochs) if not is_ablation and due(e, settings.save_every)
    ]
    blame = {"pretrain.lr": settings.lr, "pretrain.batch_size": settings.batch_size}

    for epoch in session.epochs(
        network, optimizer, settings.epochs, blame, source, lambda: targets.fault(source),
        assignment=assignment, cost=watch.total,
    ):  # fmt: skip
        permute = permutes_in(epoch.number, params.permute_every)
        before = assignment.clone()
        for t, rows, images in epoch.batches(
            loader.epoch(epoch.number), loader.steps, settings.batch_size, settings.batch_size
        ):
            lr = set_learning_rate(optimizer, settings, t)  # section 3.3
            with distributed.autocast():
                outputs = f_theta(images)
            features = F.normalize(outputs.float())  # f_theta(X) of eq. 2, on the unit sphere
            vectors = targets.vectors(assignment[rows], device)  # P C
            if permute:
                with watch:
                    try:  # eq. 5, P within the batch
                        vectors = rematch(
                            align, features, vectors, rows, assignment, distributed, settings
                        )
                    except FloatingPointError as error:
                        epoch.fail(str(error))
            loss = square_loss(features, vectors)  # eq. 2, summed over the batch
            optimizer.zero_grad()
            # gradients are averaged over the processes, eq. 2's are summed over the batch
            (loss * distributed.size).backward()
            optimizer.step()
            epoch.add(loss)
        watch.settle()
        synchronise(assignment, before, distributed, settings)
        knn = None
        if distributed.is_main:
            knn = monitor.accuracy(network.trunk, epoch.number + 1, device)
        session.log(
            epoch=epoch.number + 1,
            lr=lr,
            loss=epoch.loss() / loader.images_per_epoch,
            reassigned=100 * int((assignment != before).sum()) / loader.images_per_epoch,
            knn=knn,
        )
        if epoch.number + 1 in due_after and distributed.is_main:
            checkpoint(network, session.state, epoch.number + 1)
    session.save(
        network,
        loader.images_per_epoch * settings.epochs,
        {"alignment_ms": watch.milliseconds},
        assignment,
        due_after,
    )


def rematch(
    align: Align,
    features: torch.Tensor,
    vectors: torch.Tensor,
    rows: torch.Tensor,
    assignment: torch.Tensor,
    distributed: Distributed,
    settings: Pretrain,
) -> torch.Tensor:
    """Give a batch's targets anew to its images, in P too.

    Args:
        align: how.
        features: (b, d), unit length, of this process's part of the batch.
        vectors: (b, d), the targets of its images.
        rows: int64 (b,), its images.
        assignment: int64 (n,), target row of each image, changed in place.
        distributed: the processes; the batch of all is matched where ``settings.matching`` is
            global.
        settings: of pretraining.

    Returns:
        (b, d), what the loss draws the features to.

    Raises:
        FloatingPointError: a feature or a target is not a finite number.
    """
    if settings.matching == "local" or distributed.size == 1:
        order, drawn_to = reassign(align, features, vectors)
        update(assignment, rows, order)
        return drawn_to
    everyone = distributed.all_gather(features.detach()), distributed.all_gather(vectors)
    order, drawn_to = reassign(align, *everyone)
    update(assignment, distributed.all_gather(rows.to(distributed.device)).cpu(), order)
    return drawn_to[len(rows) * distributed.rank :][: len(rows)]


def update(assignment: torch.Tensor, rows: torch.Tensor, order: torch.Tensor) -> None:
    """Permute the target rows of a batch in place; P stays a permutation (eq. 6).

    Args:
        assignment: int64 (n,), target row of each image.
        rows: int64 (b,), images.
        order: int64 (b,), image i of the batch takes the row of its image order[i].
    """
    assignment[rows] = assignment[rows[order.cpu()]]


def synchronise(
    assignment: torch.Tensor, before: torch.Tensor, distributed: Distributed, settings: Pretrain
) -> None:
    """Give every process the same P at the end of an epoch, in place.

    Args:
        assignment: int64 (n,), target row of each image, as this process has changed it.
        before: int64 (n,), as it was before the epoch, the same in every process.
        distributed: the processes.
        settings: of pretraining.
    """
    if settings.matching == "local":
        # each process has moved targets among its own images alone
        assignment.copy_(before + distributed.all_reduce(assignment - before))
    else:
        distributed.broadcast(assignment)  # all have found the same, unless their GPUs round apart
