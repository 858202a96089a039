"""Whole files for every reader of files from outside, and what reads them."""

import gzip
import io
import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from recorded import panned, write_frames
from scipy.io import savemat
from shown import provenance
from tiny import ALL, settings
from torchvision.datasets import CIFAR10

from nat.api.export import export_trunk
from nat.data.store import Source, Split, Store, write_store
from nat.datasets import cifar10, fashion_mnist
from nat.datasets.filling.archives import index
from nat.datasets.filling.journal import Journal
from nat.network.model import Network, initialise, save_network
from nat.pretext.motion.frames import Recording
from nat.runtime.naming import Name
from nat.runtime.results import write_result
from nat.runtime.settings.params import Params
from nat.targets import Targets, load_targets, save_targets
from nat.voc.data.devkit import (
    Box,
    Thing,
    annotation,
    annotation_xml,
    jpeg,
    make_folders,
    write_image_set,
)
from nat.voc.data.manifest import open_voc
from nat.voc.data.prepare import describe
from nat.voc.data.reader import VocSplit
from nat.voc.detection.average_precision import Detections
from nat.voc.detection.results import write_results
from nat.voc.proposals.selective_search import search_split

CLASSES = ["cat", "dog"]
NAMES = [f"{number:06d}" for number in range(1, 4)]


def parameters(folder: Path, **groups: Any) -> Params:
    machine = {"data": str(folder / "data"), "scratch": str(folder / "scratch")}
    return Params.model_validate(settings(machine=machine, **groups))


def write_images(folder: Path) -> None:
    draws = np.random.default_rng(0)
    splits = {
        name: Split(n, draws.integers(0, 256, (n, 1, 8, 8), np.uint8), np.arange(n) % 2)
        for name, n in (("train", 6), ("test", 4))
    }
    write_store(Source("test", CLASSES, splits), 8, 1, str(folder / "data"), folder / "m.json")
    (store,) = (folder / "data" / "stores").iterdir()
    (folder / "store").symlink_to(store)


def read_images(folder: Path) -> None:
    store = Store(folder / "m.json", str(folder / "data"), "train")
    store.batch(torch.arange(len(store)))
    store.require_labels("a test")


def write_network(folder: Path, name: str = "n.safetensors") -> None:
    network = Network(parameters(folder).model, 28, 8)
    initialise(network, torch.Generator().manual_seed(0))
    save_network(network, folder / name)


def write_trunk(folder: Path) -> None:
    write_network(folder)
    export_trunk(folder / "n.safetensors", folder / "t.safetensors")


def write_kit(folder: Path) -> None:
    make_folders(folder)
    things = {name: [Thing("cat", Box(2, 3, 12, 20), False, False)] for name in NAMES}
    draws = np.random.default_rng(0)
    for name, own in things.items():
        pixels = draws.integers(0, 255, (20, 24, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(jpeg(folder, name))
        annotation(folder, name).write_bytes(annotation_xml(name, 24, 20, 3, own))
    for split in ("trainval", "test"):
        write_image_set(folder, split, things, CLASSES)
    (folder / "voc.json").write_text(json.dumps(describe(folder)))


def write_search(folder: Path) -> None:
    write_kit(folder)
    search(folder)


def search(folder: Path) -> None:
    params = parameters(folder, proposals={"short_side": None}).proposals
    search_split(VocSplit(folder, CLASSES, "test"), params, 1, folder / "scratch", "")


def read_kit(folder: Path) -> None:
    params = parameters(folder, voc={"source": "devkit", "folder": str(folder)})
    _, trainval, _ = open_voc(params, folder / "voc.json")
    for row in range(len(trainval)):
        trainval.image(row)
        trainval.objects(row)


def write_detect(folder: Path) -> None:
    measured = {"map": 1.5, "ap": {"cat": 1.5, "dog": None}}
    where = provenance(0, "fashion-mnist-voc", detect={"hidden": 16})
    write_result(folder / "detect.json", "detect", Name(), measured, where)


def write_journal(folder: Path) -> None:
    (folder / "array").touch()
    journal = Journal(folder / "journal")
    with journal.following(folder / "array"):
        for number in range(4):
            journal.add("train", number, {2 * number: "truncated"} if number % 2 else {})


def read_journal(folder: Path) -> None:
    journal = Journal(folder / "journal")
    journal.fit("train", rows=8, chunk=2)
    assert all(0 <= number < 4 for number in journal.of("train"))


def write_archive(folder: Path) -> None:
    with tarfile.open(folder / "a.tar", "w") as tar:
        for name in ("x.JPEG", "y.JPEG", "long" * 40 + ".JPEG"):
            member = tarfile.TarInfo(name)
            member.size = 700
            tar.addfile(member, io.BytesIO(bytes(700)))
    index(folder / "a.tar", str(folder / "scratch"))
    (kept,) = (folder / "scratch").glob("index-*.npz")
    (folder / "index.npz").symlink_to(kept)


def read_archive(folder: Path) -> None:
    for kept in (folder / "scratch").glob("index-*.npz"):
        kept.unlink()
    index(folder / "a.tar", str(folder / "scratch"))


def write_detectron(folder: Path, protocol: int = 2) -> None:
    boxes = [np.array([[0, 0, 9, 9], [1, 2, 3, 4]], np.float32)] * 2
    content = {"boxes": boxes, "scores": [np.zeros(2), np.ones(2)], "indexes": [1, np.int64(2)]}
    (folder / "p.pkl").write_bytes(pickle.dumps(content, protocol))


def write_mat(folder: Path, compressed: bool = False) -> None:
    boxes, images = np.empty((1, 2), object), np.empty((2, 1), object)
    boxes[0, :] = [np.ones((3, 4)), np.ones((1, 4), np.uint16)]
    images[:, 0] = ["a", "b"]
    path = folder / "v.mat"
    savemat(path, {"boxes": boxes, "images": images}, do_compression=compressed)


def write_cifar10(folder: Path) -> None:
    with tarfile.open(folder / CIFAR10.filename, "w:gz") as tar:
        for name, _ in CIFAR10.train_list:
            content = pickle.dumps({"labels": [1, 2], "data": np.zeros((2, 3072), np.uint8)}, 2)
            member = tarfile.TarInfo(f"{CIFAR10.base_folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def read_packed_cifar10(folder: Path) -> None:
    """Whatever is in it has another checksum than CIFAR-10."""
    images = {"source": "cifar10", "folder": str(folder), **ALL}
    params = parameters(folder, images=images)
    cifar10.read(params.images, params.machine)


def write_fashion_mnist(folder: Path) -> None:
    for name in fashion_mnist.SHA256:
        (folder / f"{name}.gz").write_bytes(gzip.compress(bytes(100)))


def write_results_of(folder: Path) -> None:
    cat = Detections(np.array([0, 1]), np.array([0.5, 0.25]), np.ones((2, 4)))
    write_results(folder / "results", NAMES, ["cat"], [cat])


def onehot(folder: Path) -> None:
    save_targets(Targets(torch.tensor([0, 1, 2, 0, 1, 2]), 3), folder / "t.npy")


def sphere(folder: Path) -> None:
    rows = torch.nn.functional.normalize(torch.arange(1.0, 25).reshape(6, 4), dim=1)
    save_targets(Targets(rows), folder / "t.npy")


def read_targets(folder: Path) -> None:
    targets = load_targets(folder / "t.npy")
    targets.vectors(torch.arange(len(targets))[:8])


def write_sequence(folder: Path) -> None:
    write_frames(folder / "s", panned(3, 16, 20))


def read_sequence(folder: Path) -> list[np.ndarray]:
    return list(Recording("baselines.tracking.frames", str(folder / "s"), 1, 1).read(8, 12))
