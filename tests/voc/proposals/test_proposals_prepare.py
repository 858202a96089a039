import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import fake_objects
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from scipy.io import savemat
from tiny import PROJECT

from nat.data.seeds import generator
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Params
from nat.voc.data import prepare
from nat.voc.data.boxes import recall
from nat.voc.data.manifest import open_voc
from nat.voc.data.proposals import load_proposals
from nat.voc.data.reader import VocSplit
from nat.voc.proposals.prepare import prepare_proposals
from nat.voc.proposals.published import best

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


def write_mat(split: Any, path: Path, count: int = 24) -> str:
    """Fast R-CNN's file with the objects' own boxes."""
    boxes, names = (np.empty((1, count), object) for _ in range(2))
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
    prepare_proposals(make_params(proposals={"source": "pickle"} | files), manifest, folder / "out")
    summary = json.loads((folder / "out" / "summary.json").read_text())
    (checksum,) = summary["provenance"]["parameters"]["test sha256"]
    assert len(checksum) == 64
    found = load_proposals(folder / "out" / "trainval.safetensors")
    for index, one in enumerate(splits[0].annotations):
        own = splits[0].objects(index).boxes.tolist()
        assert found[one.name].tolist() == [[1, 1, one.width, one.height], *own]


def test_from_fast_rcnns_files(
    splits: tuple[VocSplit, VocSplit], composed: tuple[Params, Path], make_params: Any
) -> None:
    _, manifest = composed
    folder = manifest.parent
    files = {
        name: write_mat(split, folder / f"{name}.mat")
        for name, split in zip(("trainval", "test"), splits, strict=True)
    }
    params = make_params(proposals={"source": "mat"} | files)
    prepare_proposals(params, manifest, folder / "out")
    measured = json.loads((folder / "out" / "summary.json").read_text())["measured"]
    assert (measured["recall_trainval"], measured["recall_test"]) == (100, 100)
    found = load_proposals(folder / "out" / "test.safetensors")
    for index, one in enumerate(splits[1].annotations):
        assert found[one.name].tolist() == splits[1].objects(index).boxes.tolist()


def test_a_split_in_several_files(
    splits: tuple[VocSplit, VocSplit], composed: tuple[Params, Path], make_params: Any
) -> None:
    _, manifest = composed
    folder, (trainval, test) = manifest.parent, splits
    whole = write_mat(trainval, folder / "whole.mat")
    other = write_mat(test, folder / "test.mat")
    halves = []
    annotations = trainval.annotations
    objects = [trainval.objects(row).boxes for row in range(24)]
    for name, rows in (("train", range(10)), ("val", range(10, 24))):
        part = SimpleNamespace(
            annotations=[annotations[row] for row in rows],
            objects=lambda row, first=rows[0]: SimpleNamespace(boxes=objects[first + row]),
        )
        halves.append(write_mat(part, folder / f"{name}.mat", len(rows)))
    files = {"source": "mat", "test": other}
    for out, trainval_files in (("one", whole), ("two", halves)):
        params = make_params(proposals=files | {"trainval": trainval_files})
        prepare_proposals(params, manifest, folder / out)
    one, two = (folder / out / "trainval.safetensors" for out in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()
    summary = json.loads((folder / "two" / "summary.json").read_text())
    assert len(set(summary["provenance"]["parameters"]["trainval sha256"])) == 2

    def said(trainval_files: list[str]) -> str:
        params = make_params(proposals=files | {"trainval": trainval_files})
        with pytest.raises(UserError) as caught:
            prepare_proposals(params, manifest, folder / "out")
        return str(caught.value)

    assert "whole.mat: has image 000001, as has a file named before it; name files" in (
        said([halves[0], whole])
    )
    assert "lacks 14 of 24 images, first 000011; name the file of the whole split, or all" in (
        said(halves[:1])
    )
    assert "test.mat: holds none of the 24 images" in said([other])


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 3), max_size=12), st.integers(1, 12), st.integers(0, 9))
def test_of_more_boxes_the_best_are_chosen(scores: list[int], count: int, seed: int) -> None:
    ranks = np.array(scores, float)
    rows = best(ranks, count, generator(seed)).tolist()
    assert rows == sorted(set(rows))
    assert sorted(ranks[rows]) == sorted(sorted(scores)[::-1][:count])
    assert rows == best(ranks, count, generator(seed)).tolist()
    assert best(ranks, None, generator(seed)).tolist() == list(range(len(scores)))


def test_of_boxes_without_scores_any_may_be_chosen() -> None:
    """Published boxes are sorted by their corners: the first ones are the image's upper part."""
    chosen = [best(np.zeros(3000), 2000, generator(0, name)) for name in range(5)]
    for rows in chosen:
        assert abs(rows.mean() - 1500) < 60
        assert np.histogram(rows, 10, (0, 3000))[0].min() > 150
    assert len({tuple(rows) for rows in chosen}) == 5


def test_published_boxes_are_kept_whatever_their_size(
    splits: tuple[VocSplit, VocSplit], composed: tuple[Params, Path], make_params: Any
) -> None:
    """As Fast R-CNN does; ``smallest`` is of computed ones. ``count`` alone leaves some out."""
    _, manifest = composed
    folder = manifest.parent
    grid = np.array([[x, y, x + 1, y + 2] for y in range(0, 50, 5) for x in range(0, 50, 5)])
    every = {"boxes": [grid] * 24, "scores": [np.zeros(len(grid))] * 24}
    files = {
        name: write_pickle(split, folder / f"{name}.pkl", **every)
        for name, split in zip(("trainval", "test"), splits, strict=True)
    }
    found = {}
    for count in (None, 40):
        chosen = {"source": "pickle", "smallest": 20, "count": count, **files}
        prepare_proposals(make_params(proposals=chosen), manifest, folder / "out")
        found[count] = load_proposals(folder / "out" / "trainval.safetensors")
    lists = []
    for name in found[None]:
        assert found[None][name].tolist() == (grid + 1).tolist()
        some = found[40][name].tolist()
        assert len(some) == 40
        assert some == [box for box in (grid + 1).tolist() if box in some]  # the file's order
        assert max(box[1] for box in some) > 40  # of the lower part too
        lists.append(some)
    assert lists[0] != lists[1]  # drawn for each image


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
    assert "b.pkl: image 000025 has no box inside its " in said(trainval=good, test=beside)
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
        ({"segments": []}, "empty; name at least one"),
        ({"source": "mat", "test": "a", "trainval": []}, "empty; name at least one"),
        ({"source": "mat", "test": "a", "trainval": ["b", "b"]}, "'b' is named twice"),
    ],
)
def test_settings_that_do_not_fit(change: dict[str, Any], said: str, make_params: Any) -> None:
    with pytest.raises(ValueError, match=said):
        make_params(proposals=change)
