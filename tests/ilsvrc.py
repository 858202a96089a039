"""Small images in ImageNet's layout: extracted folders, archives, devkit, mapping files."""

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from conftest import draw
from PIL import Image
from torchvision.datasets.imagenet import ARCHIVE_META

from nat.datasets import imagenet

WNIDS = ["n01440764", "n01443537", "n02085620", "n03000134"]
# As in the devkit, where identifiers count from 1 in an order that is not that of the names, and
# inner nodes of WordNet follow.
DEVKIT_ORDER = [WNIDS[2], WNIDS[0], WNIDS[3], WNIDS[1]]
A_CLASS, VAL = 9, 12
SIZE = 24  # pixels of the images in a store of them
Files = dict[str, bytes]


def encode(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def rotated(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    return encode(image, exif=exif, quality=95)


def colour(label: int, draws: np.random.Generator) -> Image.Image:
    """An image of 48 x 36 or 36 x 48."""
    planes = [draw((label + shift) % 3, 48, draws)[:36] for shift in range(3)]
    image = Image.fromarray(np.stack(planes, 2))
    return image if draws.random() < 0.5 else image.transpose(Image.Transpose.ROTATE_90)


def train_files() -> Files:
    """WNID/NAME.JPEG: content; among them CMYK, grey, PNG and an EXIF rotation."""
    draws = np.random.default_rng(0)
    files = {}
    for label, wnid in enumerate(WNIDS):
        for number in range(A_CLASS):
            image = colour(label, draws)
            content = encode(image, quality=95)
            if label == 1:
                odd = {
                    2: encode(image.convert("CMYK"), quality=95),
                    3: encode(image.convert("L"), quality=95),
                    4: encode(image, "PNG"),
                    5: rotated(image),
                }
                content = odd.get(number, content)
            files[f"{wnid}/{wnid}_{100 * number + 7}.JPEG"] = content
    return files


def val_files() -> tuple[Files, list[str]]:
    """NAME.JPEG: content, and the WordNet identifier of each in order of the names."""
    draws = np.random.default_rng(1)
    wnids = [WNIDS[int(label)] for label in draws.permutation(VAL) % len(WNIDS)]
    files = {
        f"ILSVRC2012_val_{number + 1:08d}.JPEG": encode(colour(WNIDS.index(wnid), draws))
        for number, wnid in enumerate(wnids)
    }
    return files, wnids


def write_files(folder: Path, files: Files) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def write_tree(folder: Path, train: Files | None = None) -> Path:
    """train/WNID and val/WNID."""
    write_files(folder / "train", train or train_files())
    files, wnids = val_files()
    by_class = zip(wnids, files.items(), strict=True)
    write_files(folder / "val", {f"{wnid}/{name}": content for wnid, (name, content) in by_class})
    return folder


def tar_of(files: Files) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def devkit(folder: Path) -> bytes:
    """The devkit's archive, of which torchvision reads two files."""
    _, wnids = val_files()
    fields = ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children")
    synsets = np.zeros(len(WNIDS) + 1, dtype=[(field, "O") for field in fields])
    for number, wnid in enumerate([*DEVKIT_ORDER, "n00001740"]):
        inner = 4.0 * (wnid not in WNIDS)
        synsets[number] = (float(number + 1), wnid, f"thing {number}, it", "a thing", inner)
    meta = io.BytesIO()
    scipy.io.savemat(meta, {"synsets": synsets})
    truth = "".join(f"{DEVKIT_ORDER.index(wnid) + 1}\n" for wnid in wnids).encode()
    root = "ILSVRC2012_devkit_t12/data"
    out = io.BytesIO()
    files = {"meta.mat": meta.getvalue(), "ILSVRC2012_validation_ground_truth.txt": truth}
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{root}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def write_archives(folder: Path, train: Files | None = None) -> Path:
    """The three archives; the members of the class tars are not in the order of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    train = train or train_files()
    classes = {}
    for wnid in WNIDS:
        inside = {name.split("/")[1]: c for name, c in train.items() if name.startswith(wnid)}
        classes[f"{wnid}.tar"] = tar_of(dict(reversed(inside.items())))
    (folder / "ILSVRC2012_img_train.tar").write_bytes(tar_of(classes))
    (folder / "ILSVRC2012_img_val.tar").write_bytes(tar_of(val_files()[0]))
    (folder / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(devkit(folder))
    return folder


def publish(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make these archives' sizes and checksums the published ones."""
    for part, (name, _) in ARCHIVE_META.items():
        if (folder / name).exists():
            content = (folder / name).read_bytes()
            patch.setitem(ARCHIVE_META, part, (name, hashlib.md5(content).hexdigest()))
            patch.setitem(imagenet.BYTES, part, len(content))
