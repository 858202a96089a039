import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from torchvision.datasets.voc import DATASET_YEAR_DICT

from nat.runtime.errors import UserError
from nat.runtime.settings.params import Params
from nat.voc.data import archives
from nat.voc.data.devkit import annotation
from nat.voc.data.manifest import extracted_devkit, open_voc
from nat.voc.data.prepare import prepare_voc

TRAINVAL, TEST = "VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar"
Pack = Callable[..., Path]


@pytest.fixture(autouse=True)
def _extracts(request: pytest.FixtureRequest) -> None:
    """Python before 3.11.4 has no safe way to extract, which one test is about."""
    if not hasattr(tarfile, "data_filter") and "old_python" not in request.node.name:
        pytest.skip("this Python extracts archives without safety checks")


@pytest.fixture
def pack(kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pack:
    """Makes both archives of the small kit, whose sums are then the expected ones."""

    def make(folder: Path = tmp_path / "tars", **evil: Any) -> Path:
        folder.mkdir(parents=True)
        for name, test in ((TRAINVAL, False), (TEST, True)):
            with tarfile.open(folder / name, "w") as archive:
                for path in sorted(kit.rglob("*")):
                    of_test = path.stem == "000003" or path.stem.endswith("test")
                    if path.is_file() and (of_test == test or path.stem == "000003"):
                        archive.add(path, Path("VOCdevkit", path.relative_to(kit)))
                if test and evil:
                    member = tarfile.TarInfo(evil.pop("name"))
                    for key, value in evil.items():
                        setattr(member, key, value)
                    archive.addfile(member, io.BytesIO(b""))
        sums = {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        monkeypatch.setattr(archives, "ARCHIVES", sums)
        return folder

    return make


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No download gets through; the list fills with the addresses tried."""
    tried: list[str] = []

    def refuse(address: str, *_: Any) -> None:
        tried.append(address)
        raise OSError("Network is unreachable")

    monkeypatch.setattr(archives, "download_url", refuse)
    return tried


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a web server that serves the test's folder."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def devkit_params(make_params: Any, folder: Path | None) -> Params:
    return make_params(voc={"source": "devkit", "folder": folder and str(folder)})


def refused(params: Params, tmp_path: Path) -> str:
    with pytest.raises(UserError) as caught:
        prepare_voc(params, tmp_path / "voc.json")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "voc.json").exists()
    left = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
    assert left == []
    return str(caught.value)


def test_official_sums() -> None:
    assert archives.ARCHIVES == {
        TRAINVAL: "c52e279531787c972589f7e41ab4ae64",
        TEST: "b6e924de25625d8de591ea690078ad9f",
    }
    assert f"{archives.ADDRESSES[0]}/{TEST}" == DATASET_YEAR_DICT["2007-test"]["url"]


def test_archives_are_extracted_and_found_again(
    pack: Pack, kit: Path, make_params: Any, tmp_path: Path
) -> None:
    params, manifest = devkit_params(make_params, pack()), tmp_path / "voc.json"
    prepare_voc(params, manifest)
    prepare_voc(devkit_params(make_params, kit), tmp_path / "kit.json")
    assert manifest.read_bytes() == (tmp_path / "kit.json").read_bytes()
    devkit = extracted_devkit(params.machine.data)
    data, trainval, test = open_voc(params, manifest)
    assert (data["data"], len(trainval), len(test)) == ("voc-format", 3, 1)
    assert trainval.devkit == test.devkit == devkit
    assert [path.name for path in devkit.parent.parent.iterdir()] == ["voc2007"]

    annotation(devkit, "000001").unlink()  # prepare restores what it can
    prepare_voc(params, manifest)
    assert annotation(devkit, "000001").read_bytes() == annotation(kit, "000001").read_bytes()


def test_extracted_archives_may_be_removed(pack: Pack, make_params: Any, tmp_path: Path) -> None:
    folder, manifest = pack(), tmp_path / "voc.json"
    prepare_voc(devkit_params(make_params, folder), manifest)
    for path in folder.iterdir():
        path.unlink()
    params = devkit_params(make_params, None)
    prepare_voc(params, manifest)
    assert len(open_voc(params, manifest)[1]) == 3
    with pytest.raises(UserError, match=r"tars: the images .* missing"):
        open_voc(devkit_params(make_params, folder), manifest)


def test_a_queued_experiment_finds_the_images(
    pack: Pack, make_params: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack()
    params = make_params(voc={"source": "devkit", "folder": "tars"}, machine={"data": "data"})
    monkeypatch.chdir(tmp_path)
    prepare_voc(params, tmp_path / "voc.json")
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "temporary"
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy)
    assert len(open_voc(params, tmp_path / "voc.json")[1]) == 3
    beside = make_params(voc={"source": "devkit", "folder": "VOCdevkit"})
    assert len(open_voc(beside, tmp_path / "voc.json")[1]) == 3


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty"])
def test_a_damaged_archive_leaves_nothing(
    damage: str, pack: Pack, make_params: Any, tmp_path: Path
) -> None:
    path = pack() / TEST
    whole = path.read_bytes()
    changed = whole[:600] + b"?" + whole[601:]
    path.write_bytes({"truncated": whole[:-900], "changed": changed, "empty": b""}[damage])
    said = refused(devkit_params(make_params, path.parent), tmp_path)
    assert f"{path}: truncated or not VOC 2007's archive" in said


def test_a_sum_that_fits_a_damaged_archive(
    pack: Pack, make_params: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pack() / TEST
    path.write_bytes(path.read_bytes()[:2000])
    monkeypatch.setattr(archives, "check_integrity", lambda *_: True)
    said = refused(devkit_params(make_params, path.parent), tmp_path)
    assert f"{path}: cannot be extracted (unexpected end of data)" in said


@pytest.mark.parametrize(
    "member",
    [
        {"name": "../outside"},
        {"name": "VOCdevkit/../../../outside"},
        {"name": "VOCdevkit/link", "type": tarfile.SYMTYPE, "linkname": "/etc/passwd"},
        {"name": "VOCdevkit/link", "type": tarfile.LNKTYPE, "linkname": "../../outside"},
        {"name": "VOCdevkit/device", "type": tarfile.CHRTYPE},
    ],
    ids=str,
)
def test_a_malicious_archive_is_refused(
    member: dict[str, Any], pack: Pack, make_params: Any, tmp_path: Path
) -> None:
    said = refused(devkit_params(make_params, pack(**member)), tmp_path)
    assert f"{TEST}: cannot be extracted (" in said
    assert not list(tmp_path.rglob("outside"))


def test_old_python_asks_to_extract_by_hand(
    pack: Pack, make_params: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(tarfile, "data_filter", raising=False)
    said = refused(devkit_params(make_params, pack()), tmp_path)
    assert "yourself and name the folder VOCdevkit" in said


def test_a_folder_with_one_archive(pack: Pack, make_params: Any, tmp_path: Path) -> None:
    folder = pack()
    (folder / TRAINVAL).unlink()
    said = refused(devkit_params(make_params, folder), tmp_path)
    assert said.endswith(f"it lacks {TRAINVAL}")


def test_archives_of_something_else(
    pack: Pack, make_params: Any, tmp_path: Path, kit: Path
) -> None:
    (kit / "VOC2007").rename(kit / "VOC2012")
    said = refused(devkit_params(make_params, pack()), tmp_path)
    assert "the archives hold no VOCdevkit/VOC2007" in said


def test_no_download_says_where_to_put_the_archives(
    offline: list[str], make_params: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(devkit_params(make_params, None), tmp_path)
    assert said.startswith(f"{TRAINVAL}: cannot be downloaded here (")
    assert f"put {TRAINVAL} and {TEST} into" in said
    assert str(tmp_path / "data" / "raw" / "voc2007") in said
    assert offline == [f"{address}/{TRAINVAL}" for address in archives.ADDRESSES]
    for address in archives.ADDRESSES:
        assert f"{address}: Network is unreachable" in said
    assert capsys.readouterr().err == ""


def test_downloads_from_a_mirror_what_is_missing(
    pack: Pack, served: str, make_params: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pack()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / TEST).write_bytes((folder / TEST).read_bytes()[:-900])
    addresses = tuple(f"{served}/{name}" for name in ("damaged", "none", "tars"))
    monkeypatch.setattr(archives, "ADDRESSES", addresses)
    raw = tmp_path / "data" / "raw" / "voc2007"
    raw.mkdir(parents=True)
    (raw / TRAINVAL).write_bytes((folder / TRAINVAL).read_bytes())
    params = devkit_params(make_params, None)
    prepare_voc(params, tmp_path / "voc.json")
    assert sorted(path.name for path in raw.iterdir()) == sorted([TRAINVAL, TEST])
    assert (raw / TEST).read_bytes() == (folder / TEST).read_bytes()
    assert json.loads((tmp_path / "voc.json").read_text())["splits"]["trainval"]["count"] == 3
    assert len(open_voc(params, tmp_path / "voc.json")[1]) == 3
