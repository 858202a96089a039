from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import load_file, save_file

from nat.runtime.errors import UserError
from nat.voc.data.proposals import Proposals, load_proposals, save_proposals

TWO = {"000005": np.array([[1, 2, 3, 4], [5, 6, 500, 375]]), "b": np.zeros((0, 4), np.int64)}

coordinates = st.one_of(
    st.integers(-(2**15), 2**15 - 1).map(float), st.floats(-1e4, 1e4, width=32, allow_nan=False)
)
images = st.dictionaries(
    st.text(st.characters(blacklist_characters="\n", blacklist_categories=["Cs"]), min_size=1),
    st.integers(0, 5).flatmap(lambda m: arrays(np.float32, (m, 4), elements=coordinates)),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(images)
def test_what_was_saved_comes_back(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, np.ndarray]
) -> None:
    path = tmp_path_factory.getbasetemp() / "p.safetensors"
    save_proposals(path, content)
    found = load_proposals(path)
    assert found.names == list(found) == list(content)
    assert len(found) == len(content)
    for name, boxes in content.items():
        assert name in found
        assert found[name].dtype == torch.float32
        assert found[name].shape == boxes.shape
        np.testing.assert_array_equal(found[name].numpy(), boxes)


def test_whole_numbers_take_two_bytes_and_others_four(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    save_proposals(path, TWO)
    assert load_file(path)["boxes"].dtype == np.int16
    for odd in (0.5, 2**15, -(2**15) - 1):
        save_proposals(path, TWO | {"odd": np.array([[1, 1, 2, odd]])})
        assert load_file(path)["boxes"].dtype == np.float32
        assert load_proposals(path)["odd"].tolist() == [[1, 1, 2, odd]]


def test_same_content_same_bytes(tmp_path: Path) -> None:
    for name, kind in (("a", np.int64), ("b", np.float32), ("c", np.uint16)):
        save_proposals(tmp_path / name, {key: boxes.astype(kind) for key, boxes in TWO.items()})
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b == c


def test_a_image_that_is_not_there_is_named() -> None:
    found = Proposals(list(TWO), list(TWO.values()))
    assert "000006" not in found
    with pytest.raises(UserError, match="no proposals for image '000006'"):
        found["000006"]


@pytest.mark.parametrize(
    ("names", "boxes"),
    [
        (["a"], [np.zeros((2, 5))]),
        (["a"], [np.zeros(4)]),
        (["a", "b"], [np.zeros((1, 4))]),
        (["a", "a"], [np.zeros((1, 4))] * 2),
        (["a\nb"], [np.zeros((1, 4))]),
    ],
)
def test_impossible_content_is_refused(names: list[str], boxes: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match=r"boxes|name"):
        Proposals(names, boxes)


def test_missing_and_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "p.safetensors"
    with pytest.raises(UserError, match="not found; make it with `python -m nat proposals`"):
        load_proposals(path)
    save_proposals(path, TWO)
    whole = path.read_bytes()
    good = {name: array.copy() for name, array in load_file(path).items()}
    for damaged in (b"", b"no store", whole[:-3]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="no whole file of proposals"):
            load_proposals(path)
    for change in (
        {"offsets": np.array([0, 2, 1])},
        {"offsets": np.array([0, 3, 2])},
        {"offsets": np.array([1, 2, 2])},
        {"offsets": np.array([0, 2])},
        {"names": np.frombuffer(b"a\na", np.uint8)},
        {"boxes": np.zeros((2, 4), np.int64)},
        {"boxes": np.zeros((2, 3), np.int16)},
        {"boxes": np.full((2, 4), np.nan, np.float32)},
        {"boxes": np.full((2, 4), np.inf, np.float32)},
        {"offsets": np.array([0, 2, 1, 2], np.uint64)},
        {"offsets": np.array([0, 2, 2], np.int32)},
        {"offsets": np.array([0, 2, 2, 2])},
        {"names": np.frombuffer(b"a\xff", np.uint8)},
        {"names": np.zeros(10**6, np.int8)},
        {"more": np.zeros(1)},
    ):
        save_file(good | change, path)
        with pytest.raises(UserError, match="no whole file of proposals"):
            load_proposals(path)
    save_file({"boxes": good["boxes"]}, path)
    with pytest.raises(UserError, match="no whole file of proposals"):
        load_proposals(path)
