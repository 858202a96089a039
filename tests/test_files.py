from pathlib import Path

import pytest

from nat.errors import UserError
from nat.files import check_writable, read_json, whole, write_json
from nat.places import place, project_folder


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.txt"
    with whole(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), whole(path) as temporary:  # noqa: PT012
        temporary.write_text("two")
        raise ZeroDivisionError
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for content in ("old", "new"):
        with whole(tmp_path / "out") as temporary:
            temporary.mkdir()
            (temporary / content).touch()
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["new"]


def test_an_unwritable_output_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/out\.json: cannot be written"):
        check_writable(tmp_path / "file" / "out.json")


def test_json_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"a": [1, "é"]})
    assert read_json(tmp_path / "x.json", "probe") == {"a": [1, "é"]}
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match="not valid JSON"):
        read_json(tmp_path / "x.json", "probe")


def test_a_queued_experiments_copy_sees_the_projects_folders(tmp_path: Path) -> None:
    copy = tmp_path / ".dvc" / "tmp" / "exps" / "tmp1a2b"
    copy.mkdir(parents=True)
    assert project_folder(copy) == tmp_path.resolve()
    assert project_folder(tmp_path) == tmp_path.resolve()


def test_an_absolute_folder_stays(tmp_path: Path) -> None:
    assert place(str(tmp_path)) == tmp_path
