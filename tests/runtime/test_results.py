"""What a stage measured: one file, whose it is, and never over anything else."""

import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.results import SCHEMA, SETTINGS, collect, write_result

NAME = Name("labels", "model.preprocessing=clean", 3)
WHERE = {"data": "test", "seed": 3, "seconds": 1.5}


def written(path: Path, stage: str = "probe", **measured: Any) -> dict[str, Any]:
    write_result(path, stage, NAME, measured, WHERE)
    return json.loads(path.read_text())


def test_says_what_was_measured_of_whom_and_where(tmp_path: Path) -> None:
    path = tmp_path / "results" / "train" / "x.json"
    rows = [{"epoch": 1, "loss": 0.5, "knn": None}, {"epoch": 2, "loss": 0.1 + 0.2, "knn": 50.0}]
    write_result(path, "train", NAME, {"loss": 0.1 + 0.2}, WHERE, {"history": rows})
    assert json.loads(path.read_text()) == {
        "schema": SCHEMA,
        "stage": "train",
        "method": "labels",
        "override": "model.preprocessing=clean",
        "seed": 3,
        "measured": {"loss": 0.1 + 0.2},  # to the last digit
        "history": rows,
        "provenance": WHERE,
    }
    assert list(path.parent.iterdir()) == [path]


def test_what_was_not_measured_is_no_number(tmp_path: Path) -> None:
    found = written(tmp_path / "r.json", mlp=78.3, knn=None)
    assert found["measured"] == {"mlp": 78.3, "knn": None}
    assert not found.keys() & {"history", "checkpoints"}


@pytest.mark.parametrize("stage", ["train", "probe", "finetune-fc6-8", "finetune-all", "detect"])
def test_a_result_replaces_one_of_the_same_stage_alone(stage: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    written(path, stage, a=1)
    # of another training and with other rows: it is the stage that counts
    write_result(path, stage, Name(seed=9), {"b": 2}, WHERE, {"history": []})
    kept = path.read_bytes()
    for other in {"train", "probe", "finetune-fc6-8", "finetune-all", "detect"} - {stage}:
        with pytest.raises(UserError, match=rf"r\.json: .*no.* a result of the stage {other}"):
            written(path, other)
        assert path.read_bytes() == kept
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "content",
    [
        '{"stage": "probe", "measured": {}}',  # of a tool of another age
        '{"schema": 1, "measured": {}}',
        '{"schema": 1, "stage": ["probe"]}',
        '["schema", "stage"]',
        '"schema"',
        "null",
        "no JSON",
        '{"schema": 1, "stage": "probe"',
        "[" * 100_000,
    ],
)
def test_anything_else_is_left_alone(content: str, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"r\.json"):
        written(path)
    assert path.read_text() == content
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_file_holds_nothing_to_lose(tmp_path: Path) -> None:
    (tmp_path / "r.json").touch()
    assert written(tmp_path / "r.json", mlp=1.0)["measured"] == {"mlp": 1.0}


def test_a_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "r.json").mkdir()
    with pytest.raises(UserError, match=r"r\.json"):
        written(tmp_path / "r.json")
    assert (tmp_path / "r.json").is_dir()


def test_what_was_measured_is_collected_beside_what_other_seeds_have(tmp_path: Path) -> None:
    measured, results = tmp_path / "measured", tmp_path / "results"
    (measured / "illustrate/0").mkdir(parents=True)
    (measured / "illustrate/0/filters.npz").write_bytes(b"PK of seed 0")
    (measured / "illustrate/0/notes.txt").write_bytes(b"of somebody's")
    write_result(measured / "probe/nat-0.json", "probe", NAME, {"mlp": 51.0}, WHERE)
    write_result(results / "probe/nat-0.json", "probe", NAME, {"mlp": 50.0}, WHERE)
    write_result(results / "probe/nat-1.json", "probe", NAME, {"mlp": 49.0}, WHERE)
    of_seed_1 = (results / "probe/nat-1.json").read_bytes()
    collect(measured, results, {"profile": "tiny"})
    assert {
        path.relative_to(results).as_posix(): path.read_bytes()
        for path in results.rglob("*")
        if path.is_file() and path.name != SETTINGS
    } == {
        "illustrate/0/filters.npz": b"PK of seed 0",
        "probe/nat-0.json": (measured / "probe/nat-0.json").read_bytes(),
        "probe/nat-1.json": of_seed_1,
    }
    assert json.loads((results / SETTINGS).read_text()) == {"profile": "tiny"}


def test_results_that_dvc_takes_into_its_cache_meanwhile_are_collected_later(
    tmp_path: Path,
) -> None:
    """As the report after the first methods may meet it: DVC removes each output, then links it."""
    measured, results, cache = (tmp_path / name for name in ("measured", "results", "cache"))
    write_result(measured / "train/a-0.json", "train", NAME, {"loss": 1.0}, WHERE)
    write_result(measured / "probe/b-0.json", "probe", NAME, {"mlp": 50.0}, WHERE)
    shutil.copytree(measured, cache)
    at_work = threading.Event()

    def keep_anew() -> None:
        while not at_work.is_set():
            (measured / "train/a-0.json").unlink()
            (measured / "train/a-0.json").hardlink_to(cache / "train/a-0.json")
            shutil.rmtree(measured / "probe")
            shutil.copytree(cache / "probe", measured / "probe", copy_function=os.link)

    dvc = threading.Thread(target=keep_anew)
    dvc.start()
    try:
        for _ in range(300):
            collect(measured, results, {"profile": "tiny"})
    finally:
        at_work.set()
        dvc.join()
    collect(measured, results, {"profile": "tiny"})
    for name in ("train/a-0.json", "probe/b-0.json"):
        assert (results / name).read_bytes() == (cache / name).read_bytes()
