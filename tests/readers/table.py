"""Every reader of files from outside, in one table.

A row tells how to write what a reader reads, which file of it is damaged, and how to read. Whatever
is in that file, a reader gives its content or a UserError of one line. tests/test_readers.py tries
a few inputs on each, benchmarks/fuzz.py as many as one likes: damage.py makes an input of a whole
file, bombs.py small files that claim to be, or unpack to, large ones.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from readers.inputs import (
    CLASSES,
    NAMES,
    onehot,
    read_archive,
    read_images,
    read_journal,
    read_kit,
    read_packed_cifar10,
    read_sequence,
    read_targets,
    search,
    sphere,
    write_archive,
    write_cifar10,
    write_detect,
    write_detectron,
    write_fashion_mnist,
    write_images,
    write_journal,
    write_kit,
    write_mat,
    write_network,
    write_results_of,
    write_search,
    write_sequence,
    write_trunk,
)
from recorded import pose, write_poses
from shown import detected, filters, illustration
from torchvision.datasets import CIFAR10

from nat.api.export import load_exported
from nat.api.load import load_trunk
from nat.datasets import fashion_mnist
from nat.datasets.filling.archives import index
from nat.datasets.filling.ground_truth import class_of_each
from nat.illustrate.detected import load_detected, save_detected
from nat.illustrate.detections import read_precisions
from nat.illustrate.features import load_assignment
from nat.illustrate.filters import load_filters, save_filters
from nat.illustrate.illustration import load_illustration, save_illustration
from nat.network.model import load_network
from nat.pretext.motion.odometry import read_poses
from nat.probe import find_checkpoints
from nat.runtime.errors import UserError
from nat.targets import Targets
from nat.voc.data.proposals import load_proposals, save_proposals
from nat.voc.data.reader import read_annotation, read_list
from nat.voc.detection.results import read_results
from nat.voc.proposals.detectron import read_detectron
from nat.voc.proposals.matlab import read_mat


@dataclass(frozen=True)
class Reader:
    """A row of the table.

    Attributes:
        name: for people.
        file: what is damaged, within the folder.
        form: of that file, see ``damaged``.
        write: writes whole files into a folder.
        read: reads them.
        seconds: that one input takes, roughly.
    """

    name: str
    file: str
    form: str
    write: Callable[[Path], object]
    read: Callable[[Path], object]
    seconds: float = 0.01


READERS = [
    Reader("image store's images", "store/train.npy", "npy", write_images, read_images),
    Reader("image store's labels", "store/train_labels.npy", "npy", write_images, read_images),
    Reader("image store's manifest", "m.json", "json", write_images, read_images),
    Reader("targets, vectors", "t.npy", "npy", sphere, read_targets),
    Reader("targets, one-hot", "t.npy", "npy", onehot, read_targets),
    Reader(
        "assignment",
        "a.npy",
        "npy",
        lambda folder: np.save(folder / "a.npy", np.arange(6)[::-1]),
        lambda folder: load_assignment(folder / "a.npy", 6, Targets(torch.eye(6))),
    ),
    Reader(
        "network",
        "n.safetensors",
        "safetensors",
        write_network,
        lambda folder: load_network(folder / "n.safetensors"),
    ),
    Reader(
        "network, by load_trunk",
        "n.safetensors",
        "safetensors",
        write_network,
        lambda folder: load_trunk(folder / "n.safetensors"),
    ),
    Reader(
        "exported trunk",
        "t.safetensors",
        "safetensors",
        write_trunk,
        lambda folder: load_exported(folder / "t.safetensors"),
    ),
    Reader(
        "checkpoints",
        "c/epoch-0001.safetensors",
        "safetensors",
        lambda folder: [write_network(folder, f"c/epoch-000{e}.safetensors") for e in (1, 2)],
        lambda folder: find_checkpoints(folder / "c"),
    ),
    Reader("preparation's journal", "journal", "text", write_journal, read_journal),
    Reader("tar archive", "a.tar", "bytes", write_archive, read_archive),
    Reader(
        "index of an archive",
        "index.npz",
        "npz",
        write_archive,
        lambda folder: index(folder / "a.tar", str(folder / "scratch")),
    ),
    Reader(
        "classes of val images",
        "val.txt",
        "text",
        lambda folder: (folder / "val.txt").write_text("a.JPEG 0\nb.JPEG n1\n"),
        lambda folder: class_of_each(folder, ["a.JPEG", "b.JPEG"], ["n0", "n1"], None),
    ),
    Reader("frame of a sequence", "s/000001.png", "bytes", write_sequence, read_sequence),
    Reader(
        "odometry",
        "p.txt",
        "text",
        lambda folder: write_poses(folder / "p.txt", [pose(0.1 * n, n, 2 * n) for n in range(5)]),
        lambda folder: read_poses(folder / "p.txt", "baselines.egomotion.odometry", sha256()),
    ),
    Reader("CIFAR-10, packed", CIFAR10.filename, "gzip", write_cifar10, read_packed_cifar10),
    Reader(
        "Fashion-MNIST, packed",
        "t10k-labels-idx1-ubyte.gz",
        "gzip",
        write_fashion_mnist,
        lambda folder: fashion_mnist.read_idx_pair(folder, "t10k"),
    ),
    Reader(
        "proposals",
        "p.safetensors",
        "safetensors",
        lambda folder: save_proposals(
            folder / "p.safetensors", {name: np.ones((2, 4)) for name in NAMES}
        ),
        lambda folder: load_proposals(folder / "p.safetensors")["000001"],
    ),
    Reader("part of a search", "scratch/000000.safetensors", "safetensors", write_search, search),
    Reader("seconds of a search", "scratch/seconds.json", "json", write_search, search),
    Reader(
        "proposals, pickle 2",
        "p.pkl",
        "bytes",
        write_detectron,
        lambda f: read_detectron(f / "p.pkl"),
    ),
    Reader(
        "proposals, pickle 5",
        "p.pkl",
        "bytes",
        lambda folder: write_detectron(folder, 5),
        lambda folder: read_detectron(folder / "p.pkl"),
    ),
    Reader("proposals, .mat", "v.mat", "bytes", write_mat, lambda f: read_mat(f / "v.mat"), 3.0),
    Reader(
        "proposals, packed .mat",
        "v.mat",
        "bytes",
        lambda folder: write_mat(folder, compressed=True),
        lambda folder: read_mat(folder / "v.mat"),
        3.0,
    ),
    Reader("VOC manifest", "voc.json", "json", write_kit, read_kit),
    Reader(
        "VOC annotation",
        "VOC2007/Annotations/000001.xml",
        "text",
        write_kit,
        lambda folder: read_annotation(folder, "000001", CLASSES),
    ),
    Reader(
        "VOC list",
        "VOC2007/ImageSets/Main/trainval.txt",
        "text",
        write_kit,
        lambda folder: read_list(folder, "trainval"),
    ),
    Reader("VOC image", "VOC2007/JPEGImages/000001.jpg", "bytes", write_kit, read_kit),
    Reader(
        "detections",
        "results/comp4_det_test_cat.txt",
        "text",
        write_results_of,
        lambda folder: read_results(folder / "results", NAMES, ["cat"]),
    ),
    Reader(
        "result of detection",
        "detect.json",
        "json",
        write_detect,
        lambda folder: read_precisions(folder / "detect.json"),
    ),
    Reader(
        "illustration",
        "0.npz",
        "npz",
        lambda folder: save_illustration(illustration(), folder / "0.npz"),
        lambda folder: load_illustration(folder / "0.npz"),
    ),
    Reader(
        "illustration of filters",
        "0.npz",
        "npz",
        lambda folder: save_filters(filters(), folder / "0.npz"),
        lambda folder: load_filters(folder / "0.npz"),
    ),
    Reader(
        "illustration of detections",
        "0.npz",
        "npz",
        lambda folder: save_detected(detected(), folder / "0.npz"),
        lambda folder: load_detected(folder / "0.npz"),
    ),
]
NEVER_WHOLE = ("CIFAR-10, packed", "Fashion-MNIST, packed")  # checksums are of the real ones


def outcome(reader: Reader, folder: Path, content: bytes) -> str:
    """Read a folder whose one file has another content; "" if it could be read, or the refusal.

    Raises:
        Exception: of any kind but UserError; or AssertionError of a refusal that is unlike others.
    """
    file = folder / reader.file
    file.write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(folder)
    except UserError as error:
        said = str(error)
        assert said.isprintable(), f"not one line: {said!r}"
        assert len(said) < 2000, f"{len(said)} characters: {said[:200]}"
        assert file.name in said or file.parent.name in said, f"names no file: {said}"
        return said
    return ""
