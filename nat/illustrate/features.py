"""What Figures 1 and 3 show of a trained network, gathered into one small file.

Everything shown is chosen by rule and seed, never by hand.
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from nat.data.augment import fixed_crops
from nat.data.manifest import pretraining_split
from nat.data.seeds import generator
from nat.data.store import Store
from nat.evaluation.features import features, unit_features
from nat.evaluation.knn import nearest
from nat.illustrate.illustration import Illustration
from nat.network.model import Network, load_network
from nat.runtime.device import prepare_device
from nat.runtime.errors import UserError
from nat.runtime.io.arrays import open_array
from nat.runtime.io.foreign import reading
from nat.runtime.provenance import provenance
from nat.runtime.settings.params import Params
from nat.targets import Targets, load_targets

SECTORS = 8  # images of Figure 1, one in each eighth of the circle
OTHERS = 200  # other features and targets drawn faintly behind them
QUERIES = 10  # at most, in Figure 3
NEIGHBOURS = 3
SIDE = 40  # pixels; larger images are reduced to it, so that the file stays small
BANK = 100_000  # at most so many training images are searched, which bounds the memory


@dataclass(frozen=True)
class Plane:
    """The images of Figure 1 and where features and targets lie in its plane.

    Attributes:
        chosen: int64 (m,), rows of ``features`` that are shown with their images.
        others: int64 (e,), rows that are shown as points only.
        features: float (n, 2).
        targets: float (n, 2).
    """

    chosen: torch.Tensor
    others: torch.Tensor
    features: torch.Tensor
    targets: torch.Tensor


def gather_features(
    params: Params,
    seed: int,
    manifest: Path,
    nat_folder: Path,
    targets_file: Path,
) -> Illustration:
    """Gather what Figures 1 and 3 show.

    The facts hold: source, classes, train and test (counts), size, channels, crop (pixels),
    preprocessing, target_type, dimension, trunk, layers ([channels, side] of conv1 to conv5),
    hidden, searched (how many training images Figure 3 looked through) and cosine (mean inner
    product of these images' features and targets).

    Args:
        params: machine and target_type are used.
        seed: of the choice of images.
        manifest: of the image store.
        nat_folder: what ``nat pretrain`` wrote.
        targets_file: what that pretraining read.

    Raises:
        UserError: an input is missing, has no labels, or does not fit the others.
    """
    start = time.perf_counter()
    device = prepare_device(params.machine)
    train, test = (Store(manifest, params.machine.data, split) for split in ("train", "test"))
    for store in (train, test):
        store.require_labels("Figure 3")
    network = load_network(nat_folder / "network.safetensors", test.channels).to(device).eval()
    targets = load_targets(targets_file)
    split = pretraining_split(manifest)
    images = train if split == "train" else Store(manifest, params.machine.data, split)
    assignment = load_assignment(nat_folder / "assignment.npy", len(images), targets)

    crop = network.input_size
    rows = spaced(images)
    own = features(unit_features(network), images, rows, crop, device)
    vectors = targets.vectors(assignment[rows]).to(device)
    plane = overview(own.cpu(), vectors.cpu(), seed)
    shown = rows[plane.chosen]

    searched = rows if images is train else spaced(train)
    bank = (
        own if images is train else features(unit_features(network), train, searched, crop, device)
    )
    queries = one_per_class(test.labels, seed)
    found = features(unit_features(network), test, queries, crop, device)
    distances, places = nearest(found, bank, NEIGHBOURS)
    neighbours = searched[places.cpu()]

    sample = images.batch(shown)
    sees = network.trunk.preprocess(fixed_crops(sample[:1], crop, 1)[0].to(device))
    cosines = (own * vectors).sum(1).cpu()
    facts = _facts(train, test, network, params.target_type, targets, len(searched))
    facts["cosine"] = cosines.mean().item()
    seconds, data = time.perf_counter() - start, train.described(test)
    return Illustration(
        facts=facts,
        provenance=provenance({}, seed, data, seconds, device),
        images=small(sample),
        gradients=sees[0].cpu().numpy().astype(np.float16),
        features=plane.features[plane.chosen].numpy(),
        targets=plane.targets[plane.chosen].numpy(),
        cosines=cosines[plane.chosen].numpy(),
        other_features=plane.features[plane.others].numpy(),
        other_targets=plane.targets[plane.others].numpy(),
        queries=small(test.batch(queries)),
        query_labels=test.labels[queries].numpy(),
        neighbours=np.stack([small(train.batch(row)) for row in neighbours]),
        neighbour_labels=train.labels[neighbours].numpy(),
        distances=distances.cpu().numpy(),
    )


def spaced(store: Store) -> torch.Tensor:
    """At most BANK rows, int64, evenly spaced: a store may be sorted by class."""
    return torch.linspace(0, len(store) - 1, min(len(store), BANK)).long()


def overview(features: torch.Tensor, vectors: torch.Tensor, seed: int) -> Plane:
    """The plane of Figure 1, and the images shown in it.

    The plane is the one in which features and their targets agree most: the first two principal
    directions of the symmetric part of the mean of f y^T over the images (the trace of eq. 5,
    direction by direction). In each eighth of that plane, the image is shown whose *target* lies
    closest to the plane; how well its feature matches plays no part in the choice.

    Args:
        features: float32 (n, d), unit length.
        vectors: float32 (n, d), their targets.
        seed: of the faint points' choice.
    """
    agreement = features.T @ vectors / len(features)
    _, directions = torch.linalg.eigh((agreement + agreement.T) / 2)
    axes = directions[:, -2:].flip(1)
    axes = axes * axes.sum(0).sign()  # an eigenvector's sign is arbitrary
    points, aims = features @ axes, vectors @ axes
    eighth = (torch.atan2(aims[:, 1], aims[:, 0]) / (2 * math.pi) * SECTORS).floor() % SECTORS
    lengths = aims.norm(dim=1)
    chosen = [
        (lengths * (eighth == index)).argmax()
        for index in range(SECTORS)
        if (lengths[eighth == index] > 0).any()  # one-hot targets may leave one empty
    ]
    others = torch.randperm(len(points), generator=generator(seed, "illustrate", "others"))[:OTHERS]
    return Plane(torch.stack(chosen), others, points, aims)


def one_per_class(labels: torch.Tensor, seed: int) -> torch.Tensor:
    """Of each class the first image in a random order; of many classes, evenly spaced ones.

    Args:
        labels: int64 (n,).
        seed: of the order.

    Returns:
        int64 rows, in the order of the classes, at most QUERIES.
    """
    order = torch.randperm(len(labels), generator=generator(seed, "illustrate", "queries"))
    classes = labels.unique()
    spaced = torch.linspace(0, len(classes) - 1, min(len(classes), QUERIES)).long()
    return torch.stack([order[(labels[order] == c).nonzero()[0, 0]] for c in classes[spaced]])


def small(images: torch.Tensor) -> np.ndarray:
    """Uint8 (b, c, h, h) reduced to at most SIDE pixels."""
    if images.shape[-1] > SIDE:
        images = F.interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True)
    return images.numpy()


def load_assignment(path: Path, n: int, targets: Targets) -> torch.Tensor:
    """Read P as ``nat pretrain`` wrote it: int64 (n,), the target row of each image.

    Raises:
        UserError: missing, damaged, no permutation, or not of ``n`` images and these targets.
    """
    what, remedy = "assignment", "make it with `python -m nat pretrain`"
    assignment = open_array(path, {"int64": ("n",)}, what, remedy)
    if not len(assignment) == n == len(targets):
        raise UserError(
            f"{path}: {len(assignment)} images, but {n} images and {len(targets)} targets; "
            "give the images and targets that this network was trained with"
        )
    with reading(path, what, remedy):
        if not np.array_equal(np.sort(assignment), np.arange(n)):
            raise ValueError("it is no permutation of the rows of targets")
    return torch.from_numpy(assignment)


@torch.no_grad()
def _facts(
    train: Store, test: Store, network: Network, target_type: str, targets: Targets, searched: int
) -> dict[str, Any]:
    """What captions say of data, network and targets."""
    side = network.input_size
    layers, x = [], torch.zeros(1, network.trunk.front_end.outputs, side, side)
    for name, layer in network.trunk.cpu().layers.named_children():
        x = layer(x)
        if name.startswith("relu"):
            layers.append([x.shape[1], x.shape[2]])
    return {
        "source": train.source,
        "classes": train.classes,
        "train": len(train),
        "test": len(test),
        "size": train.images.shape[-1],
        "channels": train.images.shape[1],
        "crop": side,
        "preprocessing": network.settings.preprocessing,
        "target_type": target_type,
        "dimension": targets.dimension,
        "trunk": network.trunk.name,
        "layers": layers,
        "hidden": network.settings.hidden,
        "searched": searched,
    }
