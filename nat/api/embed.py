"""A folder of images as an array of features, a row an image in the order of their paths."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from nat.api.images import readers
from nat.api.load import BATCH, Layer, PretrainedTrunk
from nat.data.discovery import Unused, no_images, require_text, search, shown
from nat.runtime.errors import UserError
from nat.runtime.io.arrays import header, write_rows
from nat.runtime.io.files import atomic_write, check_output, write_json
from nat.runtime.io.outputs import array, beginning, json_like, names_of
from nat.runtime.progress import progress

KINDS = {
    ".npy": array("features that `nat embed` wrote", named=True),
    ".parquet": beginning("features that `nat embed` wrote", b"PAR1"),
}
Chunks = Iterator[tuple[list[str], np.ndarray]]


def embed_folder(
    trunk: PretrainedTrunk,
    folder: Path,
    out: Path,
    layer: Layer = "conv5",
    skip_corrupt: bool = False,
) -> list[str]:
    """Write the features of all images below ``folder``.

    Args:
        trunk: to embed with.
        folder: searched with its subfolders, as `nat prepare images` does.
        out: ``.npy``: float32 (n, d), and beside it ``.names.json``, the list of the n paths
            relative to ``folder``. ``.parquet``: columns ``image`` and ``features``.
        layer: see PretrainedTrunk.
        skip_corrupt: leave out unreadable images instead of stopping.

    Returns:
        What was wrong with each image left out.

    Raises:
        UserError: no images; an unreadable one; another ending than these; pyarrow is missing.
    """
    writers = {".npy": _write_npy, ".parquet": _write_parquet}
    if out.suffix not in writers:
        raise UserError(f"{out}: should end in .npy or .parquet")
    if out.suffix == ".parquet":
        _require_pyarrow(out)
    check_output(out, KINDS[out.suffix])
    width = trunk.width(layer)
    unused = Unused()
    names = find_images(folder, unused)
    skipped: list[str] = []

    def read(name: str) -> np.ndarray | UserError:
        try:
            return trunk.read(folder / name)
        except UserError as error:
            return error

    def chunks() -> Chunks:
        with readers() as pool, progress(label="embed", total=len(names)) as bar:
            for start in range(0, len(names), BATCH):
                batch = names[start : start + BATCH]
                kept, squares = [], []
                for name, found in zip(batch, pool.map(read, batch), strict=True):
                    if isinstance(found, UserError):
                        if not skip_corrupt:
                            raise UserError(f"{found}; --skip-corrupt leaves such images out")
                        skipped.append(str(found))
                    else:
                        kept.append(name)
                        squares.append(found)
                if kept:
                    yield kept, trunk.embed_squares(np.stack(squares), layer)
                bar.update(len(batch))
        if len(skipped) == len(names):
            raise UserError(f"{folder}: none of its {len(names)} images is readable")

    writers[out.suffix](out, chunks(), len(names), width)
    if unused:
        print(f"{folder}: not used: {unused}", file=sys.stderr)
    return skipped


def find_images(folder: Path, unused: Unused) -> list[str]:
    """Paths of all images below ``folder``, relative to it, sorted as text.

    What is found and not used is counted in ``unused``.

    Raises:
        UserError: no such folder, no images, or a name that is no text.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name one with images")
    names = sorted(file.name for file in search(folder, unused))
    if not names:
        raise UserError(no_images(folder, unused))
    for name in names:
        require_text(name, f"{folder}/{shown(name)}")
    return names


def _write_npy(out: Path, chunks: Chunks, count: int, width: int) -> None:
    """Row by row to disk: ``count`` rows, fewer if images were left out."""
    names: list[str] = []
    with ExitStack() as files:
        # the names are put in place first: an array is known by them as one of this command's
        temporary = files.enter_context(atomic_write(out, KINDS[".npy"]))
        listed = files.enter_context(atomic_write(names_of(out), json_like([])))
        with open(temporary, "wb") as file:
            file.write(header((count, width), np.float32))
            for kept, features in chunks:
                write_rows(file, features.astype(np.float32, copy=False))
                names += kept
            file.seek(0)
            file.write(header((len(names), width), np.float32))
        write_json(listed, names)


def _require_pyarrow(out: Path) -> None:
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"{out}: needs pyarrow; install it with `pip install -e '.[parquet]'`, or name an "
            ".npy file"
        ) from error


def _write_parquet(out: Path, chunks: Chunks, count: int, width: int) -> None:
    """A row group a batch."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    columns = pa.schema(
        [("image", pa.string()), ("features", pa.list_(pa.float32(), list_size=width))]
    )
    # through Python's file, whose errors have a number by which they are known
    with (
        atomic_write(out, KINDS[".parquet"]) as temporary,
        open(temporary, "wb") as file,
        ParquetWriter(file, columns) as writer,
    ):
        for kept, features in chunks:
            values = pa.FixedSizeListArray.from_arrays(pa.array(features.ravel()), width)
            writer.write_table(pa.table([pa.array(kept), values], schema=columns))
