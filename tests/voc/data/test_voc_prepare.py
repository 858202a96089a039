import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nat.runtime.errors import UserError
from nat.runtime.settings.params import Params
from nat.voc.data import prepare
from nat.voc.data.devkit import image_set
from nat.voc.data.manifest import composed_folder, open_voc
from nat.voc.data.prepare import prepare_voc


def content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_composed_set_is_whole_and_counted(composed: tuple[Params, Path]) -> None:
    params, manifest = composed
    described = json.loads(manifest.read_text())
    data, trainval, test = open_voc(params, manifest)
    assert data["data"] == described["source"] == "fashion-mnist-voc"
    assert data["images"] == {"trainval": len(trainval), "test": len(test)}
    assert len(described["classes"]) == 10
    assert "t-shirt-top" in described["classes"]
    for split, found in (("trainval", trainval), ("test", test)):
        things = [thing for one in found.annotations for thing in one.things]
        assert described["splits"][split]["count"] == len(found) == params.voc.images
        assert described["splits"][split]["objects"] == len(things)
        assert described["splits"][split]["difficult"] == sum(t.difficult for t in things)
        assert described["splits"][split]["truncated"] == sum(t.truncated for t in things)
        assert len(found.images()) == len(found)
    devkit = composed_folder(described, params.machine.data) / "VOCdevkit"
    halves = [image_set(devkit, name).read_text() for name in ("train", "val")]
    assert "".join(halves) == image_set(devkit, "trainval").read_text()
    for split in ("train", "val", "trainval", "test"):
        assert len(list(image_set(devkit, "").parent.glob(f"*_{split}.txt"))) == 10


def test_same_bytes_twice(composed: tuple[Params, Path], tmp_path: Path) -> None:
    params, manifest = composed
    folder = composed_folder(json.loads(manifest.read_text()), params.machine.data)
    first = content(folder)
    prepare_voc(params, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == manifest.read_bytes()
    assert content(folder) == first
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_splits_draw_from_different_objects(
    make_params: Any, objects: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = []
    original = prepare.scene

    def scene(pool: Any, *rest: Any) -> Any:
        pools.append(pool.images)
        return original(pool, *rest)

    monkeypatch.setattr(prepare, "scene", scene)
    prepare_voc(make_params(voc={"images": 2}), tmp_path / "voc.json")
    images, _ = objects
    assert [pool is pools[0] for pool in pools] == [True, True, False, False]
    assert (pools[0] == images[:200]).all()
    assert (pools[2] == images[200:]).all()


def test_failure_leaves_nothing_half_done(
    composed: tuple[Params, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    params, manifest = composed
    before = content(manifest.parent)

    def broken(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(prepare, "write_image_set", broken)
    with pytest.raises(KeyboardInterrupt):
        prepare_voc(params, manifest)
    assert content(manifest.parent) == before


def test_missing_folder_names_the_remedy(composed: tuple[Params, Path]) -> None:
    params, manifest = composed
    shutil.rmtree(Path(params.machine.data) / "voc")
    with pytest.raises(UserError, match="missing; make them again with `python -m nat prepare"):
        open_voc(params, manifest)


def test_changed_list_is_noticed(composed: tuple[Params, Path]) -> None:
    params, manifest = composed
    folder = composed_folder(json.loads(manifest.read_text()), params.machine.data)
    image_set(folder / "VOCdevkit", "test").write_text("000025\n")
    with pytest.raises(UserError, match=r"test is not as .* says"):
        open_voc(params, manifest)


def test_own_kit(make_params: Any, kit: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "voc.json"
    params = make_params(voc={"source": "devkit", "folder": str(kit)})
    prepare_voc(params, manifest)
    described = json.loads(manifest.read_text())
    assert described["source"] == "voc-format"  # VOC 2007 has other classes, and more images
    assert described["classes"] == ["cat", "dog"]
    counts = described["splits"]["trainval"]
    assert (counts["count"], counts["objects"], counts["difficult"]) == (3, 5, 2)
    assert str(kit) not in manifest.read_text()  # a manifest is the same on any machine
    data, trainval, test = open_voc(params, manifest)
    assert (data["data"], len(trainval), len(test)) == ("voc-format", 3, 1)
    assert data["images"] == {"trainval": 3, "test": 1}

    xml = kit / "VOC2007/Annotations/000001.xml"
    xml.write_text(xml.read_text().replace("<xmax>20<", "<xmax>19<"))
    prepare_voc(params, tmp_path / "changed.json")
    changed = json.loads((tmp_path / "changed.json").read_text())
    assert changed["splits"]["trainval"]["sha256"] != counts["sha256"]
    assert changed["splits"]["test"] == described["splits"]["test"]
    assert open_voc(params, tmp_path / "changed.json")[0]["store"] != data["store"]


def test_a_set_of_vocs_classes_and_numbers_is_voc_2007(kit: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(prepare, "VOC_2007", {"trainval": 3, "test": 1})
    monkeypatch.setattr(prepare, "CLASSES", ["cat", "dog"])
    assert prepare.describe(kit)["source"] == "voc2007"
    monkeypatch.setattr(prepare, "CLASSES", ["cat", "person"])
    assert prepare.describe(kit)["source"] == "voc-format"


def test_a_truncated_image_is_found_at_once(make_params: Any, kit: Path, tmp_path: Path) -> None:
    path = kit / "VOC2007/JPEGImages/000003.jpg"
    path.write_bytes(path.read_bytes()[:-40])
    params = make_params(voc={"source": "devkit", "folder": str(kit)})
    with pytest.raises(UserError, match=r"000003\.jpg: no readable image"):
        prepare_voc(params, tmp_path / "voc.json")
    assert not (tmp_path / "voc.json").exists()


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        (None, r"data/voc/voc2007/VOCdevkit: the images .* missing; mend voc\.folder"),
        ("elsewhere", r"elsewhere: the images .* missing; mend voc\.folder"),
    ],
)
def test_own_kit_elsewhere(
    make_params: Any, kit: Path, tmp_path: Path, folder: str | None, message: str
) -> None:
    manifest = tmp_path / "voc.json"
    prepare_voc(make_params(voc={"source": "devkit", "folder": str(kit)}), manifest)
    with pytest.raises(UserError, match=message):
        open_voc(make_params(voc={"folder": folder and str(tmp_path / folder)}), manifest)


def test_folder_that_is_no_kit(make_params: Any, tmp_path: Path) -> None:
    params = make_params(voc={"source": "devkit", "folder": str(tmp_path)})
    with pytest.raises(UserError, match=r"voc\.folder: .* should be the folder VOCdevkit"):
        prepare_voc(params, tmp_path / "voc.json")
    assert not (tmp_path / "voc.json").exists()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("source", "../elsewhere", "source: should be"),
        ("source", None, "source: should be"),
        ("classes", [], "classes: List should have at least 1 item"),
        ("classes", ["../cat"], "classes.0: String should match"),
        ("classes", "cat", "classes: should be a valid list"),
        ("splits", [], "splits: should be"),
        ("splits", {"trainval": {"count": 3}}, "splits.test: Field required"),
        ("splits", {"trainval": {"count": "3"}, "test": {"count": 1}}, "splits.trainval.count: "),
        ("splits", {"trainval": {"count": -3}, "test": {"count": 1}}, "splits.trainval.count: "),
        ("splits", {"trainval": 7, "test": {"count": 1}}, "splits.trainval: should be"),
    ],
)
def test_a_manifest_that_lies_is_refused(
    name: str, value: Any, said: str, make_params: Any, kit: Path, tmp_path: Path
) -> None:
    manifest = tmp_path / "voc.json"
    params = make_params(voc={"source": "devkit", "folder": str(kit)})
    prepare_voc(params, manifest)
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {name: value}))
    with pytest.raises(UserError, match=r"voc\.json: no manifest of VOC-format data") as caught:
        open_voc(params, manifest)
    assert said in str(caught.value)


def test_settings_are_chosen_within_trainval(composed: tuple[Params, Path]) -> None:
    params, manifest = composed
    _, trainval, test = open_voc(params, manifest)
    data, train, val = open_voc(params, manifest, "validation")
    assert data["images"] == {"train": len(train), "val": len(val)}
    names = [{one.name for one in split.annotations} for split in (trainval, test, train, val)]
    assert names[2] | names[3] == names[0]
    assert not names[2] & names[3]
    assert not (names[2] | names[3]) & names[1]
