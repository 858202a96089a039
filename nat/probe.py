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
from nat.images.augment import random_crop_flip
from nat.images.store import Store, check_batch, epoch_batches
from nat.model import initialise, load_network, mlp
from nat.multi_crop import multi_crop_accuracies
from nat.neighbours import knn_accuracy
from nat.params import Params
from nat.training.device import prepare_device
from nat.training.progress import progress
from nat.training.provenance import provenance
from nat.training.run import Run, scratch_folder
from nat.training.schedule import constant_then_decay
from nat.training.seeds import generator, seed_layers
from nat.training.sgd import finite


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
    device = prepare_device(params.machine)
    train, val = (Store(manifest, params.machine.data, split) for split in ("train", "val"))
    start = time.perf_counter()
    measured = accuracies(params, seed, manifest, network_file, train, val, device)
    seconds = time.perf_counter() - start
    used = params.model_dump(include={"augment", "model", "probe"})
    where = provenance(used, seed, train.source, seconds, device)
    write_json(out, {"measured": measured, "provenance": where})


def accuracies(
    params: Params,
    seed: int,
    manifest: Path,
    network_file: Path,
    train: Store,
    val: Store,
    device: torch.device,
) -> dict[str, float]:
    """Train both classifiers and test all three; percent of the val pictures."""
    settings, crop, flip = params.probe, params.augment.crop, params.augment.flip
    train.require_labels("the probe")
    val.require_labels("the probe")
    check_batch(settings.batch_size, len(train), "probe.batch_size")
    trunk = load_network(network_file).trunk.to(device).eval().requires_grad_(False)
    classifiers = Classifiers(
        trunk.features(crop), params.model.hidden, len(train.classes), params.model.dropout
    )
    initialise(classifiers, generator(seed, "classifiers"))
    classifiers.to(device)
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
        device=device.type,
    )
    batches = len(train) // settings.batch_size
    with Run(scratch, {"classifiers": classifiers, "optimizer": optimizer}) as run:
        for epoch in run.epochs(settings.epochs):
            for group, lr in zip(
                optimizer.param_groups, (settings.lr, settings.lr_linear), strict=True
            ):
                group["lr"] = constant_then_decay(lr, settings.lr_decay, settings.lr_hold, epoch)
            classifiers.train()
            seed_layers(seed, "layers", epoch)
            draws = generator(seed, "augment", epoch)
            total = torch.zeros((), device=device)
            order = epoch_batches(len(train), settings.batch_size, generator(seed, "order", epoch))
            for batch in progress(order, f"probe {epoch + 1}/{settings.epochs}", total=batches):
                pictures = train.batch(batch).to(device, non_blocking=True)
                labels = train.labels[batch].to(device)
                with torch.no_grad():
                    conv5 = trunk(random_crop_flip(pictures, crop, flip, draws))
                by_mlp, by_linear = classifiers(conv5)
                loss = F.cross_entropy(by_mlp, labels) + F.cross_entropy(by_linear, labels)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                total += loss.detach()
            run.log(loss=finite(total, "probe.lr", epoch) / batches)
        classifiers.eval()
        mlp_accuracy, linear_accuracy = multi_crop_accuracies(
            lambda cuts: classifiers(trunk(cuts)), val, crop, settings.crops, device
        )
        everything = [
            features(trunk, store, torch.arange(len(store)), crop, device) for store in (train, val)
        ]
        knn = knn_accuracy(
            everything[0], train.labels, everything[1], val.labels, settings.neighbours
        )
        run.finish()
    return {
        "mlp": round(mlp_accuracy, 2),
        "linear": round(linear_accuracy, 2),
        "knn": round(knn, 2),
    }


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
    device = prepare_device(params.machine)
    train, val = (Store(manifest, params.machine.data, split) for split in ("train", "val"))
    start = time.perf_counter()
    if not checkpoints.is_dir():
        raise UserError(f"{checkpoints}: no such folder; make it with `python -m nat pretrain`")
    rows = []
    for file in progress(sorted(checkpoints.glob("epoch-*.safetensors")), "checkpoints"):
        epoch = int(file.stem.removeprefix("epoch-"))
        found = accuracies(params, seed, manifest, file, train, val, device)
        rows.append({"epoch": epoch, **found})
    used = params.model_dump(include={"augment", "model", "probe"})
    where = provenance(used, seed, train.source, time.perf_counter() - start, device)
    write_json(out, {"measured": rows, "provenance": where})
