"""Fill the image store from the source that params.yaml names."""

import sys
from pathlib import Path

from nat.data.store import write_store
from nat.datasets.filling.encoded import EncodedSource
from nat.datasets.filling.fill import fill_store
from nat.datasets.filling.space import announce_space
from nat.runtime.io.paths import place
from nat.runtime.settings.families import load_member
from nat.runtime.settings.params import Params


def prepare_images(params: Params, manifest: Path) -> None:
    """Read the source's images into the store and write its manifest.

    Args:
        params: images and machine are used.
        manifest: where to write it.

    Raises:
        UserError: what the source's reader refuses, too small a disk, or an unwritable output.
    """
    settings, machine = params.images, params.machine
    source = load_member("datasets", settings.source, "read").read(settings, machine)
    if isinstance(source, EncodedSource):
        fill_store(source, settings, machine, manifest)
        if source.unused:
            print(f"{settings.folder}: not used: {source.unused}", file=sys.stderr)
    else:
        counts = {name: split.count for name, split in source.splits.items()}
        stores = place(machine.data) / "stores"
        announce_space(stores, counts, settings.channels * settings.size**2)
        write_store(source, settings.size, settings.channels, machine.data, manifest)
