"""Reading the stages' files, and refusing what is missing, damaged or mixed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from nat.report.artifacts import read_artifacts
from nat.report.tables import table_3
from nat.runtime.errors import UserError


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("pretrain/nat-0/record.json", "pretrain"),
        ("pretrain/nat-0/history.csv", "pretrain"),
        ("pretrain/random-0/record.json", "baseline random"),
        ("pretrain/labels-0/record.json", "baseline labels"),
        ("probe/nat-0.json", "probe"),
        ("evolution/nat-0.json", "evolution"),
        ("finetune/labels-all-0.json", "finetune"),
        ("illustrate/0.npz", "illustrate"),
        ("illustrate-detections/0.npz", "illustrate-detections"),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "cut", "empty"])
def test_names_file_and_remedy(make_artifacts: Any, file: str, command: str, damage: str) -> None:
    folder = make_artifacts(detections={"random": 20.0, "labels": 50.0, "nat": 40.0})
    path = folder / file
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:10] if damage == "cut" else b"")
    with pytest.raises(UserError) as caught:
        read_artifacts(folder, [0])
    assert file in str(caught.value)
    assert f"`python -m nat {command}`" in str(caught.value)
    assert "\n" not in str(caught.value)


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text())
    for name, value in changes.items():
        content["provenance" if name == "data" else "measured"][name] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("value", [None, "70", float("nan")])
def test_refuses_what_is_no_number(make_artifacts: Any, value: Any) -> None:
    folder = make_artifacts()
    edit(folder / "probe/nat-0.json", mlp=value)
    with pytest.raises(UserError, match=r"probe/nat-0\.json: no number 'mlp'"):
        table_3(read_artifacts(folder, [0]))


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("measured", None, [1, 2]),
        ("measured", None, [[]]),
        ("measured", "ap", [1]),
        ("measured", "ap", {"cat": {"dog": 1}}),
        ("measured", "mlp", 10**400),
        ("provenance", None, []),
        ("provenance", "data", ["fashion-mnist"]),
        ("provenance", "data", None),
        ("provenance", "data", ""),
        ("provenance", "seconds", "90"),
        ("provenance", "seconds", float("nan")),
        ("provenance", "seconds", -1),
        ("provenance", "seed", 1.5),
        ("provenance", "commit", 7),
        ("provenance", "versions", {"torch": 2}),
        ("provenance", "parameters", [1]),
        ("provenance", "parameters", {"model": {"hidden": {"deep": 1}}}),
    ],
)
def test_refuses_records_of_another_schema(
    make_artifacts: Any, group: str, name: str | None, value: Any
) -> None:
    folder = make_artifacts()
    file = folder / "probe/nat-0.json"
    content = json.loads(file.read_text())
    if name is None:
        content[group] = value
    else:
        content[group][name] = value
    file.write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"probe/nat-0\.json: does not hold numbers") as caught:
        read_artifacts(folder, [0])
    assert f"({group}" in str(caught.value)
    assert "`python -m nat probe`" in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"epoch\n", b"epoch,loss\n1,x\n", b"\xff\xfe", b"epoch\n1\0\n", b'"' * 200_001]
)
def test_refuses_histories_that_are_none(make_artifacts: Any, content: bytes) -> None:
    folder = make_artifacts()
    (folder / "pretrain/nat-0/history.csv").write_bytes(content)
    with pytest.raises(UserError, match=r"history\.csv: no history of a training"):
        read_artifacts(folder, [0])


def test_refuses_seeds_of_different_data(make_artifacts: Any) -> None:
    folder = make_artifacts(seeds=(0, 1))
    edit(folder / "probe/nat-1.json", data="imagenet")
    with pytest.raises(UserError, match=r"measured on ImageNet, but .* on Fashion-MNIST"):
        table_3(read_artifacts(folder, [0, 1]))


def test_refuses_methods_of_different_data(make_artifacts: Any) -> None:
    folder = make_artifacts()
    edit(folder / "probe/random-0.json", data="imagenet")
    with pytest.raises(UserError, match=r"measured on ImageNet, but .* on Fashion-MNIST"):
        table_3(read_artifacts(folder, [0]))


def test_curve_begins_with_random_and_ends_with_nat(make_artifacts: Any) -> None:
    folder = make_artifacts()
    content = json.loads((folder / "evolution/nat-0.json").read_text())
    # a checkpoint of the last epoch is NAT's own network: the table's number is shown
    content["measured"].append({"epoch": 6, "mlp": 1.0, "linear": 1.0, "knn": 1.0})
    (folder / "evolution/nat-0.json").write_text(json.dumps(content))
    curve = read_artifacts(folder, [0]).curve()
    assert {epoch: row["mlp"].mean for epoch, row in curve.items()} == {0: 50, 2: 60, 4: 65, 6: 70}


def test_refuses_curves_of_different_epochs(make_artifacts: Any) -> None:
    folder = make_artifacts(seeds=(0, 1))
    content = json.loads((folder / "evolution/nat-1.json").read_text())
    content["measured"].pop()
    (folder / "evolution/nat-1.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="other epochs"):
        read_artifacts(folder, [0, 1]).curve()


def test_reads_the_seeds_asked_for(make_artifacts: Any) -> None:
    folder = make_artifacts(seeds=(0, 1))
    shutil.copy(folder / "illustrate/0.npz", folder / "illustrate/1.npz")
    assert read_artifacts(folder, [1]).probe("nat", "mlp").values == (71.0,)
    assert read_artifacts(folder, [1, 0]).probe("nat", "mlp").values == (71.0, 70.0)
