"""The method computed by hand, in float64: what tests hold the trainings against.

Nothing here is nat's but the seeds of its draws, so that both see the same images. Networks are
dicts of tensors by the names that files have, layers are formulas, the small trunk is a table.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F

from nat.data.seeds import derive, generator

Weights = dict[str, torch.Tensor]
# width, kernel, stride, padding of conv1 to conv5; 3 x 3 pooling by 2, padding 1, after 1, 2 and 5
SMALL = ((32, 5, 2, 2), (64, 3, 1, 1), (96, 3, 1, 1), (96, 3, 1, 1), (64, 3, 1, 1))
POOLED = (1, 2, 5)
EPSILON = 1e-5  # batch norm's
DX = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], dtype=torch.float64)


def _layer(name: str, *shape: int, draws: torch.Generator) -> Weights:
    """A convolution or a linear layer: U(+-1/sqrt(fan_in)), weights first."""
    bound = float(np.prod(shape[1:])) ** -0.5
    weight = torch.empty(shape).uniform_(-bound, bound, generator=draws)
    bias = torch.empty(shape[0]).uniform_(-bound, bound, generator=draws)
    return {f"{name}.weight": weight.double(), f"{name}.bias": bias.double()}


def _norm(name: str, width: int, draws: torch.Generator | None) -> Weights:
    """Batch norm: gamma U(0, 1), beta 0; without ``draws`` neither."""
    statistics = {
        f"{name}.running_mean": torch.zeros(width).double(),
        f"{name}.running_var": torch.ones(width).double(),
    }
    if draws is None:
        return statistics
    gamma = torch.empty(width).uniform_(0, 1, generator=draws).double()
    return {f"{name}.weight": gamma, f"{name}.bias": torch.zeros(width).double(), **statistics}


def fresh_mlp(name: str, inputs: int, hidden: int, outputs: int, draws: torch.Generator) -> Weights:
    """AlexNet's fully connected layers, by their places among dropout and the others."""
    return {
        **_layer(f"{name}.1", hidden, inputs, draws=draws),
        **_norm(f"{name}.2", hidden, draws),
        **_layer(f"{name}.5", hidden, hidden, draws=draws),
        **_norm(f"{name}.6", hidden, draws),
        **_layer(f"{name}.8", outputs, hidden, draws=draws),
    }


def fresh_network(hidden: int, outputs: int, seed: int) -> Weights:
    """The small trunk and the head as every method's training of ``seed`` starts."""
    draws, weights, channels = generator(seed, "weights"), Weights(), 2
    for index, (width, kernel, _, _) in enumerate(SMALL, 1):
        weights |= _layer(f"trunk.layers.conv{index}", width, channels, kernel, kernel, draws=draws)
        weights |= _norm(f"trunk.layers.bn{index}", width, draws)
        channels = width
    return weights | fresh_mlp("head", 256, hidden, outputs, draws)


def fresh_classifiers(hidden: int, classes: int, seed: int) -> Weights:
    """The probe's, of the small trunk's 256 features."""
    draws = generator(seed, "classifiers")
    return {
        **fresh_mlp("mlp", 256, hidden, classes, draws),
        **_norm("linear.1", 256, None),
        **_layer("linear.2", classes, 256, draws=draws),
    }


def trained(weights: Weights) -> Weights:
    """Those that gradients are taken of."""
    others = ("running_mean", "running_var", "num_batches_tracked", "kernel")
    return {name: value for name, value in weights.items() if not name.endswith(others)}


def normalised(x: torch.Tensor, weights: Weights, name: str, share: float | None) -> torch.Tensor:
    """Batch norm.

    Args:
        x: (b, c, ...).
        weights: with the statistics, which are updated in place.
        name: of the layer.
        share: of this batch in the new statistics; None for evaluation mode.
    """
    mean, var = weights[f"{name}.running_mean"], weights[f"{name}.running_var"]
    if share is not None:
        axes, count = [0, *range(2, x.dim())], x.numel() // x.shape[1]
        mean, var = x.mean(axes), x.var(axes, correction=0)
        for kind, of_batch in (("mean", mean), ("var", var * count / (count - 1))):
            kept = weights[f"{name}.running_{kind}"]
            weights[f"{name}.running_{kind}"] = (1 - share) * kept + share * of_batch.detach()
    shape = [1, -1, *[1] * (x.dim() - 2)]
    x = (x - mean.view(shape)) / (var.view(shape) + EPSILON).sqrt()
    if f"{name}.weight" not in weights:
        return x
    return x * weights[f"{name}.weight"].view(shape) + weights[f"{name}.bias"].view(shape)


def gradients(images: torch.Tensor) -> torch.Tensor:
    """Standardised images (b, 1, h, w) convolved with Sobel's kernels: (b, 2, h, w)."""
    x = images.double()
    flat = x.flatten(1)
    deviation = (flat - flat.mean(1, keepdim=True)).square().mean(1).sqrt()
    x = (x - flat.mean(1)[:, None, None, None]) / deviation[:, None, None, None]
    return F.conv2d(x, torch.stack([DX, DX.T])[:, None], padding=1)


def conv5(weights: Weights, images: torch.Tensor, share: float | None) -> torch.Tensor:
    """The small trunk, with batch norm where ``weights`` have it: (b, 1, h, w) to (b, 64, ...)."""
    x = gradients(images)
    for index, (_, _, stride, padding) in enumerate(SMALL, 1):
        name = f"trunk.layers.conv{index}"
        x = F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, padding)
        if f"trunk.layers.bn{index}.weight" in weights:
            x = normalised(x, weights, f"trunk.layers.bn{index}", share)
        if index in POOLED:
            x = F.max_pool2d(x, 3, 2, 1)
        x = x.clamp(min=0)
    return x


def dropped(x: torch.Tensor, dropout: float) -> torch.Tensor:
    """Dropout in training, by the global generator's draws."""
    return x * F.dropout(torch.ones(x.shape), dropout).double()


def mlp(
    weights: Weights, name: str, x: torch.Tensor, share: float | None, dropout: float
) -> torch.Tensor:
    """Linear, batch norm, ReLU, dropout; linear, batch norm, ReLU; linear."""
    x = x.flatten(1)
    x = x @ weights[f"{name}.1.weight"].T + weights[f"{name}.1.bias"]
    x = normalised(x, weights, f"{name}.2", share).clamp(min=0)
    if share is not None:
        x = dropped(x, dropout)
    x = x @ weights[f"{name}.5.weight"].T + weights[f"{name}.5.bias"]
    x = normalised(x, weights, f"{name}.6", share).clamp(min=0)
    return x @ weights[f"{name}.8.weight"].T + weights[f"{name}.8.bias"]


def outputs(
    weights: Weights, images: torch.Tensor, share: float | None = 0.1, dropout: float = 0.0
) -> torch.Tensor:
    """The network's: (b, 1, h, w) to (b, outputs)."""
    return mlp(weights, "head", conv5(weights, images, share), share, dropout)


def unit(x: torch.Tensor) -> torch.Tensor:
    return x / x.square().sum(1, keepdim=True).sqrt()


class Descent:
    """SGD by hand: ``v <- momentum v + share (g + decay w)`` from zero, ``w <- w - lr v``."""

    def __init__(self, momentum: float = 0.0, decay: float = 0.0, share: float = 1.0) -> None:
        self.momentum, self.decay, self.share = momentum, decay, share
        self.speed: Weights = {}

    def step(
        self, weights: Weights, slopes: Mapping[str, torch.Tensor], lr: float | Mapping[str, float]
    ) -> None:
        """A step of the weights that have a slope; ``lr`` may be told for each."""
        for name, slope in slopes.items():
            v = self.momentum * self.speed.get(name, torch.zeros_like(slope))
            self.speed[name] = v + self.share * (slope + self.decay * weights[name])
            rate = lr if isinstance(lr, float) else lr[name]
            weights[name] = weights[name] - rate * self.speed[name]


def slopes_of(loss: torch.Tensor, leaves: Weights) -> Weights:
    """Gradients by name."""
    found = torch.autograd.grad(loss, list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


def leaves_of(weights: Weights, *prefixes: str) -> Weights:
    """Make the trained weights whose names begin so leaves, in ``weights`` too."""
    leaves = {
        name: value.detach().requires_grad_()
        for name, value in trained(weights).items()
        if name.startswith(prefixes or "")
    }
    weights.update(leaves)
    return leaves


def batches(
    images: np.ndarray, size: int, crop: int, seed: int, epoch: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """An epoch's rows, and their squares cut out one by one, half of them mirrored."""
    order, augment = generator(seed, "order", epoch), generator(seed, "augment", epoch)
    rows = torch.randperm(len(images), generator=order)
    places = images.shape[-1] - crop + 1
    for start in range(0, len(images) - size + 1, size):
        top, left = (torch.randint(places, (size,), generator=augment) for _ in range(2))
        mirrored = torch.rand(size, generator=augment) < 0.5
        batch = rows[start : start + size]
        cuts = [images[row][:, y : y + crop, x : x + crop] for row, y, x in zip(batch, top, left)]  # noqa: B905
        turned = [c[..., ::-1] if m else c for c, m in zip(cuts, mirrored, strict=True)]
        yield batch, torch.from_numpy(np.stack(turned))


def seed_dropout(seed: int, epoch: int) -> None:
    torch.manual_seed(derive(seed, "layers", epoch, 0))


def crops_of(images: np.ndarray, crop: int, crops: int) -> list[torch.Tensor]:
    """The crops a test image is seen in: the centre, with corners where 10, each mirrored too."""
    end = images.shape[-1] - crop
    places = [(end // 2, end // 2), (0, 0), (0, end), (end, 0), (end, end)]
    cuts = [images[..., y : y + crop, x : x + crop] for y, x in places[: max(crops // 2, 1)]]
    if crops > 1:
        cuts += [cut[..., ::-1] for cut in cuts]
    assert len(cuts) == crops
    return [torch.from_numpy(cut.copy()) for cut in cuts]


def accuracy(votes: Iterable[torch.Tensor], labels: np.ndarray) -> float:
    """Percent of images whose largest output, summed over the crops, is their label's."""
    return 100 * float((sum(votes).argmax(1).numpy() == labels).mean())  # type: ignore[union-attr]


def knn(
    bank: torch.Tensor, bank_labels: np.ndarray, queries: torch.Tensor, labels: np.ndarray, k: int
) -> float:
    """Accuracy in percent of k nearest neighbours by cosine; of equal votes the smaller label."""
    near = (unit(queries.flatten(1)) @ unit(bank.flatten(1)).T).argsort(1, descending=True)[:, :k]
    guesses = [np.bincount(bank_labels[rows]).argmax() for rows in near.numpy()]
    return 100 * float((np.array(guesses) == labels).mean())


def centre(images: np.ndarray, crop: int) -> torch.Tensor:
    return crops_of(images, crop, 1)[0]


def assert_moved_alike(
    found: Mapping[str, torch.Tensor], weights: Weights, start: Weights, names: Sequence[str] = ()
) -> None:
    """Weights have moved from ``start`` as by hand, to a hundredth of the way and to rounding."""
    names = names or list(weights)
    ways = {name: weights[name] - start[name] for name in names}
    assert any(bool(way.abs().max() > 0) for way in ways.values())
    for name, way in ways.items():
        wrong = (found[name].double() - weights[name]).norm()
        assert wrong <= 0.01 * way.norm() + 2e-7 * (1 + start[name].norm()), name
