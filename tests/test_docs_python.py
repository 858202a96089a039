"""docs/python.md says what works: its blocks run, in order, where a user would run them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import write_image_folder
from networks import network_file
from ruamel.yaml import YAML
from tiny import PROJECT, settings

from nat.api.onnx import export_onnx
from nat.methods.nat import pretrain
from nat.network.session import Epoch
from nat.probe import probe
from nat.runtime.naming import Name
from nat.runtime.settings.params import Params
from nat.voc.classification.finetune import finetune
from nat.voc.detection.detect import detect
from nat.voc.proposals.prepare import prepare_proposals

TEXT = (PROJECT / "docs/python.md").read_text()


class Stop(Exception):
    pass


@pytest.fixture
def place(tmp_path: Path, make_params: Any, manifest: Path, composed: tuple[Params, Path]) -> Path:
    """A clone with a network, what stages keep, an interrupted training, and two images."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path / "clone"
    shutil.copytree(PROJECT / "nat", folder / "nat", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "hubconf.py", folder)
    network, name = network_file(tmp_path), Name(seed=0)
    (folder / name.network).mkdir(parents=True)
    shutil.copy(network, folder / name.network)
    export_onnx(network, folder / "trunk.onnx")
    write_image_folder(tmp_path / "images", 2)
    for index, letter in enumerate("ab"):
        shutil.copy(
            tmp_path / f"images/disc/00{index}.{('jpg', 'png')[index]}", folder / f"{letter}.jpg"
        )
    machine = {"keep": str(folder / "kept"), "scratch": str(folder / "scratch")}
    params, voc = make_params(machine=machine), composed[1]
    prepare_proposals(params, voc, tmp_path / "proposals")
    probe(params, name, manifest, network, None, tmp_path / "p.json")
    finetune(params, name, voc, network, "all", tmp_path / "f.json")
    detect(params, name, voc, tmp_path / "proposals", network, tmp_path / "d.json", tmp_path / "d")
    with pytest.MonkeyPatch.context() as patch:
        loss = Epoch.loss

        def stopping(epoch: Epoch) -> float:
            if epoch.number:
                raise Stop
            return loss(epoch)

        patch.setattr(Epoch, "loss", stopping)
        with pytest.raises(Stop):
            pretrain(params, name, manifest, None, tmp_path / "n", tmp_path / "n.json")
    return folder


def test_every_block_runs(place: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, re.S))
    assert code.count("nat.load_kept") == 3
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", code],
        cwd=place, env=variables, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.splitlines()
    assert first.startswith("['across', 'along', 'disc'] [[")
    assert re.fullmatch(r"1 epochs done; \d\d tensors", last)


def test_the_setting_and_the_line_are_those_that_it_shows(
    place: Path, manifest: Path, tmp_path: Path
) -> None:
    """The command of the section on kept files, as it stands."""
    (words,) = re.findall(r"^    nat (probe .*)$", TEXT, re.M)
    YAML().dump(settings(machine={"data": str(tmp_path / "data")}), place / "params.yaml")
    (place / "data").mkdir()
    shutil.copy(manifest, place / "data" / "images.json")
    shutil.rmtree(place / "kept")
    done = subprocess.run(
        [sys.executable, "-m", "nat", *words.split()], cwd=place, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(place)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (file,) = (place / "kept" / "probe").iterdir()
    told = [line for line in done.stderr.splitlines() if line.startswith("kept: ")]
    assert told == [f"kept: {file.relative_to(place)}"]
