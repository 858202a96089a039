"""What tests of data sets are given."""

from pathlib import Path
from typing import Any

import pytest
from ilsvrc import (
    SIZE,
    publish,
    val_files,
    write_archives,
    write_files,
)
from tiny import ALL

from nat.datasets.filling.prepare import prepare_images
from nat.runtime.errors import UserError


@pytest.fixture
def prepare(tmp_path: Path, make_params: Any) -> Any:
    """Prepares a folder in ImageNet's layout; returns the manifest."""

    def run(folder: Path, threads: int = 1, **changes: object) -> Path:
        group = {"source": "imagenet", "folder": str(folder), **ALL}
        params = make_params(
            images=group | {"size": SIZE} | changes,
            augment={"crop": 8},
            machine={"threads": threads},
        )
        manifest = tmp_path / f"{folder.name}.json"
        prepare_images(params, manifest)
        return manifest

    return run


@pytest.fixture
def refused(prepare: Any) -> Any:
    def run(folder: Path, **changes: object) -> str:
        with pytest.raises(UserError) as caught:
            prepare(folder, **changes)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return run


@pytest.fixture
def flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Extracted validation images, not in class folders, beside the devkit."""
    folder = write_archives(tmp_path / "in")
    publish(folder, monkeypatch)
    (folder / "ILSVRC2012_img_val.tar").unlink()
    write_files(folder / "val", val_files()[0])
    return folder
