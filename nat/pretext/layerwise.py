"""Convolutions learned one after the other, each a codebook of patches of what it sees.

After Coates & Ng (2012). For conv1 to conv5 in turn:

1. patches of the layer's input, as large as its kernel, are cut out of images at random, scaled to
   mean 0 and one contrast, and whitened (ZCA); blank ones are left out;
2. a codebook of them is learned; its vectors, taken back through the whitening and scaled to length
   1, are the filters. From conv2 on a filter sees some of the channels only, one drawn at random
   and those most alike to it in energy, as whitened patches of all have too many dimensions;
3. batch norm holds the mean and variance of the filters' responses to the same patches, so that
   ReLU keeps what is above the mean response, where theirs keeps what is above a threshold.

Contrast is normalised for learning alone, as a convolution cannot do it. No gradient is taken.
"""

from collections.abc import Callable
from itertools import islice

import torch
import torch.nn.functional as F
from torch import nn

from nat.data.loader import Loader
from nat.methods import TrunkSession
from nat.pretext.statistics import gather_statistics
from nat.pretext.training import hand_on
from nat.runtime.distributed import Distributed
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Batch, Count, Few, Group

EACH = 5  # patches of an image
FLAT = 0.01  # added to a patch's variance, as a share of the mean one
SMOOTHING = 0.1  # added to the variances that whitening makes alike, where the mean one is about 1

Learner = Callable[[torch.Tensor, int, int, torch.Generator], tuple[torch.Tensor, list[float]]]


class Settings(Group):
    """Rounds of each layer's learner; patches it learns from; receptive fields of conv2 to conv5.

    ``groups`` of filters see ``channels`` of the channels each.
    """

    epochs: Count
    batch_size: Batch
    patches: Count
    groups: Few
    channels: Few


def cut_patches(
    maps: torch.Tensor, layer: nn.Conv2d, each: int, draws: torch.Generator
) -> torch.Tensor:
    """What a layer's kernel sees of its input at places drawn at random, alike likely.

    Args:
        maps: float (b, c, h, w), the input.
        layer: with a square kernel.
        each: patches of an image.
        draws: a CPU generator.

    Returns:
        float (b * each, c, kernel, kernel).
    """
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    windows = F.pad(maps, (padding,) * 4).unfold(2, kernel, stride).unfold(3, kernel, stride)
    images = torch.arange(len(maps), device=maps.device)[:, None]
    down, across = (
        torch.randint(size, (len(maps), each), generator=draws).to(maps.device)
        for size in windows.shape[2:4]
    )
    return windows[images, :, down, across].flatten(0, 1)


def normalised(patches: torch.Tensor) -> torch.Tensor:
    """Patches (m, d) of mean 0, divided by their contrast; those without any are left out."""
    centred = patches - patches.mean(1, keepdim=True)
    variance = centred.square().mean(1, keepdim=True)
    kept = variance[:, 0] > 1e-6 * variance.mean()
    return centred[kept] / (variance[kept] + FLAT * variance.mean()).sqrt()


def whitening(points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """ZCA of points (m, d): their mean (d,), and the symmetric matrix (d, d) that whitens."""
    mean = points.mean(0)
    centred = (points - mean).double()
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(points))
    matrix = vectors * (values.clamp(min=0) + SMOOTHING).rsqrt() @ vectors.T
    return mean, matrix.to(points.dtype)


def fields(patches: torch.Tensor, size: int, draws: torch.Generator) -> torch.Tensor:
    """The channels that a group of filters sees: one at random, and those most alike in energy.

    Args:
        patches: float (m, c, kernel, kernel).
        size: how many channels; all if there are fewer.
        draws: a CPU generator.

    Returns:
        int64 (size,), in order.
    """
    c = patches.shape[1]
    if size >= c:
        return torch.arange(c, device=patches.device)
    energy = patches.square().mean((2, 3))
    seed = int(torch.randint(c, (), generator=draws))
    alike = torch.corrcoef(energy.T)[seed].nan_to_num(-2)  # a channel that is always 0
    alike[seed] = 2
    return alike.topk(size).indices.sort().values


@torch.no_grad()
def learn_layer(
    layer: nn.Conv2d,
    norm: nn.BatchNorm2d,
    patches: torch.Tensor,
    settings: Settings,
    learner: Learner,
    draws: torch.Generator,
) -> tuple[float, float]:
    """Set a convolution's filters, and its batch norm's statistics, in place.

    Args:
        layer: to set.
        norm: that follows it.
        patches: float (m, c, kernel, kernel), of its input.
        settings: of the method.
        learner: of codebooks.
        draws: a CPU generator.

    Returns:
        the share of the patches' squared lengths that the codebooks leave out, the means over
        filters, before learning and after.

    Raises:
        UserError: all patches are blank.
    """
    for tensor in (layer.weight, layer.bias, norm.bias):
        assert tensor is not None
        tensor.zero_()
    norm.weight.fill_(1)
    width, c = layer.weight.shape[:2]
    whole = c <= settings.channels
    start, end = 0.0, 0.0
    groups = torch.arange(width, device=patches.device).tensor_split(
        1 if whole else settings.groups
    )
    for filters in groups:
        seen = fields(patches, settings.channels, draws)
        points = normalised(patches[:, seen].flatten(1))
        if not len(points):
            raise UserError("images: all patches are blank; images with something on them are due")
        mean, matrix = whitening(points)
        book, shares = learner((points - mean) @ matrix, len(filters), settings.epochs, draws)
        found = book @ matrix
        found = F.normalize(found - found.mean(1, keepdim=True))
        layer.weight[filters[:, None], seen] = found.unflatten(1, (-1, *layer.kernel_size))
        start += shares[0] * len(filters) / width
        end += shares[-1] * len(filters) / width
    responses = patches.flatten(1) @ layer.weight.flatten(1).T
    norm.running_mean.copy_(responses.mean(0))  # type: ignore[union-attr]
    norm.running_var.copy_(responses.var(0))  # type: ignore[union-attr]
    return start, end


def learn_layers(session: TrunkSession, settings: Settings, learner: Learner) -> None:
    """Learn all layers, an epoch each, and hand on the trunk.

    An epoch's ``loss`` is its layer's share left out, and ``start`` that of patches drawn at random
    as the codebook; ``error`` is the one divided by the other, the mean over all layers, where one
    that is still to be learned counts 1. Every process does the same.

    Raises:
        UserError: a batch larger than the data, more groups than a layer has filters, images
            without anything on them, or an output that cannot be written.
    """
    network, device = session.network(2), session.device
    layers = network.trunk.layers
    places = [(i, layer) for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d)]
    least = min(layer.out_channels for _, layer in places)
    if settings.groups > least:
        raise UserError(
            f"{session.group}.groups: {settings.groups} groups of {least} filters; at most that"
        )
    setting, size = f"{session.group}.batch_size", settings.batch_size
    augment = session.params.augment
    loader = Loader(session.images, size, augment, session.seed, Distributed(device), setting)
    steps = min(loader.steps, -(-settings.patches // (EACH * size)))
    errors = torch.ones(len(places))
    blame = {f"{session.group}.patches": settings.patches}
    for epoch in session.epochs(network, None, len(places), blame, session.manifest, errors=errors):
        network.eval()
        place, layer = places[epoch.number]
        norm = layers[place + 1]
        assert isinstance(norm, nn.BatchNorm2d)
        draws, found = session.generator("codebook", epoch.number), []
        batches = islice(loader.epoch(epoch.number), steps)
        for _, _, images in epoch.batches(batches, steps, size):
            with torch.no_grad():
                maps = layers[:place](network.trunk.preprocess(images))
            found.append(cut_patches(maps, layer, EACH, draws))
        start, end = learn_layer(layer, norm, torch.cat(found), settings, learner, draws)
        for tensor in (*layer.state_dict().values(), *norm.state_dict().values()):
            session.distributed.broadcast(tensor)
        errors[epoch.number] = end / start
        epoch.add(torch.tensor(end, device=device))
        session.log(
            epoch=epoch.number + 1,
            lr=None,
            loss=epoch.loss() / session.distributed.size,
            start=start,
            error=float(errors.mean()),
            knn=None,
        )
    gather_statistics(session, network, size)
    hand_on(session, network, steps * size * len(places))
