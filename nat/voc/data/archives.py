"""VOC 2007 from its two official archives: downloaded where needed, verified, extracted.

The archives' names, sums and first address are torchvision's. The further addresses are known as
mirrors; whether they still answer was not tried, and the sums make them safe to try.
"""

import socket
import tarfile
from http.client import HTTPException
from pathlib import Path

from torchvision.datasets.utils import check_integrity, download_url
from torchvision.datasets.voc import DATASET_YEAR_DICT

from nat.runtime.errors import UserError
from nat.runtime.io.files import atomic_write
from nat.runtime.io.foreign import reason
from nat.runtime.io.outputs import folder as folder_kind
from nat.runtime.io.paths import place
from nat.runtime.progress import progress
from nat.voc.data.devkit import YEAR
from nat.voc.data.manifest import extracted_devkit

ARCHIVES = {DATASET_YEAR_DICT[key]["filename"]: DATASET_YEAR_DICT[key]["md5"]
            for key in ("2007", "2007-test")}  # fmt: skip
EXTRACTED = folder_kind("archives that `nat prepare voc` extracted", "VOCdevkit")
ADDRESSES = (
    DATASET_YEAR_DICT["2007"]["url"].rpartition("/")[0],
    "http://host.robots.ox.ac.uk/pascal/VOC/voc2007",
    "https://pjreddie.com/media/files",
)


def obtain_devkit(folder: str | None, data: str) -> Path:
    """The VOCdevkit folder that the parameters mean, extracted anew where archives are at hand.

    Args:
        folder: voc.folder: a VOCdevkit folder, or one that holds the two archives; None looks for
            them in ``data``/raw/voc2007 and downloads what is not there, unless it was extracted.
        data: machine.data, where archives are extracted to.

    Raises:
        UserError: the folder holds neither; no download; a damaged or a malicious archive.
    """
    extracted = extracted_devkit(data)
    named = place(data) / "raw" / "voc2007" if folder is None else place(folder)
    if (named / YEAR).is_dir():
        return named
    missing = [name for name in ARCHIVES if not (named / name).is_file()]
    if missing and folder is not None:
        raise UserError(
            f"voc.folder: {named} should be the folder VOCdevkit, with {YEAR} in it, or hold "
            f"{' and '.join(ARCHIVES)}; it lacks {' and '.join(missing)}"
        )
    if missing and extracted.is_dir():  # the archives may be removed afterwards
        return extracted
    for name in missing:
        _download(name, named)
    _extract(named, extracted)
    return extracted


def _download(name: str, folder: Path) -> None:
    """Fetch an archive from the first address that has it."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(20)  # a closed network may swallow packets instead of refusing them
    try:
        causes = []
        for address in ADDRESSES:
            try:
                with atomic_write(folder / name) as temporary:
                    download_url(f"{address}/{name}", temporary.parent, name, ARCHIVES[name])
                return
            except (OSError, RuntimeError, HTTPException) as error:
                causes.append(f"{address}: {reason(error)}")
    finally:
        socket.setdefaulttimeout(before)
    raise UserError(
        f"{name}: cannot be downloaded here ({'; '.join(causes)}); put {' and '.join(ARCHIVES)} "
        f"into {folder} and run prepare again, or name their folder, or an extracted VOCdevkit, by "
        "voc.folder"
    )


def _extract(folder: Path, devkit: Path) -> None:
    """Verify and extract both archives, which hold one VOCdevkit folder together; whole."""
    if not hasattr(tarfile, "data_filter"):
        raise UserError(
            "voc.folder: this Python extracts archives without safety checks (3.11.4 has them); "
            f"extract {' and '.join(ARCHIVES)} yourself and name the folder VOCdevkit"
        )
    for name, md5 in ARCHIVES.items():
        if not check_integrity(folder / name, md5):
            raise UserError(
                f"{folder / name}: truncated or not VOC 2007's archive (its MD5 sum is not {md5}); "
                "remove it and get it again"
            )
    with atomic_write(devkit.parent, EXTRACTED) as temporary:
        temporary.mkdir()
        for name in ARCHIVES:
            try:
                with tarfile.open(folder / name) as archive:
                    for member in progress(archive, f"extract {name}"):
                        archive.extract(member, temporary, filter="data")
            except (tarfile.TarError, EOFError) as error:
                raise UserError(f"{folder / name}: cannot be extracted ({error})") from error
        if not (temporary / devkit.name / YEAR).is_dir():
            raise UserError(f"{folder}: the archives hold no {devkit.name}/{YEAR}; get them again")
