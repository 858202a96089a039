"""The transfer task of Table 3 and Figure 2: freeze conv1 to conv5, train a classifier on top.

Three readings of the same frozen features: the paper's MLP (section 4), a linear classifier and
k nearest neighbours, which today's readers compare. The two classifiers are trained at once, on
the same batches, since computing the features is most of the work.
"""

import re
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from nat.data.loader import Loader
from nat.data.seeds import generator, seed_layers
from nat.data.store import Store
from nat.evaluation.features import features
from nat.evaluation.knn import knn_accuracy
from nat.evaluation.multi_crop import multi_crop_accuracies
from nat.network.model import Trunk, initialise, load_network, mlp, read_network
from nat.network.optimizer import Guard
from nat.network.schedule import constant_then_decay
from nat.runtime.distributed import Team, join
from nat.runtime.errors import UserError
from nat.runtime.io.files import check_output, write_json
from nat.runtime.io.outputs import Kind, result
from nat.runtime.progress import progress
from nat.runtime.provenance import provenance
from nat.runtime.resume import Run, scratch_folder
from nat.runtime.settings.params import Params

BANK = 100_000  # pictures that kNN looks at, at most: AlexNet's conv5 of so many is 3.7 GB
USED = {"augment", "model", "probe"}  # groups of settings


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
    kind = result("accuracies that `nat probe` wrote", USED)
    check_output(out, kind)
    probing = Probing(params, seed, manifest)
    probing.write(out, probing.accuracies(network_file), kind)


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
        UserError: as ``probe``, or as ``find_checkpoints``.
    """
    kind = result("accuracies that `nat evolution` wrote", USED, rows=True)
    check_output(out, kind)
    files = find_checkpoints(checkpoints)
    probing = Probing(params, seed, manifest)
    rows = []
    for epoch, file in progress(files.items(), "checkpoints", total=len(files)):
        rows.append({"epoch": epoch, **probing.accuracies(file)})
    probing.write(out, rows, kind)


def find_checkpoints(folder: Path) -> dict[int, Path]:
    """The checkpoints of one training by their epochs, every one of which is read and checked.

    Raises:
        UserError: no such folder, a file that is no checkpoint, a damaged one, or one of
            another network than the others.
    """
    remedy = "make it with `python -m nat pretrain`"
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; {remedy}")
    found, shapes = {}, []
    for file in sorted(folder.iterdir()):
        if file.name.startswith("."):  # of file managers, or a copy that was interrupted
            continue
        epoch = re.fullmatch(r"epoch-(\d{4,9})\.safetensors", file.name, re.ASCII)
        if not epoch:
            raise UserError(f"{file}: no checkpoint, named epoch-EEEE.safetensors; remove it")
        found[int(epoch[1])] = file
        shapes.append(read_network(file)[0])
        if shapes[-1] != shapes[0]:
            raise UserError(
                f"{file}: of another network than the others; make them again with "
                "`python -m nat pretrain`"
            )
    return dict(sorted(found.items()))


class Probing:
    """One seed's probes of one or more trunks, on the same pictures."""

    def __init__(self, params: Params, seed: int, manifest: Path) -> None:
        """Open the pictures.

        Raises:
            UserError: pictures without labels, or a batch larger than the data.
        """
        self.params, self.seed, self.manifest = params, seed, manifest
        self.start = time.perf_counter()
        self.team = join(params.machine)
        train, val = (Store(manifest, params.machine.data, split) for split in ("train", "val"))
        for store in (train, val):
            store.require_labels("the probe")
        size = params.probe.batch_size
        self.loader = Loader(train, size, params.augment, seed, self.team, "probe.batch_size")
        self.val = val
        self.runs: list[Run] = []

    def accuracies(self, network_file: Path) -> dict[str, float]:
        """Train both classifiers and test all three readings; percent of the val pictures.

        The state of the training remains until ``write``, so that an interruption between two
        checkpoints repeats none.
        """
        params, seed, team, loader = self.params, self.seed, self.team, self.loader
        settings, crop, device = params.probe, params.augment.crop, team.device
        train, val = loader.store, self.val
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
        guard = Guard(
            {
                "probe.lr": settings.lr,
                "probe.lr_linear": settings.lr_linear,
                "probe.batch_size": settings.batch_size,
            },
            network_file,
            classifiers,
            optimizer,
        )
        used: dict[str, Any] = params.model_dump(include=USED)
        scratch = scratch_folder(
            params.machine.scratch,
            f"probe-{seed}",
            parameters=used,
            seed=seed,
            manifest=self.manifest,
            network=network_file,
            computing=team.computing,
        )
        with Run(scratch, {"classifiers": classifiers, "optimizer": optimizer}, team) as run:
            for epoch in run.epochs(settings.epochs):
                for group, lr in zip(
                    optimizer.param_groups, (settings.lr, settings.lr_linear), strict=True
                ):
                    group["lr"] = constant_then_decay(
                        lr, settings.lr_decay, settings.lr_hold, epoch
                    )
                classifiers.train()
                seed_layers(seed, "layers", epoch, team.rank)
                total = torch.zeros((), device=device)
                label = f"probe {epoch + 1}/{settings.epochs}"
                bar = progress(loader.epoch(epoch), label, total=loader.steps)
                for step, (rows, pictures) in enumerate(bar):
                    labels = train.labels[rows].to(device)
                    with team.autocast():
                        with torch.no_grad():
                            conv5 = trunk(pictures)
                        by_mlp, by_linear = joined(conv5)
                    losses = [F.cross_entropy(by.float(), labels) for by in (by_mlp, by_linear)]
                    loss = losses[0] + losses[1]
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    total += loss.detach()
                    guard.look(total, epoch, step)
                mean = guard.end(team.sum(total), epoch) / loader.steps / team.size
                run.log(loss=mean)
            classifiers.eval()
            for statistics in classifiers.buffers():  # of each process's own last batch until here
                team.spread(statistics)
            mlp_accuracy, linear_accuracy = multi_crop_accuracies(
                lambda cuts: classifiers(trunk(cuts)), val, crop, settings.crops, team
            )
            knn = nearest_classes(trunk, train, val, crop, settings.neighbours, team)
        found = {"mlp": mlp_accuracy, "linear": linear_accuracy, "knn": knn}
        self.runs.append(run)
        return {name: round(accuracy, 2) for name, accuracy in found.items()}

    def write(self, out: Path, measured: Any, kind: Kind) -> None:
        """Write what was measured with its provenance; only then remove the trainings' states."""
        used = self.params.model_dump(include=USED)
        seconds, team = time.perf_counter() - self.start, self.team
        where = provenance(used, self.seed, self.val.source, seconds, team.device)
        if team.first:
            write_json(out, {"measured": measured, "provenance": where}, kind)
        for run in self.runs:
            run.finish()
        team.leave()


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
