"""Fill the image store from the source that params.yaml names."""

from pathlib import Path

from nat.images.fashion_mnist import read_fashion_mnist
from nat.images.folder import read_folder
from nat.images.store import write_store
from nat.params import Params


def prepare_pictures(params: Params, manifest: Path) -> None:
    """Read the source's pictures into the store and write its manifest.

    Args:
        params: pictures and machine.data are used.
        manifest: where to write it.

    Raises:
        UserError: what the source's reader refuses, or an unwritable output.
    """
    settings, data = params.pictures, params.machine.data
    if settings.source == "folder":
        source = read_folder(settings)
    else:
        source = read_fashion_mnist(settings, data)
    write_store(source, settings.size, settings.channels, data, manifest)
