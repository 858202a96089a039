import base64
import io
import os
import pickle
import struct
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from nat.runtime.errors import UserError
from nat.runtime.io.unpickle import STAND_INS, _encode, read_plain_pickle
from nat.voc.proposals import matlab
from nat.voc.proposals.detectron import read_detectron
from nat.voc.proposals.matlab import read_mat

# what content() returns, pickled by old versions
WRITTEN_BY = {
    "Python 2.7, numpy 1.16.6, protocol 2": """
        gAJ9cQEoVQVib3hlc3ECXXEDKGNudW1weS5jb3JlLm11bHRpYXJyYXkKX3JlY29uc3RydWN0CnEEY251bXB5Cm5kYX
        JyYXkKcQVLAIVVAWKHUnEGKEsBSwJLBIZjbnVtcHkKZHR5cGUKcQdVAmY0SwBLAYdScQgoSwNVATxOTk5K/////0r/
        ////SwB0YolVIAAAAAAAAAAAAAAQQQAAEEEAAIA/AAAAQAAAQEAAAIBAdGJoBGgFSwCFVQFih1JxCShLAUsBSwSGaA
        iJVRAAAKBAAADAQAAA4EAAAABBdGJlVQdpbmRleGVzcQpdcQsoSwFjbnVtcHkuY29yZS5tdWx0aWFycmF5CnNjYWxh
        cgpxDGgHVQJpOEsASwGHUnENKEsDVQE8Tk5OSv////9K/////0sAdGJVCAIAAAAAAAAAhlJxDmVVBnNjb3Jlc3EPXX
        EQKGgEaAVLAIVVAWKHUnERKEsBSwKFaAiJVQgAAAAAAAAAAHRiaARoBUsAhVUBYodScRIoSwFLAYVoCIlVBAAAgD90
        YmV1Lg==
    """,
    "numpy 1.26.4, protocol 2": """
        gAJ9cQAoWAUAAABib3hlc3EBXXECKGNudW1weS5jb3JlLm11bHRpYXJyYXkKX3JlY29uc3RydWN0CnEDY251bXB5Cm
        5kYXJyYXkKcQRLAIVxBWNfY29kZWNzCmVuY29kZQpxBlgBAAAAYnEHWAYAAABsYXRpbjFxCIZxCVJxCodxC1JxDChL
        AUsCSwSGcQ1jbnVtcHkKZHR5cGUKcQ5YAgAAAGY0cQ+JiIdxEFJxEShLA1gBAAAAPHESTk5OSv////9K/////0sAdH
        ETYoloBlgiAAAAAAAAAAAAAAAAABBBAAAQQQAAwoA/AAAAQAAAQEAAAMKAQHEUaAiGcRVScRZ0cRdiaANoBEsAhXEY
        aAqHcRlScRooSwFLAUsEhnEbaBGJaAZYEwAAAAAAwqBAAADDgEAAAMOgQAAAAEFxHGgIhnEdUnEedHEfYmVYBgAAAH
        Njb3Jlc3EgXXEhKGgDaARLAIVxImgKh3EjUnEkKEsBSwKFcSVoEYloBlgIAAAAAAAAAAAAAABxJmgIhnEnUnEodHEp
        YmgDaARLAIVxKmgKh3ErUnEsKEsBSwGFcS1oEYloBlgFAAAAAADCgD9xLmgIhnEvUnEwdHExYmVYBwAAAGluZGV4ZX
        NxMl1xMyhLAWNudW1weS5jb3JlLm11bHRpYXJyYXkKc2NhbGFyCnE0aA5YAgAAAGk4cTWJiIdxNlJxNyhLA2gSTk5O
        Sv////9K/////0sAdHE4YmgGWAgAAAACAAAAAAAAAHE5aAiGcTpScTuGcTxScT1ldS4=
    """,
    "numpy 1.26.4, protocol 5": """
        gAWVgQEAAAAAAAB9lCiMBWJveGVzlF2UKIwSbnVtcHkuY29yZS5udW1lcmljlIwLX2Zyb21idWZmZXKUk5QoliAAAA
        AAAAAAAAAAAAAAAAAAABBBAAAQQQAAgD8AAABAAABAQAAAgECUjAVudW1weZSMBWR0eXBllJOUjAJmNJSJiIeUUpQo
        SwOMATyUTk5OSv////9K/////0sAdJRiSwJLBIaUjAFDlHSUUpRoBSiWEAAAAAAAAAAAAKBAAADAQAAA4EAAAABBlG
        gMSwFLBIaUaBB0lFKUZYwGc2NvcmVzlF2UKGgFKJYIAAAAAAAAAAAAAAAAAAAAlGgMSwKFlGgQdJRSlGgFKJYEAAAA
        AAAAAAAAgD+UaAxLAYWUaBB0lFKUZYwHaW5kZXhlc5RdlChLAYwVbnVtcHkuY29yZS5tdWx0aWFycmF5lIwGc2NhbG
        FylJOUaAmMAmk4lImIh5RSlChLA2gNTk5OSv////9K/////0sAdJRiQwgCAAAAAAAAAJSGlFKUZXUu
    """,
}


def content() -> dict[str, Any]:
    return {
        "boxes": [
            np.array([[0, 0, 9, 9], [1, 2, 3, 4]], np.float32),
            np.array([[5, 6, 7, 8]], np.float32),
        ],
        "scores": [np.zeros(2, np.float32), np.ones(1, np.float32)],
        "indexes": [np.int64(1), np.int64(2)],
    }


EXPECTED = {"000001": [[1, 1, 10, 10], [2, 3, 4, 5]], "000002": [[6, 7, 8, 9]]}


def pickled(tmp_path: Path, what: Any, protocol: int = 5) -> Path:
    path = tmp_path / "p.pkl"
    path.write_bytes(what if isinstance(what, bytes) else pickle.dumps(what, protocol))
    return path


def read_plain(path: Path) -> Any:
    return read_plain_pickle(path, "mend it")


def refused(tmp_path: Path, what: Any) -> str:
    with pytest.raises(UserError, match=r"p\.pkl: ") as caught:
        read_detectron(pickled(tmp_path, what))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("version", WRITTEN_BY)
def test_pickles_of_old_versions(version: str, tmp_path: Path) -> None:
    found = read_detectron(pickled(tmp_path, base64.b64decode(WRITTEN_BY[version])))
    assert {name: each.boxes.tolist() for name, each in found.items()} == EXPECTED


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_this_version(protocol: int, tmp_path: Path) -> None:
    found = read_detectron(pickled(tmp_path, content(), protocol))
    assert {name: each.boxes.tolist() for name, each in found.items()} == EXPECTED


def test_keys_of_detectron2_and_other_containers(tmp_path: Path) -> None:
    old = content()
    new = OrderedDict(
        ids=["000001", b"000002"],
        boxes=np.array([*old["boxes"], None], object)[:2],
        objectness_logits=(old["scores"][0], old["scores"][1].astype(">f8")),
        bbox_mode=0,
    )
    found = read_detectron(pickled(tmp_path, new))
    assert {name: each.boxes.tolist() for name, each in found.items()} == EXPECTED


def test_best_first_and_unsigned_corners(tmp_path: Path) -> None:
    corners = np.asfortranarray(np.arange(12).reshape(3, 4).astype(np.uint8) + 244)
    scores = np.array([0.5, 0.9, 0.5])
    found = read_detectron(
        pickled(tmp_path, {"boxes": [corners], "scores": [scores], "indexes": [123456]})
    )
    assert found["123456"].scores.tolist() == [0.9, 0.5, 0.5]
    assert found["123456"].boxes.tolist() == [
        [*range(249, 253)],
        [*range(245, 249)],
        [*range(253, 257)],
    ]


class Call:
    """Pickles as a call."""

    def __init__(self, function: Any, *words: Any) -> None:
        self.call = function, words

    def __reduce__(self) -> Any:
        return self.call

    def __call__(self, *_: Any, **__: Any) -> None:
        raise AssertionError("called instead of pickled")


@pytest.mark.parametrize(
    ("function", "asked"),
    [
        (os.system, "system"),
        (eval, ".eval"),
        (getattr, "getattr"),
        (np.load, "numpy.load"),
        (np.frombuffer, "frombuffer"),
        (pickle.loads, "loads"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_that_calls_is_refused(
    function: Any, asked: str, protocol: int, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    attack = pickle.dumps({"boxes": [Call(function, f"touch {mark}")]}, protocol)
    assert f"{asked}, which is refused" in refused(tmp_path, attack)
    assert not mark.exists()


def test_a_plain_unpickler_would_have_called(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    pickle.load(io.BytesIO(pickle.dumps(Call(os.system, f"touch {mark}"))))  # the attack is real
    assert mark.exists()


@pytest.mark.parametrize(
    "attack",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"cnumpy\nload.__globals__\n.",
        b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.mro\x93.",
        b"(S'true'\nios\nsystem\n.",
        b"\x82\x01.",  # the registry of extensions
        b"Pname\n.",  # a persistent name
        b"cnumpy\ndtype\n.",  # a listed name, but nothing made of it
    ],
)
def test_other_ways_to_a_function_are_refused(attack: bytes, tmp_path: Path) -> None:
    assert "no whole pickle of plain data" in refused(tmp_path, attack)


@pytest.mark.parametrize("name", [b"c_codecs\nencode\n", b"ccollections\nOrderedDict\n"])
@pytest.mark.parametrize(
    "state",
    [
        b"N}S'__defaults__'\n(S'latin1'\nts\x86",  # attributes of slots
        b"N}S'__class__'\ncnumpy\nndarray\ns\x86",
        b"N}S'_function'\ncnumpy\nndarray\ns\x86",
        b"}S'mark'\nNs",  # entries of __dict__
    ],
)
def test_stand_ins_keep_their_attributes(name: bytes, state: bytes, tmp_path: Path) -> None:
    before = {key: (each, each._function) for key, each in STAND_INS.items()}
    assert "no whole pickle" in refused(tmp_path, b"\x80\x02" + name + state + b"b0N.")
    assert {key: (each, each._function) for key, each in STAND_INS.items()} == before
    assert not any(hasattr(each._function, "mark") for each in STAND_INS.values())
    assert _encode.__defaults__ is None


def test_repeated_content(tmp_path: Path) -> None:
    """Shared lists are read once; what they would unfold to is limited."""
    numbers = np.ones((1, 4))
    shared = read_plain(pickled(tmp_path, {"a": [numbers, numbers], "b": ([1],) * 2}))
    assert shared["a"][0] is shared["a"][1]
    assert shared["b"] == [[1], [1]]
    bomb: list[Any] = [0.0]
    for _ in range(40):
        bomb = [bomb, bomb]
    assert "it repeats its content too often" in refused(tmp_path, {"boxes": [bomb]})
    wide = [np.zeros((5000, 4))] * 5000
    assert "it repeats its content too often" in refused(tmp_path, {"boxes": wide})
    endless: list[Any] = []
    endless.append(endless)
    assert "no whole pickle" in refused(tmp_path, {"boxes": endless})


@pytest.mark.parametrize(
    "what",
    [
        np.zeros(2, [("a", "i4")]),
        np.zeros(2, "V4"),
        np.zeros(2, "M8[s]"),
        np.zeros(2, complex),
        {1, 2},
        slice(2),
    ],
    ids=str,
)
def test_other_content_is_refused(what: Any, tmp_path: Path) -> None:
    assert "no whole pickle of plain data" in refused(tmp_path, {"boxes": [what]})


def test_damaged_pickles_are_refused(tmp_path: Path) -> None:
    whole = pickle.dumps(content(), 3)
    for end in (0, 1, 50, len(whole) // 2, len(whole) - 1):
        assert "no whole pickle" in refused(tmp_path, whole[:end])
    corners = struct.pack("<4f", 5, 6, 7, 8)
    assert corners in whole
    short = whole.replace(b"C\x10" + corners, b"C\x0c" + corners[:12])
    assert short != whole
    assert "bytes do not fit its shape" in refused(tmp_path, short)
    with pytest.raises(UserError, match="not found"):
        read_plain(tmp_path / "none.pkl")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scores": None}, "lacks boxes, scores or indexes"),
        ({"indexes": [1]}, "2 boxes, 2 scores, 1 indexes"),
        ({"indexes": [1, "000001"]}, "the image 000001 is there twice"),
        ({"bbox_mode": 1}, "bbox_mode is not 0"),
        ({"bbox_mode": 10**5000}, "bbox_mode is not 0"),
        ({"bbox_mode": np.arange(50)}, "bbox_mode is not 0"),
        ({"scores": np.float64(1)}, "lacks boxes, scores or indexes"),
        ({"scores": np.array(1.0)}, "lacks boxes, scores or indexes"),
        ({"scores": [{}, {}]}, "000001 are no numbers (m, 4) and (m,)"),
        ({"scores": [[10**400, 1], [1]]}, "000001 are no numbers (m, 4) and (m,)"),
        ({"indexes": [1, 10**5000]}, "entry 1 of indexes is no number or name"),
        ({"indexes": ["a\nb", 2]}, "entry 0 of indexes is no number or name"),
        ({"indexes": [np.arange(2), 2]}, "entry 0 of indexes is no number or name"),
        ({"indexes": ["", 2]}, "entry 0 of indexes is no number or name"),
        ({"boxes": [np.zeros((4, 5)), np.zeros((1, 4))]}, "000001 are no numbers (m, 4)"),
        ({"boxes": [np.zeros((4, 2)), np.zeros((1, 4))]}, "000001 are no numbers (m, 4)"),
        ({"boxes": [np.zeros(8), np.zeros((1, 4))]}, "000001 are no numbers (m, 4)"),
        ({"boxes": [{}, np.zeros((1, 4))]}, "000001 are no numbers (m, 4)"),
        ({"boxes": [np.zeros((1, 3)), np.zeros((1, 4))]}, "000001 are no numbers (m, 4)"),
        ({"boxes": [np.zeros((1, 4)), np.zeros((1, 4))]}, "000001 are no numbers (m, 4) and (m,)"),
        ({"boxes": ["four", "four"]}, "000001 are no numbers (m, 4)"),
    ],
)
def test_other_dicts_are_refused(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert said in refused(tmp_path, content() | change)
    assert "holds no dict" in refused(tmp_path, [1, 2])


def test_a_image_may_have_no_boxes(tmp_path: Path) -> None:
    for none in ([], np.zeros((0, 5)), np.zeros(0, np.float32)):
        few = {"boxes": [none, np.zeros((1, 4))], "scores": [[], [1]], "indexes": [1, "name.jpg"]}
        found = read_detectron(pickled(tmp_path, few))
        assert {name: each.boxes.tolist() for name, each in found.items()} == {
            "000001": [],
            "name": [[1, 1, 1, 1]],
        }


def write_mat(path: Path, boxes: list[Any], names: list[Any], **options: Any) -> Path:
    def cell(values: list[Any]) -> np.ndarray:
        column = np.empty((len(values), 1), object)
        column[:, 0] = values
        return column

    savemat(path, {"boxes": cell(boxes).T, "images": cell(names)}, **options)
    return path


@pytest.mark.parametrize("kind", [np.float64, np.uint16, np.int32])
def test_mat_files(kind: Any, tmp_path: Path) -> None:
    boxes = [np.array([[1, 2, 30, 40], [5, 6, 7, 8]], kind), np.zeros((0, 4), kind)]
    path = write_mat(tmp_path / "v.mat", boxes, ["000005", "000007"], do_compression=True)
    found = read_mat(path)
    assert {name: each.boxes.tolist() for name, each in found.items()} == {
        "000005": [[2, 1, 40, 30], [6, 5, 8, 7]],
        "000007": [],
    }
    assert (found["000005"].boxes - 300 < 0).all()  # no unsigned numbers
    assert [each.scores.tolist() for each in found.values()] == [[0, 0], []]


def test_other_mat_files_are_refused(tmp_path: Path) -> None:
    path, good = tmp_path / "v.mat", np.ones((1, 4))

    def said() -> str:
        with pytest.raises(UserError, match=r"v\.mat: ") as caught:
            read_mat(path)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert "not found" in said()
    write_mat(path, [good, good], ["a", "b"])
    whole = path.read_bytes()
    for damaged in (b"", b"no mat" * 50, whole[: len(whole) // 2]):
        path.write_bytes(damaged)
        assert "should be a .mat file" in said()
    write_mat(path, [good], ["a", "b"])
    assert "1 `boxes` for 2 `images`" in said()
    write_mat(path, [good, good], ["a", "a"])
    assert "'a' has no usable name or is there twice" in said()
    write_mat(path, [good], ["a\nb"])
    assert "'a\\nb' has no usable name" in said()
    write_mat(path, [np.ones((2, 5))], ["a"])
    assert "boxes of a should be numbers (m, 4), not float64 (2, 5)" in said()
    savemat(path, {"boxes": good})
    assert "should be a .mat file" in said()


def test_a_mat_file_that_ends_its_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_mat(tmp_path / "v.mat", [np.ones((1, 4))] * 2, ["a", "b"])
    assert list(read_mat(path)) == ["a", "b"]
    content = bytearray(path.read_bytes())
    content[520] = 0  # the kind of the last text's tag; scipy 1.17 does not survive it
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"v\.mat: .*should be a \.mat file"):
        read_mat(path)
    monkeypatch.setattr(matlab, "loadmat", Call(os._exit, 3))  # whatever scipy does
    with pytest.raises(UserError, match="damaged, it ended its reading process") as caught:
        read_mat(path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="the system bounds no memory")
def test_a_mat_file_that_unfolds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matlab, "LEAST", 2**26)
    path = write_mat(tmp_path / "v.mat", [np.zeros((10**7, 4))], ["a"], do_compression=True)
    assert path.stat().st_size < 10**6
    with pytest.raises(UserError, match=r"v\.mat: no file of boxes .*bytes takes too much memory"):
        read_mat(path)
