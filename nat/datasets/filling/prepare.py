"""Fill the image store from the source that params.yaml names."""

import sys
from pathlib import Path

from nat.data.store import write_store
from nat.datasets.cifar10 import read_cifar10
from nat.datasets.fashion_mnist import read_fashion_mnist
from nat.datasets.filling.fill import fill_store
from nat.datasets.filling.space import announce_space
from nat.datasets.folder import read_folder
from nat.datasets.imagenet import read_imagenet
from nat.runtime.io.paths import place
from nat.runtime.settings.params import Params


def prepare_pictures(params: Params, manifest: Path) -> None:
    """Read the source's pictures into the store and write its manifest.

    Args:
        params: pictures and machine are used.
        manifest: where to write it.

    Raises:
        UserError: what the source's reader refuses, too small a disk, or an unwritable output.
    """
    settings, machine = params.pictures, params.machine
    if settings.source in ("imagenet", "folder"):
        if settings.source == "imagenet":
            encoded = read_imagenet(settings, machine.scratch)
        else:
            encoded = read_folder(settings)
        fill_store(encoded, settings, machine, manifest)
        if encoded.unused:
            print(f"{settings.folder}: not used: {encoded.unused}", file=sys.stderr)
    else:
        read = read_cifar10 if settings.source == "cifar10" else read_fashion_mnist
        source = read(settings, machine.data)
        counts = {name: split.count for name, split in source.splits.items()}
        stores = place(machine.data) / "stores"
        announce_space(stores, counts, settings.channels * settings.size**2)
        write_store(source, settings.size, settings.channels, machine.data, manifest)
