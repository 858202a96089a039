"""A trained trunk as a file of its own, without head: safetensors for this project or any other.

``nat`` keeps the trunk's own names, for ``nat.load_trunk``. ``torchvision`` is for plain PyTorch:
an ``nn.Sequential`` of three steps, whose last is named as torchvision's AlexNet is, ``features.0``
to ``features.12``; docs/trunk.md shows how to load it. Both describe themselves in the metadata.
"""

import json
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from nat.network.front_ends import FrontEnd
from nat.network.model import Network, Side, Trunk, load_network
from nat.runtime.errors import UserError
from nat.runtime.io.files import atomic_write, check_output, sha256
from nat.runtime.io.foreign import reading
from nat.runtime.io.outputs import tensors
from nat.runtime.io.tensors import described, layout_of, read_tensors
from nat.runtime.settings.params import Preprocessing, TrunkName
from nat.voc.transfer.rescale import fold_batch_norm

Format = Literal["nat", "torchvision"]
TRUNK = tensors("a trunk that `nat export` wrote", "trunk")
INPUT = (
    "values 0 to 255, (batch, channels, crop, crop): scale the short side of an image to crop or "
    "more, bicubic, and cut the central square; channels 1 is luma, 3 is RGB"
)


def export_trunk(
    network_file: Path, out: Path, form: Format = "nat", keep_batch_norm: bool = False
) -> None:
    """Write the trunk of a network to ``out``, whole.

    Args:
        network_file: network.safetensors of any method.
        out: a safetensors file; its metadata ``trunk`` is JSON.
        form: see above.
        keep_batch_norm: leave batch norm as layers of their own; ``nat`` always does.

    Raises:
        UserError: the network is missing or damaged, ``out`` cannot be written.
    """
    check_output(out, TRUNK)
    network = load_network(network_file).eval()
    about = describe(network, network_file, form)
    module: nn.Module = network.trunk
    if form == "torchvision":
        module = plain_modules(network.trunk, keep_batch_norm)
        about["batch_norm"] = "kept" if keep_batch_norm else "folded"
        about |= _description(module)
    weights = {name: value.contiguous() for name, value in module.state_dict().items()}
    with atomic_write(out, TRUNK) as temporary:
        # not save_file, whose files nobody else can read, and whose errors are its own
        temporary.write_bytes(save(weights, {"trunk": json.dumps(about)}))


def describe(network: Network, network_file: Path, form: str) -> dict[str, Any]:
    """What every export says of itself."""
    return {
        "format": form,
        "trunk": network.trunk.name,
        "preprocessing": network.settings.preprocessing,
        "channels": network.trunk.channels,
        "crop": network.input_size,
        "input": INPUT,
        "network_sha256": sha256(network_file),
    }


class Described(BaseModel):
    """What a file says of its trunk, beside the weights; the rest is for people."""

    model_config = ConfigDict(strict=True, frozen=True)

    format: Format
    trunk: TrunkName
    preprocessing: Preprocessing
    channels: Literal[1, 3]
    crop: Side

    def check_crop(self, trunk: Trunk) -> None:
        """Refuse crops of which the trunk makes nothing.

        Raises:
            ValueError: they are too small.
        """
        try:
            trunk.features(self.crop)
        except UserError as error:
            raise ValueError(f"crop: {self.crop} is too small") from error


def load_exported(path: Path) -> tuple[Trunk, int]:
    """Read what ``export_trunk`` wrote as ``nat``: the trunk and the side of its crops, pixels.

    Raises:
        UserError: missing, damaged, or another format.
    """
    remedy = "make it with `python -m nat export`"
    with reading(path, "trunk of this project", remedy), safe_open(path, "pt") as file:
        about = Described.model_validate_json(described(file, "trunk"))
        if about.format != "nat":
            raise UserError(
                f"{path}: has the format {about.format}, for use without this package; "
                "export it with --format nat"
            )
        with torch.device("meta"):
            expected = Trunk(about.trunk, about.preprocessing, about.channels)
        about.check_crop(expected)
        weights = read_tensors(file, layout_of(expected.state_dict()))
        trunk = Trunk(about.trunk, about.preprocessing, about.channels)
        trunk.load_state_dict(weights)
        return trunk, about.crop


def plain_modules(trunk: Trunk, keep_batch_norm: bool = False) -> nn.Sequential:
    """The same function in evaluation mode, of PyTorch's own modules alone.

    ``standardise`` is a GroupNorm of one group: each image less its mean, over its standard
    deviation. It differs from network/front_ends.py's where that is about 0.001 or less:
    no image of 256 grey levels but a blank one, which both turn into zeros.

    Returns:
        ``standardise``, ``front_end`` and ``features``; float (b, c, h, w) to (b, w5, h', w').
    """
    source = trunk if keep_batch_norm else fold_batch_norm(trunk)
    features: list[nn.Module] = []
    for layer in source.layers:
        if isinstance(layer, nn.ReLU) and isinstance(features[-1], nn.MaxPool2d):
            # torchvision's order; ReLU and the maximum commute
            features.insert(-1, nn.ReLU())
        else:
            features.append(_plain(layer))
    modules = nn.Sequential()
    modules.add_module("standardise", nn.GroupNorm(1, trunk.channels, eps=1e-6, affine=False))
    modules.add_module("front_end", _convolution(trunk.front_end, trunk.channels))
    modules.add_module("features", nn.Sequential(*features))
    return modules.eval()


def _plain(layer: nn.Module) -> nn.Module:
    """The same layer as a module of PyTorch's own, not in place."""
    match layer:
        case nn.ReLU():
            return nn.ReLU()
        case nn.Conv2d():
            plain = nn.Conv2d(**_options(layer))
            plain.load_state_dict(layer.state_dict())
            return plain
    return layer


@torch.no_grad()
def _convolution(front_end: FrontEnd, channels: int) -> nn.Conv2d:
    """A front end, which is linear and 3 x 3, as one convolution: its response to a lit pixel."""
    lit = torch.zeros(channels, channels, 5, 5)
    lit[range(channels), range(channels), 2, 2] = 1
    response = front_end(lit.to(front_end.kernel.device))[..., 1:4, 1:4]
    convolution = nn.Conv2d(channels, front_end.outputs, 3, padding=1, bias=False)
    convolution.weight.copy_(response.transpose(0, 1).flip(-1, -2))
    return convolution.requires_grad_(False)


def _description(modules: nn.Sequential) -> dict[str, Any]:
    """What the modules are made with: enough to build them anew."""
    standardise, front_end, features = modules
    assert isinstance(features, nn.Sequential)
    return {
        "standardise": _options(standardise),
        "front_end": _options(front_end),
        "features": [[type(layer).__name__, _options(layer)] for layer in features],
    }


def _options(layer: nn.Module) -> dict[str, Any]:
    match layer:
        case nn.GroupNorm():
            return {
                "num_groups": layer.num_groups,
                "num_channels": layer.num_channels,
                "eps": layer.eps,
                "affine": layer.affine,
            }
        case nn.Conv2d():
            return {
                "in_channels": layer.in_channels,
                "out_channels": layer.out_channels,
                "kernel_size": layer.kernel_size,
                "stride": layer.stride,
                "padding": layer.padding,
                "bias": layer.bias is not None,
            }
        case nn.BatchNorm2d():
            return {"num_features": layer.num_features, "eps": layer.eps}
        case nn.MaxPool2d():
            return {
                "kernel_size": layer.kernel_size,
                "stride": layer.stride,
                "padding": layer.padding,
            }
        case nn.ReLU():
            return {}
    raise TypeError(f"no description for {type(layer).__name__}")
