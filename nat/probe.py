"""The transfer task of Table 3 and Figure 2: freeze conv1 to conv5, train a classifier on top.

Three readings of the same frozen features: the paper's MLP (section 4), a linear classifier and
k nearest neighbours, which today's readers compare. The two classifiers are trained at once, on
the same batches, since computing the features is most of the work.
"""

import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from nat.errors import UserError
from nat.features import features
from nat.files import check_writable, write_json
from nat.images.loader import Loader
from nat.images.store import Store
from nat.model import Trunk, initialise, load_network, mlp
from nat.multi_crop import multi_crop_accuracies
from nat.neighbours import knn_accuracy
from nat.params import Params
from nat.training.progress import progress
from nat.training.provenance import provenance
from nat.training.run import Run, scratch_folder
from nat.training.schedule import constant_then_decay
from nat.training.seeds import generator, seed_layers
from nat.training.sgd import finite
from nat.training.team import Team, join

BANK = 100_000  # pictures that kNN looks at, at most: AlexNet's conv5 of so many is 3.7 GB


class Classifiers(nn.Module):
    """An MLP of the head's shape and a linear classifier, side by side on the same features."""

    def __init__(self, inputs: int, hidden: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.mlp = mlp(inputs, hidden, classes, dropout)
        # features of different trunks differ in scale; batch norm without parameters removes that
        self.linear = nn.Sequential(
            nn.Flatten(), nn.BatchNorm1d(inputs, affine=False), nn.Linear(inputs, classes)
        )

    def forward(self, conv5: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Float (b, ...) to the logits of both, float (b, classes)."""
        return self.mlp(conv5), self.linear(conv5)


def probe(params: Params, seed: int, manifest: Path, network_file: Path, out: Path) -> None:
    """Probe a network's trunk and write the accuracies with their provenance to ``out``.

    Args:
        params: augment, model and probe are used; the model's shape comes from the network.
        seed: of every random draw.
        manifest: of the image store.
        network_file: network.safetensors of any method.
        out: a JSON file.

    Raises:
        UserError: pictures without labels, a damaged network, a batch larger than the data.
    """
    check_writable(out)
    team = join(params.machine)
    train, val = (Store(manifest, params.machine.data, split) for split in ("train", "val"))
    start = time.perf_counter()
    measured = accuracies(params, seed, manifest, network_file, train, val, team)
    seconds = time.perf_counter() - start
    used = params.model_dump(include={"augment", "model", "probe"})
    where = provenance(used, seed, train.source, seconds, team.device)
    if team.first:
        write_json(out, {"measured": measured, "provenance": where})


def accuracies(
    params: Params,
    seed: int,
    manifest: Path,
    network_file: Path,
    train: Store,
    val: Store,
    team: Team,
) -> dict[str, float]:
    """Train both classifiers and test all three; percent of the val pictures."""
    settings, crop, device = params.probe, params.augment.crop, team.device
    train.require_labels("the probe")
    val.require_labels("the probe")
    loader = Loader(train, settings.batch_size, params.augment, seed, team, "probe.batch_size")
    trunk = load_network(network_file).trunk.to(device).eval().requires_grad_(False)
    classifiers = Classifiers(
        trunk.features(crop), params.model.hidden, len(train.classes), params.model.dropout
    )
    initialise(classifiers, generator(seed, "classifiers"))
    classifiers.to(device)
    joined = team.joined(classifiers)
    # v <- momentum v + (1 - momentum) g, as the released protocol writes it
    optimizer = torch.optim.SGD(
        [{"params": classifiers.mlp.parameters()}, {"params": classifiers.linear.parameters()}],
        lr=settings.lr,
        momentum=settings.momentum,
        dampening=settings.momentum,
        weight_decay=settings.weight_decay,
    )
    used: dict[str, Any] = params.model_dump(include={"augment", "model", "probe"})
    scratch = scratch_folder(
        params.machine.scratch,
        f"probe-{seed}",
        parameters=used,
        seed=seed,
        manifest=manifest,
        network=network_file,
        computing=team.computing,
    )
    with Run(scratch, {"classifiers": classifiers, "optimizer": optimizer}, team) as run:
        for epoch in run.epochs(settings.epochs):
            for group, lr in zip(
                optimizer.param_groups, (settings.lr, settings.lr_linear), strict=True
            ):
                group["lr"] = constant_then_decay(lr, settings.lr_decay, settings.lr_hold, epoch)
            classifiers.train()
            seed_layers(seed, "layers", epoch, team.rank)
            total = torch.zeros((), device=device)
            label = f"probe {epoch + 1}/{settings.epochs}"
            for rows, pictures in progress(loader.epoch(epoch), label, total=loader.steps):
                labels = train.labels[rows].to(device)
                with team.autocast():
                    with torch.no_grad():
                        conv5 = trunk(pictures)
                    by_mlp, by_linear = joined(conv5)
                loss = F.cross_entropy(by_mlp, labels) + F.cross_entropy(by_linear, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach()
            mean = finite(team.sum(total), "probe.lr", epoch) / loader.steps / team.size
            run.log(loss=mean)
        classifiers.eval()
        mlp_accuracy, linear_accuracy = multi_crop_accuracies(
            lambda cuts: classifiers(trunk(cuts)), val, crop, settings.crops, team
        )
        knn = nearest_classes(trunk, train, val, crop, settings.neighbours, team)
        run.finish()
    return {
        "mlp": round(mlp_accuracy, 2),
        "linear": round(linear_accuracy, 2),
        "knn": round(knn, 2),
    }


def nearest_classes(
    trunk: Trunk, train: Store, val: Store, crop: int, neighbours: int, team: Team
) -> float:
    """Accuracy of kNN in percent on conv5 of the central crops; the first process computes it."""
    if not team.first:
        return 0.0
    # evenly spaced rows: a store may be sorted by class
    bank, queries = (
        torch.linspace(0, len(store) - 1, min(len(store), BANK)).long() for store in (train, val)
    )
    return knn_accuracy(
        features(trunk, train, bank, crop, team.device),
        train.labels[bank],
        features(trunk, val, queries, crop, team.device),
        val.labels[queries],
        neighbours,
    )


def evolution(params: Params, seed: int, manifest: Path, checkpoints: Path, out: Path) -> None:
    """Figure 2, left: probe the trunk of every checkpoint before the last epoch.

    The last epoch is NAT's probe itself, and epoch 0 is the row "Random".

    Args:
        params: as ``probe`` uses them.
        seed: of every random draw.
        manifest: of the image store.
        checkpoints: the folder of epoch-EEEE.safetensors files.
        out: a JSON file; ``measured`` is a list of {epoch, mlp, linear, knn}.

    Raises:
        UserError: as ``probe``, or no folder of checkpoints.
    """
    check_writable(out)
    team = join(params.machine)
    train, val = (Store(manifest, params.machine.data, split) for split in ("train", "val"))
    start = time.perf_counter()
    if not checkpoints.is_dir():
        raise UserError(f"{checkpoints}: no such folder; make it with `python -m nat pretrain`")
    rows = []
    for file in progress(sorted(checkpoints.glob("epoch-*.safetensors")), "checkpoints"):
        epoch = int(file.stem.removeprefix("epoch-"))
        found = accuracies(params, seed, manifest, file, train, val, team)
        rows.append({"epoch": epoch, **found})
    used = params.model_dump(include={"augment", "model", "probe"})
    where = provenance(used, seed, train.source, time.perf_counter() - start, team.device)
    if team.first:
        write_json(out, {"measured": rows, "provenance": where})
