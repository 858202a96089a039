import json
from pathlib import Path
from typing import Any

from trained import Run

from nat.api.export import export_trunk, load_exported
from nat.probe import probe
from nat.runtime.naming import Name


def test_its_trunk_has_half_the_stride_whatever_reads_it(
    run: Run, make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    trained = run("jigsaw_dense", epochs=1)
    assert trained.network is not None
    trunk = trained.network.trunk
    assert (trunk.name, trunk.layers.conv1.stride) == ("small-dense", (1, 1))
    assert trunk.map_of(28) == (64, 4)
    usual = run("jigsaw", epochs=1).network
    assert usual is not None
    assert (usual.trunk.name, usual.trunk.map_of(28)) == ("small", (64, 2))

    file = trained.folder / "network.safetensors"
    name, out = Name("jigsaw_dense"), tmp_path / "probe.json"
    probe(make_params(), name, manifest, file, None, out)
    assert json.loads(out.read_text())["measured"]["mlp"] >= 0
    export_trunk(file, tmp_path / "trunk.safetensors", "nat")
    exported, crop = load_exported(tmp_path / "trunk.safetensors")
    assert (exported.name, crop) == ("small-dense", 28)
    export_trunk(file, tmp_path / "plain.safetensors", "torchvision")
