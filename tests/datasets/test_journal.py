import json
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nat.datasets.filling import journal
from nat.datasets.filling.chunks import Faults
from nat.datasets.filling.journal import Journal

FINISHED: dict[str, dict[int, Faults]] = {
    "train": {0: {}, 2: {9: "truncated"}, 1: {}},
    "val": {0: {3: "empty file"}},
}


def written(path: Path) -> Path:
    new = Journal(path)
    (path.parent / "array").touch()
    with new.following(path.parent / "array"):
        for split, chunks in FINISHED.items():
            for number, faults in chunks.items():
                new.add(split, number, faults)
    return path


def test_what_is_finished_comes_back(tmp_path: Path) -> None:
    found = Journal(written(tmp_path / "journal"))
    assert found.finished == FINISHED
    assert found.latest == ("val", 3, "empty file")
    assert found.unreadable() == 2


def test_a_line_follows_no_part_of_another(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Which a kill has left without its end."""
    path = tmp_path / "journal"
    path.write_bytes(written(path).read_bytes()[:-5])
    assert Journal(written(path)).finished == FINISHED
    assert capsys.readouterr().err == ""


def test_the_disk_has_the_rows_before_a_line_tells_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, int]] = []
    path = tmp_path / "journal"

    def sync(file: Path) -> None:
        lines = path.read_text().count("\n") if path.exists() else 0
        synced.append((file.name, lines))

    monkeypatch.setattr(journal, "sync", sync)
    written(path)
    assert synced == [("array", 0), ("journal", 4)]


@given(data=st.data())
def test_damage_loses_what_it_touches_and_no_more(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Nothing is taken for finished that was not."""
    path = written(tmp_path_factory.mktemp("j") / "journal")
    content = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content[: data.draw(st.just(None) | st.integers(at, len(content)))])
    found = Journal(path).finished
    lost = 0
    for split, chunks in FINISHED.items():
        for number, faults in chunks.items():
            lost += found.get(split, {}).get(number) != faults
    assert sum(map(len, found.values())) + lost == 4
    assert lost >= 1
    assert {split: chunks for split, chunks in Journal(path).finished.items() if chunks} == {
        split: chunks for split, chunks in found.items() if chunks
    }


@pytest.mark.parametrize(
    "entry",
    [
        b"null",
        b"[]",
        b'["train", 7]',
        b'["train", "x", {}]',
        b'["train", null, {}]',
        b'["train", 1e999, {}]',
        b'["train", 7, []]',
        b'["train", 7, {"a": "b"}]',
        b"[" * 10**5,
        b"9" * 5000,
        b"\xff\xfe",
    ],
)
def test_another_entry_is_dropped(
    entry: bytes, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = written(tmp_path / "journal")
    right = path.read_bytes()
    for line in (entry, b"%08x %s" % (zlib.crc32(entry), entry)):
        path.write_bytes(line + b"\n" + right)
        assert Journal(path).finished == FINISHED
        assert "1 damaged lines; their work is done again" in capsys.readouterr().err
        assert path.read_bytes() == right


def test_what_cannot_be_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    entries = [("train", 0, {4: "a"}), ("train", 1, {}), ("train", 2, {}), ("train", -1, {})]
    entries += [("train", 10**30, {}), ("val", 3, {15: "b"}), ("train", 1, {4: "c"})]
    for split, number, faults in entries:
        text = json.dumps([split, number, faults])
        with open(path, "a") as file:
            file.write(f"{zlib.crc32(text.encode()):08x} {text}\n")
    journal = Journal(path)
    assert journal.latest == ("train", 4, "c")
    journal.fit("train", rows=10, chunk=5)  # row 4 is not in the second chunk
    assert journal.of("train") == {0: {4: "a"}}
    assert journal.latest == ("val", 15, "b")
    journal.fit("val", rows=20, chunk=5)
    assert journal.of("val") == {3: {15: "b"}}
    assert Journal(path).finished == journal.finished


def test_a_split_that_begins_anew_is_forgotten_on_the_disk_too(tmp_path: Path) -> None:
    """A kill afterwards must not bring back what was said of rows that are gone."""
    path = written(tmp_path / "journal")
    Journal(path).forget("train")
    assert Journal(path).finished == {"val": FINISHED["val"]}
