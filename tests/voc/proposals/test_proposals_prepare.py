import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import fake_objects
from ruamel.yaml import YAML
from scipy.io import savemat
from tiny import PROJECT

from nat.runtime.errors import UserError
from nat.runtime.settings.params import Params
from nat.voc.data import prepare
from nat.voc.data.boxes import recall
from nat.voc.data.manifest import open_voc
from nat.voc.data.proposals import load_proposals
from nat.voc.data.reader import VocSplit
from nat.voc.proposals.prepare import prepare_proposals

FILES = ["summary.json", "test.safetensors", "trainval.safetensors"]


def write_pickle(split: VocSplit, path: Path, **changes: Any) -> str:
    """Detectron's file: the first box around the whole image, then the objects' own."""
    content: dict[str, Any] = {"boxes": [], "scores": [], "indexes": []}
    for index, one in enumerate(split.annotations):
        own = split.objects(index).boxes.numpy() - 1
        whole = np.array([[-3, 0, one.width + 4, one.height - 1]], np.float32)
        content["boxes"].append(np.concatenate([whole, own, [[5, 5, 4, 4]], own]))
        content["scores"].append(np.zeros(len(content["boxes"][-1]), np.float32))
        content["indexes"].append(int(one.name))
    path.write_bytes(pickle.dumps(content | changes))
    return str(path)


def write_mat(split: VocSplit, path: Path) -> str:
    """Fast R-CNN's file with the objects' own boxes."""
    boxes, names = (np.empty((1, len(split)), object) for _ in range(2))
    for index, one in enumerate(split.annotations):
        boxes[0, index] = split.objects(index).boxes.numpy()[:, [1, 0, 3, 2]].astype(np.uint16)
        names[0, index] = one.name
    savemat(path, {"boxes": boxes, "images": names.T})
    return str(path)


@pytest.fixture
def splits(composed: tuple[Params, Path]) -> tuple[VocSplit, VocSplit]:
    return open_voc(*composed)[1:]


def test_computed(composed: tuple[Params, Path], tmp_path: Path, capsys: Any) -> None:
    params, manifest = composed
    out = tmp_path / "proposals"
    prepare_proposals(params, manifest, out)
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert not list((tmp_path / "scratch").iterdir())
    summary = json.loads((out / "summary.json").read_text())
    assert summary["provenance"]["data"] == "fashion-mnist-voc"
    assert summary["provenance"]["parameters"]["proposals"] == params.proposals.model_dump()
    counts = []
    for name, split in zip(("trainval", "test"), open_voc(params, manifest)[1:], strict=True):
        found = load_proposals(out / f"{name}.safetensors")
        assert found.names == [one.name for one in split.annotations]
        counts += [len(found[each]) for each in found]
        assert summary["measured"][f"recall_{name}"] == round(100 * recall(split, found), 2)
        assert 50 < summary["measured"][f"recall_{name}"] <= 100
    assert summary["measured"]["boxes_per_image"] == round(sum(counts) / len(counts), 1)
    assert f"{summary['measured']['recall_test']} % of test" in capsys.readouterr().out

    before = {path.name: path.read_bytes() for path in out.glob("*.safetensors")}
    two = params.model_copy(update={"machine": params.machine.model_copy(update={"threads": 2})})
    prepare_proposals(two, manifest, out)
    assert before == {path.name: path.read_bytes() for path in out.glob("*.safetensors")}


def test_a_killed_search_resumes(tmp_path: Path, make_params: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(prepare, "read_objects", lambda *_: fake_objects())
    # large images, so that the kill comes in between
    params = make_params(voc={"images": 20}, proposals={"short_side": 120}, machine={"threads": 1})
    manifest, out = tmp_path / "voc.json", tmp_path / "out"
    prepare.prepare_voc(params, manifest)
    YAML().dump(params.model_dump(), tmp_path / "params.yaml")
    words = [sys.executable, "-m", "nat", "proposals", "--params", str(tmp_path / "params.yaml"),
             "--voc", str(manifest), "--out", str(out)]  # fmt: skip
    process = subprocess.Popen(words, cwd=PROJECT, env=os.environ)
    deadline = time.monotonic() + 60
    while not (first := list((tmp_path / "scratch").glob("*/000000.safetensors"))):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not out.exists()
    kept = {path: path.stat().st_mtime_ns for path in first[0].parent.glob("*.safetensors")}
    assert len(kept) == 1  # of the two chunks of trainval

    seen: dict[Path, int] = {}
    original = prepare_proposals.__globals__["discard"]

    def look(folder: Path) -> None:
        seen.update((path, path.stat().st_mtime_ns) for path in folder.glob("*.safetensors"))
        original(folder)

    monkeypatch.setitem(prepare_proposals.__globals__, "discard", look)
    prepare_proposals(params, manifest, out)
    assert {path: seen[path] for path in kept} == kept  # not made again
    assert len(seen) == 4
    prepare_proposals(params, manifest, tmp_path / "whole")
    for name in ("trainval", "test"):
        assert (out / f"{name}.safetensors").read_bytes() == (
            tmp_path / "whole" / f"{name}.safetensors"
        ).read_bytes()


def test_from_detectrons_files(
    splits: tuple[VocSplit, VocSplit], composed: tuple[Params, Path], make_params: Any
) -> None:
    _, manifest = composed
    folder = manifest.parent
    files = {
        name: write_pickle(split, folder / f"{name}.pkl")
        for name, split in zip(("trainval", "test"), splits, strict=True)
    }
    settings = {"source": "pickle", "smallest": 1, "count": 3}
    prepare_proposals(make_params(proposals=settings | files), manifest, folder / "out")
    summary = json.loads((folder / "out" / "summary.json").read_text())
    assert len(summary["provenance"]["parameters"]["test sha256"]) == 64
    found = load_proposals(folder / "out" / "trainval.safetensors")
    for index, one in enumerate(splits[0].annotations):
        own = splits[0].objects(index).boxes.tolist()
        assert found[one.name].tolist() == [[1, 1, one.width, one.height], *own][:3]


def test_from_fast_rcnns_files(
    splits: tuple[VocSplit, VocSplit], composed: tuple[Params, Path], make_params: Any
) -> None:
    _, manifest = composed
    folder = manifest.parent
    files = {
        name: write_mat(split, folder / f"{name}.mat")
        for name, split in zip(("trainval", "test"), splits, strict=True)
    }
    params = make_params(proposals={"source": "mat", "smallest": 1} | files)
    prepare_proposals(params, manifest, folder / "out")
    measured = json.loads((folder / "out" / "summary.json").read_text())["measured"]
    assert (measured["recall_trainval"], measured["recall_test"]) == (100, 100)
    found = load_proposals(folder / "out" / "test.safetensors")
    for index, one in enumerate(splits[1].annotations):
        assert found[one.name].tolist() == splits[1].objects(index).boxes.tolist()


def test_files_that_do_not_fit_are_refused(
    splits: tuple[VocSplit, VocSplit], composed: tuple[Params, Path], make_params: Any
) -> None:
    _, manifest = composed
    folder = manifest.parent
    trainval, test = splits

    def said(**files: str) -> str:
        params = make_params(proposals={"source": "pickle", **files})
        with pytest.raises(UserError) as caught:
            prepare_proposals(params, manifest, folder / "out")
        assert "\n" not in str(caught.value)
        assert not (folder / "out").exists()
        return str(caught.value)

    good = write_pickle(trainval, folder / "good.pkl")
    assert "good.pkl: holds none of the 24 images, but 24 others, such as 000001: it is of " in (
        said(trainval=good, test=good)
    )
    indexes = [int(one.name) for one in test.annotations]
    wrong = write_pickle(test, folder / "wrong.pkl", indexes=[*indexes[:-2], 900, 901])
    assert "wrong.pkl: lacks 2 of 24 images, first 000047;" in said(trainval=good, test=wrong)
    beside = write_pickle(test, folder / "b.pkl", boxes=[np.full((1, 4), 99.0)] * 24,
                          scores=[np.zeros(1)] * 24)  # fmt: skip
    assert "b.pkl: image 000025 has no box of 6 pixels" in said(trainval=good, test=beside)
    unknown = write_pickle(test, folder / "u.pkl", boxes=[np.full((2, 4), np.nan)] * 24,
                           scores=[np.zeros(2)] * 24)  # fmt: skip
    assert "u.pkl: image 000025 has only boxes that are no finite numbers; name the file" in (
        said(trainval=good, test=unknown)
    )
    empty = write_pickle(test, folder / "e.pkl", boxes=[[]] * 24, scores=[[]] * 24)
    assert "e.pkl: image 000025 has no box; name" in said(trainval=good, test=empty)
    assert "none.pkl: not found" in said(trainval=good, test=str(folder / "none.pkl"))


def test_opencv_without_its_further_modules_is_told_before_the_work(
    make_params: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(cv2, "ximgproc")
    with pytest.raises(UserError, match=r"^proposals\.source: .*opencv-contrib-python-headless"):
        prepare_proposals(make_params(), tmp_path / "not opened.json", tmp_path / "out")


def test_unwritable_output_fails_before_the_work(composed: tuple[Params, Path]) -> None:
    params, manifest = composed
    with pytest.raises(UserError, match="cannot be written"):
        prepare_proposals(params, manifest, manifest / "below" / "a file")
    assert not (manifest.parent / "scratch").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"source": "mat"}, "source is mat, so trainval and test must name its files"),
        ({"source": "pickle", "trainval": "a"}, "source is pickle, so trainval and test"),
        ({"short_side": 8}, "greater than or equal to 16"),
        ({"segments": [50]}, "at least 2 items"),
    ],
)
def test_settings_that_do_not_fit(change: dict[str, Any], said: str, make_params: Any) -> None:
    with pytest.raises(ValueError, match=said):
        make_params(proposals=change)
