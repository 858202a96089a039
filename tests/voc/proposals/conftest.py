"""The composed trainval images."""

from pathlib import Path

import pytest

from nat.runtime.settings.params import Params
from nat.voc.data.manifest import open_voc
from nat.voc.data.reader import VocSplit


@pytest.fixture
def voc(composed: tuple[Params, Path]) -> VocSplit:
    """24 composed images."""
    return open_voc(*composed)[1]
