import sys
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

import pytest
import torch

from nat.runtime import provenance
from nat.runtime.provenance import PACKAGES, version_of


def told() -> dict[str, str]:
    return provenance.provenance({}, 0, {"data": "x"}, 1.0, torch.device("cpu"))["versions"]


def test_versions_are_those_installed() -> None:
    assert told() == {name: version(name) for name in PACKAGES}


@pytest.mark.parametrize(
    "fault", [PackageNotFoundError("x"), KeyError("Version"), ValueError(), None]
)
def test_missing_or_damaged_metadata_loses_no_result(
    fault: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> str | None:
        if fault is None:
            return None  # metadata without the field
        raise fault

    monkeypatch.setattr(provenance, "version", broken)
    found = told()
    assert found["torch"] == torch.__version__
    assert set(found) == set(PACKAGES)
    assert version_of("no-such-package", "no_such_module") == "unknown"
    monkeypatch.setitem(sys.modules, "cv2", ModuleType("cv2"))  # of another distribution's name
    assert told()["opencv-contrib-python-headless"] == "unknown"
