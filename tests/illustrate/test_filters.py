"""Figure 4's filters: what the first layer does to an image, kept without any image."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nat.data.seeds import generator
from nat.illustrate.filters import load_filters, save_filters
from nat.illustrate.first_layer import first_filters, gather_filters
from nat.network.model import Network, Trunk, initialise, save_network
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Params


@pytest.mark.parametrize("name", ["small", "alexnet"])
@pytest.mark.parametrize("preprocessing", ["sobel", "high-pass", "clean"])
def test_filters_are_conv1_after_the_front_end(name: str, preprocessing: Any) -> None:
    trunk = Trunk(name, preprocessing)
    initialise(trunk, generator(0, "weights"))
    trunk.double()
    conv = trunk.layers.conv1
    image = torch.rand(2, 1, 41, 41, generator=generator(0, "image"), dtype=torch.float64)
    # the interior: neither the front end nor conv1 reaches over the border
    seen = trunk.front_end(image)[..., 1:-1, 1:-1]
    expected = F.conv2d(seen, conv.weight, stride=conv.stride)
    found = F.conv2d(image, first_filters(trunk)[:, None], stride=conv.stride)
    assert first_filters(trunk).shape == (conv.out_channels, *(k + 2 for k in conv.kernel_size))
    torch.testing.assert_close(found, expected)


def write_network(folder: Path, params: Params, seed: int, **settings: Any) -> Trunk:
    network = Network(params.model.model_copy(update=settings), params.augment.crop, 3)
    initialise(network, generator(seed, "weights"))
    save_network(network, folder / "network.safetensors")
    return network.trunk


def test_holds_both_trunks_filters_and_no_image(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    params, folders = make_params(), [tmp_path / "nat", tmp_path / "labels"]
    trunks = [write_network(folder, params, seed) for seed, folder in enumerate(folders)]
    out = tmp_path / "filters.npz"
    save_filters(gather_filters(params, 0, manifest, *folders), out)
    shown = load_filters(out)
    for trunk, filters in zip(trunks, (shown.nat, shown.labels), strict=True):
        np.testing.assert_allclose(filters, first_filters(trunk), atol=1e-3)
    assert shown.facts["preprocessing"] == "sobel"
    assert shown.provenance["images"] == {"train": 96, "test": 48}
    with np.load(out) as arrays:
        assert set(arrays) == {"facts", "provenance", "labels", "nat"}


def test_networks_of_two_runs_are_refused(make_params: Any, manifest: Path, tmp_path: Path) -> None:
    params, nat, labels = make_params(), tmp_path / "nat", tmp_path / "labels"
    write_network(nat, params, 0)
    write_network(labels, params, 0, trunk="small-dense")
    with pytest.raises(UserError, match=r"its trunk is small-dense, and small in"):
        gather_filters(params, 0, manifest, nat, labels)


def test_filters_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "filters.npz"
    kept = np.zeros((8, 7, 7), np.float16)
    for other in (kept[:4], kept[:, :5, :5], kept[:, :5], kept.astype(np.float32)):
        np.savez(path, facts="{}", provenance="{}", labels=kept, nat=other)
        with pytest.raises(UserError, match="no illustration of this project"):
            load_filters(path)
