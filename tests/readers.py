"""Every reader of files from outside, in one table, and inputs to try them with.

A reader is a row of ``READERS``: how to write what it reads, which file of it is damaged, and how
to read. ``damaged`` makes an input of a whole file, ``BOMBS`` are small files that claim to be, or
unpack to, large ones. Whatever the input, a reader gives its content or a UserError of one line.
tests/test_readers.py tries a few on each, benchmarks/fuzz.py as many as one likes.
"""

import gzip
import io
import json
import pickle
import random
import re
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save
from scipy.io import savemat
from shown import detected, illustration, provenance
from tiny import settings
from torchvision.datasets import CIFAR10

from nat.api.export import export_trunk, load_exported
from nat.api.load import load_trunk
from nat.data.store import Source, Split, Store, write_store
from nat.datasets import fashion_mnist
from nat.datasets.cifar10 import read_cifar10
from nat.datasets.filling.archives import index
from nat.datasets.filling.ground_truth import class_of_each
from nat.datasets.filling.journal import Journal
from nat.illustrate.detected import load_detected, save_detected
from nat.illustrate.detections import read_precisions
from nat.illustrate.features import load_assignment
from nat.illustrate.illustration import load_illustration, save_illustration
from nat.network.model import Network, initialise, load_network, save_network
from nat.probe import find_checkpoints
from nat.report.artifacts import read_history
from nat.report.record import Folder
from nat.runtime.errors import UserError
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
from nat.voc.data.proposals import load_proposals, save_proposals
from nat.voc.data.reader import VocSplit, read_annotation, read_list
from nat.voc.detection.average_precision import Detections
from nat.voc.detection.results import read_results, write_results
from nat.voc.proposals.detectron import read_detectron
from nat.voc.proposals.matlab import read_mat
from nat.voc.proposals.selective_search import search_split

CLASSES = ["cat", "dog"]
NAMES = [f"{number:06d}" for number in range(1, 4)]


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


def parameters(folder: Path, **groups: Any) -> Params:
    machine = {"data": str(folder / "data"), "scratch": str(folder / "scratch")}
    return Params.model_validate(settings(machine=machine, **groups))


def write_pictures(folder: Path) -> None:
    draws = np.random.default_rng(0)
    splits = {
        name: Split(n, draws.integers(0, 256, (n, 1, 8, 8), np.uint8), np.arange(n) % 2)
        for name, n in (("train", 6), ("val", 4))
    }
    write_store(Source("test", CLASSES, splits), 8, 1, str(folder / "data"), folder / "m.json")
    (store,) = (folder / "data" / "stores").iterdir()
    (folder / "store").symlink_to(store)


def read_pictures(folder: Path) -> None:
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
        trainval.picture(row)
        trainval.objects(row)


def write_record(folder: Path) -> None:
    content = {"mlp": 70.5, "linear": 60, "ap": {"cat": 1.5, "dog": None}}
    where = provenance(0, "fashion-mnist", model={"hidden": 16}, permute_every=3)
    text = json.dumps({"measured": content, "provenance": where})
    for name in ("probe-0.json", "probe-1.json"):
        (folder / name).write_text(text)


def read_record(folder: Path) -> None:
    for record in Folder(folder, (0, 1)).each("probe-{}.json", "probe", "nat"):
        record.number("mlp")
        record.parameter("model", "hidden")
        assert record.data
        list(record.numbers())


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
    pictures = {"source": "cifar10", "folder": str(folder), "train": None, "val": None}
    read_cifar10(parameters(folder, pictures=pictures).pictures, str(folder))


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


READERS = [
    Reader("image store's pictures", "store/train.npy", "npy", write_pictures, read_pictures),
    Reader("image store's labels", "store/train_labels.npy", "npy", write_pictures, read_pictures),
    Reader("image store's manifest", "m.json", "json", write_pictures, read_pictures),
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
        "classes of val pictures",
        "val.txt",
        "text",
        lambda folder: (folder / "val.txt").write_text("a.JPEG 0\nb.JPEG n1\n"),
        lambda folder: class_of_each(folder, ["a.JPEG", "b.JPEG"], ["n0", "n1"], None),
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
    Reader("VOC picture", "VOC2007/JPEGImages/000001.jpg", "bytes", write_kit, read_kit),
    Reader(
        "detections",
        "results/comp4_det_test_cat.txt",
        "text",
        write_results_of,
        lambda folder: read_results(folder / "results", NAMES, ["cat"]),
    ),
    Reader(
        "result of detection",
        "probe-0.json",
        "json",
        write_record,
        lambda folder: read_precisions(folder / "probe-0.json"),
    ),
    Reader("record", "probe-0.json", "json", write_record, read_record),
    Reader(
        "history",
        "history.csv",
        "text",
        lambda folder: (folder / "history.csv").write_text(
            "epoch,loss,reassigned,knn\n1,1.5,0.25,50\n2,1.25,0.125,\n"
        ),
        lambda folder: read_history(folder / "history.csv"),
    ),
    Reader(
        "illustration",
        "0.npz",
        "npz",
        lambda folder: save_illustration(illustration(), folder / "0.npz"),
        lambda folder: load_illustration(folder / "0.npz"),
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


NUMBERS = ["-1", "0", "1", "255", "65536", "2147483648", "4294967295", "9223372036854775807"]
NUMBERS += ["18446744073709551616", "1" + "0" * 30, "9" * 5000, "1e999", "nan", "1.5", "x", ""]
VALUES: list[Any] = [None, True, -1, 0, 10**9, 10**30, 1e308, float("inf"), float("nan"), 1.5]
VALUES += ["", "x" * 1000, "\ud800", "../../x", "a\nb", [], {}, [[]] * 3, {"a": {"b": {}}}]


def damaged(content: bytes, form: str, draws: random.Random) -> bytes:
    """An input made of a whole file.

    Args:
        content: the whole file.
        form: what it is: ``json``, ``npy``, ``npz``, ``safetensors``, ``gzip``, ``text`` or
            ``bytes``; damage is done within, too, where bytes changed blindly would not reach.
        draws: decides.
    """
    kind = draws.randrange(10)
    if kind == 0:
        return bytes(draws.randrange(256) for _ in range(draws.randrange(200)))
    if kind < 4 or form in ("bytes", "text"):
        return _bytes(content, draws)
    with suppress(ValueError, KeyError, IndexError):
        return {
            "json": _json,
            "npy": _npy,
            "npz": _npz,
            "safetensors": _safetensors,
            "gzip": _gzip,
        }[form](content, draws)
    return _bytes(content, draws)


def _bytes(content: bytes, draws: random.Random) -> bytes:
    for _ in range(draws.randint(1, 3)):
        at = draws.randrange(len(content) + 1)
        # near the beginning, where headers are, as often as anywhere
        at = min(at, draws.choice([len(content), 64, 400]))
        end = min(at + draws.choice([1, 1, 2, 4, 8, 40]), len(content))
        match draws.randrange(7):
            case 0:
                content = content[:at]
            case 1:
                content = content[:at] + content[end:]
            case 2:
                content = content[:end] + content[at:end] * draws.randint(1, 20) + content[end:]
            case 3:
                patch = bytes(draws.choice([0, 1, 127, 128, 255]) for _ in range(end - at))
                content = content[:at] + patch + content[end:]
            case 4:
                patch = bytes(byte ^ (1 << draws.randrange(8)) for byte in content[at:end])
                content = content[:at] + patch + content[end:]
            case 5:
                patch = bytes(draws.randrange(256) for _ in range(draws.randint(1, 20)))
                content = content[:at] + patch + content[at:]
            case 6:
                numbers = list(re.finditer(rb"\d+", content[:5000]))
                if numbers:
                    found = draws.choice(numbers)
                    number = draws.choice(NUMBERS).encode()
                    content = content[: found.start()] + number + content[found.end() :]
    return content


def _json(content: bytes, draws: random.Random) -> bytes:
    """One of the values, however deep, is another one, is gone, or is there twice."""
    root = [json.loads(content)]
    places: list[tuple[Any, Any]] = []

    def walk(group: Any) -> None:
        for key, value in group.items() if isinstance(group, dict) else enumerate(group):
            places.append((group, key))
            if isinstance(value, dict | list):
                walk(value)

    walk(root)
    for _ in range(draws.randint(1, 2)):
        group, key = draws.choice(places)
        if draws.randrange(4) or group is root:
            with suppress(KeyError, IndexError):
                group[key] = draws.choice(VALUES)
        elif isinstance(group, dict):
            group.pop(key, None)
            group[draws.choice(["", "x", "size", "1"])] = draws.choice(VALUES)
        else:
            group.append(group[key] if key < len(group) else None)
    return json.dumps(root[0]).encode()


def _npy(content: bytes, draws: random.Random) -> bytes:
    """Another header of the right length, or another array."""
    length = int.from_bytes(content[8:10], "little")
    header, rest = content[10 : 10 + length], content[10 + length :]
    if draws.randrange(2):
        types = [b"|u1", b"<f4", b">i8", b"<i8", b"|O", b"<U5", b"|V8", b"<f2", b"|b1", b"<M8[s]"]
        header = re.sub(rb"'descr': '[^']*'", b"'descr': '%s'" % draws.choice(types), header)
    if draws.randrange(2):
        sides = [draws.choice([0, 1, 2, 6, 7, -1, 2**31, 10**12, 2**63]) for _ in range(4)]
        shape = repr(tuple(sides[: draws.randrange(5)])).encode()
        header = re.sub(rb"'shape': \([^)]*\)", b"'shape': " + shape, header)
    if draws.randrange(3) == 0:
        header = header.replace(b"False", b"True")
    if draws.randrange(3) == 0:
        header = _bytes(header, draws)
    if draws.randrange(3) == 0:
        rest = _bytes(rest, draws)
    return content[:8] + (len(header) % 2**16).to_bytes(2, "little") + header + rest


def _npz(content: bytes, draws: random.Random) -> bytes:
    """One of the arrays is damaged, gone, or has another name; checksums are right."""
    out = io.BytesIO()
    with (
        warnings.catch_warnings(),
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(out, "w") as new,
    ):
        warnings.simplefilter("ignore")  # of a name that is there twice
        chosen = draws.choice(old.namelist())
        for name in old.namelist():
            array = old.read(name)
            if name == chosen:
                match draws.randrange(6):
                    case 0:
                        continue
                    case 1:
                        name = draws.choice(["x.npy", "../x.npy", "", "facts.npy"])
                    case 2 | 3 if b"'<U" in array:  # JSON in it
                        text = _json(str(np.load(io.BytesIO(array))).encode(), draws).decode()
                        array = _saved(np.array(text))
                    case _:
                        array = _npy(array, draws)
            new.writestr(name, array, draws.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
    return out.getvalue()


def _saved(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def _safetensors(content: bytes, draws: random.Random) -> bytes:
    """Another header of the right length, or another number."""
    end = 8 + int.from_bytes(content[:8], "little")
    header, rest = content[8:end], content[end:]
    match draws.randrange(4):
        case 0:
            header = _json(header, draws)
        case 1:  # the description within
            about = json.loads(header)
            (key,) = about["__metadata__"]
            about["__metadata__"][key] = _json(about["__metadata__"][key].encode(), draws).decode()
            header = json.dumps(about).encode()
        case 2:
            header = re.sub(rb"\d+", lambda m: draws.choice([m[0], m[0], m[0], b"7"]), header)
        case 3:
            at = 4 * draws.randrange(max(len(rest) // 4, 1))
            number = draws.choice([np.nan, np.inf, -1, 1e38])
            rest = rest[:at] + np.float32(number).tobytes() + rest[at + 4 :]
    return len(header).to_bytes(8, "little") + header + rest


def _gzip(content: bytes, draws: random.Random) -> bytes:
    return gzip.compress(_bytes(gzip.decompress(content), draws))


def _deep(depth: int = 100_000) -> bytes:
    return b"[" * depth + b"]" * depth


def _npy_of(header: str, rest: bytes = b"") -> bytes:
    return b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header.encode() + rest


def _big_npz() -> bytes:
    """Arrays of half a gigabyte in half a megabyte, by the names that any reader here asks for."""
    names = {field.name for shown in (illustration(), detected()) for field in fields(shown)}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(names | {"names", "offsets", "lengths"}):
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                member.write(_npy_of(f"{{'descr':'|u1','fortran_order':False,'shape':({2**24},)}}"))
                for _ in range(2**4):
                    member.write(bytes(2**20))
    return out.getvalue()


def _big_header(kind: bytes) -> bytes:
    header = tarfile.TarInfo("x")
    header.type, header.size = kind, 2**33 - 1
    return header.tobuf() + bytes(2**16)


def _big_network(**changes: int) -> bytes:
    about = {"model": settings()["model"] | {"hidden": changes.get("hidden", 16)}}
    about |= {"input_size": 28, "outputs": changes.get("outputs", 8), "channels": 1}
    trunk = {"format": "nat", "trunk": "alexnet", "preprocessing": "sobel", "channels": 1}
    trunk |= {"crop": changes.get("crop", 10**6)}
    meta = {"network": json.dumps(about)} if changes.get("crop") is None else {}
    return save({"x": torch.zeros(1)}, meta or {"trunk": json.dumps(trunk)})


@cache
def bombs(form: str) -> list[tuple[str, bytes]]:
    """Names and contents of small files of a form that a careless reader takes for large ones."""
    return list(_bombs(form))


def _bombs(form: str) -> Iterator[tuple[str, bytes]]:
    yield "nothing", b""
    yield "zeros", bytes(10**6)
    if form in ("json", "text", "bytes"):
        yield "nested JSON", _deep()
        yield "a number of many digits", b"9" * 10**6
        yield "one line", b"x" * 10**7
        entity = b'<!ENTITY a0 "ha">' + b"".join(
            b'<!ENTITY a%d "&a%d;&a%d;">' % (i, i - 1, i - 1) for i in range(1, 40)
        )
        yield "XML entities", b"<!DOCTYPE a [" + entity + b"]><annotation>&a39;</annotation>"
        yield "XML file", b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><a>&a;</a>'
        yield "nested XML", b"<a>" * 10**6
        yield "wide XML", b"<annotation>" + b"<object/>" * 10**6 + b"</annotation>"
        for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE):
            yield f"tar header {kind!r}", _big_header(kind)
        yield "pickled place", b"\x80\x02Nr\xff\xff\xff\x0f."
        yield "pickled bytearray", b"\x80\x05\x96" + (2**34).to_bytes(8, "little") + b"x."
        yield "pickled frame", b"\x80\x05\x95" + (2**34).to_bytes(8, "little") + b"N."
        yield "pickled key", b"}" + b")" + b"\x85" * 10**6 + b"Ns."
        yield "pickled lists", b"]" * 10**5 + b"a" * (10**5 - 1) + b"."
    if form == "npy":
        for dtype in ("|u1", "<f4", "<i8", "|O", "<U9"):
            for shape in ("(1000000000000,)", "(1000000000, 4)", "(1000000000, 0)", "()"):
                header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}}}"
                yield f"{dtype} {shape}", _npy_of(header, bytes(8))
        yield "nested header", _npy_of("(" * 9000)
        yield "header of signs", _npy_of("-" * 9000 + "1")
        yield "long header", b"\x93NUMPY\2\0\xff\xff\xff\x7f{"
    if form == "npz":
        yield "unpacks to half a gigabyte", _big_npz()
    if form == "safetensors":
        yield "long header", (2**62).to_bytes(8, "little") + b"{}"
        yield "nested header", (2 * 10**5).to_bytes(8, "little") + _deep()
        for name in ("hidden", "outputs", "crop"):
            for value in (10**6, 10**9, 10**18):
                yield f"{name} {value}", _big_network(**{name: value})
        shape = b'{"x":{"dtype":"F32","shape":[1000000000,1000],"data_offsets":[0,4]}}'
        yield "shape", len(shape).to_bytes(8, "little") + shape + bytes(4)
    if form == "gzip":
        out = io.BytesIO()
        with gzip.open(out, "wb", compresslevel=1) as file:
            for _ in range(2**9):
                file.write(bytes(2**20))
        yield "unpacks to half a gigabyte", out.getvalue()
        yield "tar header", gzip.compress(_big_header(tarfile.XHDTYPE))
