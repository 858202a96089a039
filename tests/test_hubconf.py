"""torch.hub loads a trunk from a clone, in a process that knows of nothing else."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from conftest import write_image_folder
from networks import network_file
from tiny import PROJECT

import nat

CODE = """
import json, sys, torch
trunk = torch.hub.load(sys.argv[1], "nat_trunk", source="local", **json.loads(sys.argv[2]))
features = trunk.embed([sys.argv[3]])  # when the clone is no longer in sys.path
assert sys.argv[1] not in sys.path
print(json.dumps({
    "features": features.tolist(),
    "map": list(trunk(torch.zeros(2, trunk.channels, trunk.crop, trunk.crop)).shape),
    "from": sys.modules["nat"].__file__,
    "loaded": sorted({name.partition(".")[0] for name in sys.modules}),
}))
"""
# torch.hub tells of those that are missing before it loads anything
NEEDED = set(runpy.run_path(str(PROJECT / "hubconf.py"))["dependencies"])
DECLARED = {
    "click", "cv2", "defusedxml", "jinja2", "matplotlib", "numpy", "pandas", "PIL", "pydantic",
    "ruamel", "safetensors", "scipy", "sklearn", "torch", "torchvision", "tqdm",
}  # fmt: skip


def clone(folder: Path) -> Path:
    """What torch.hub needs of the project, elsewhere."""
    shutil.copytree(PROJECT / "nat", folder / "nat", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "hubconf.py", folder)
    return folder


def load(project: Path, image: Path, **options: object) -> subprocess.CompletedProcess:
    words = [sys.executable, "-c", CODE, str(project), json.dumps(options), str(image)]
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    where = {"cwd": project.parent, "env": variables}
    return subprocess.run(words, capture_output=True, text=True, **where)


def test_it_loads_a_network_by_its_file_or_its_name(tmp_path: Path) -> None:
    write_image_folder(tmp_path / "images", 1)
    image, project = tmp_path / "images" / "disc" / "000.jpg", clone(tmp_path / "clone")
    network = network_file(tmp_path)
    own = project / "artifacts" / "networks" / "labels-3"
    own.mkdir(parents=True)
    shutil.copy(network, own)
    expected = nat.load_trunk(network, 32).embed([image])
    for options in ({"network": str(network)}, {"method": "labels", "seed": 3}):
        done = load(project, image, size=32, **options)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        np.testing.assert_allclose(found["features"], expected, rtol=1e-4, atol=1e-5)
        assert found["map"] == [2, 64, 2, 2]
        assert Path(found["from"]).is_relative_to(project)  # not what is installed here
        assert set(found["loaded"]) & DECLARED == NEEDED


def test_a_clone_without_networks_says_how_to_get_them(tmp_path: Path) -> None:
    done = load(clone(tmp_path / "clone"), tmp_path / "none.jpg")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "artifacts/networks/nat-0/network.safetensors: not found; make it with" in last
