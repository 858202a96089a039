"""Adversarial training (Goodfellow et al., 2014): a discriminator, and one who makes what it sees.

For each batch both take a turn, the discriminator first, each with a loss for its own weights
alone. One Adam serves both: a turn's step moves only the weights that have got gradients in it, and
Adam's moments and step counts are those of each weight, so that it is two optimizers in one.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from nat.network.front_ends import standardise
from nat.pretext.decoders import NARROWEST
from nat.pretext.training import AdamTraining, Measures, Task
from nat.runtime.settings.params import Positive

WIDEST = 512  # channels of a discriminator's own convolutions
Shown = tuple[torch.Tensor, ...]  # what a discriminator judges: images, perhaps codes with them


class AdversarialTraining(AdamTraining):
    """Adam for both; ``lr`` is that of the maker."""

    lr_discriminator: Positive


@torch.no_grad()
def initialise_small(module: nn.Module, draws: torch.Generator) -> None:
    """DCGAN's first weights (Radford et al., 2016, section 4): Gaussian, deviation 0.02.

    Biases 0, batch norm as if there were none. With this project's own, a generator gave the same
    image for every code within some hundred steps.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            layer.weight.normal_(0, 0.02, generator=draws)
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.weight.fill_(1)
        else:
            continue
        if layer.bias is not None:
            layer.bias.zero_()


class Convolutions(nn.Sequential):
    """A discriminator's that is no trunk: of standardised images, as DCGAN's are.

    Stride 2 until less than 4 px are left, batch norm but in the first layer, leaky ReLU.
    """

    def __init__(self, size: int, channels: int) -> None:
        """``size`` is the side of the images, pixels; ``channels`` are theirs."""
        super().__init__()
        width, side = NARROWEST, size
        while side >= 4:
            self.append(nn.Conv2d(channels, width, 4, 2, padding=1))
            if side < size:
                self.append(nn.BatchNorm2d(width))
            self.append(nn.LeakyReLU(0.2))
            channels, width, side = width, min(2 * width, WIDEST), side // 2
        self.features = channels * side * side

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(b, channels, size, size) to (b, width, side, side)."""
        return super().forward(standardise(images))


class Discriminator(nn.Module):
    """Tells real from made: a trunk's features, and a head on these and what comes with them."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        """``trunk`` gives float (b, ...) of images; ``head`` gives one number, float (b, 1)."""
        super().__init__()
        self.trunk, self.head = trunk, head

    def forward(self, images: torch.Tensor, *codes: torch.Tensor) -> torch.Tensor:
        """The log odds of being real, float32 (b,), of images (b, c, crop, crop) with codes."""
        features = self.trunk(images).flatten(1)
        return self.head(torch.cat([features, *codes], 1))[:, 0].float()


def as_real(odds: torch.Tensor) -> torch.Tensor:
    """Cross entropy of log odds, float (b,), for what is to be taken for real, averaged."""
    return F.binary_cross_entropy_with_logits(odds, torch.ones_like(odds))


def as_made(odds: torch.Tensor) -> torch.Tensor:
    """Cross entropy of log odds, float (b,), for what is to be taken for made, averaged."""
    return F.binary_cross_entropy_with_logits(odds, torch.zeros_like(odds))


def noise(images: torch.Tensor, numbers: int) -> torch.Tensor:
    """A code for each image, each number uniform in [-1, 1): float32 (b, numbers)."""
    return torch.rand(len(images), numbers, device=images.device) * 2 - 1


class Maker(Task):
    """The discriminator's opponent; its ``forward`` is the loss of its own turn."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self._opponent = [discriminator]  # in a list, so that its weights are not this one's

    def shown(self, images: torch.Tensor) -> tuple[Shown, Shown]:
        """What there is to tell apart for a batch: the real, and as much that is made."""
        raise NotImplementedError

    def judged(self, *shown: torch.Tensor) -> torch.Tensor:
        """The discriminator's log odds; gradients go to what is shown, not to its weights."""
        (opponent,) = self._opponent
        held = {name: weight.detach() for name, weight in opponent.named_parameters()}
        return functional_call(opponent, held, shown)


class Judge(Task):
    """The discriminator's turn; it measures how many of the real and the made it tells right."""

    def __init__(self, discriminator: Discriminator, maker: Maker) -> None:
        super().__init__()
        self.discriminator = discriminator
        self._opponent = [maker]

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> tuple[torch.Tensor, Measures]:
        """The sum of both cross entropies; see ``Task``."""
        with torch.no_grad():
            shown = self._opponent[0].shown(images)
        real, made = (self.discriminator(*each) for each in shown)
        loss = as_real(real) + as_made(made)
        right = ((real > 0).float().mean() + (made < 0).float().mean()) / 2
        return loss, {"discriminator": loss, "told_apart": 100 * right}


class Game(Task):
    """Both of them, as ``fit`` trains them."""

    def __init__(self, discriminator: Discriminator, maker: Maker, lr: float) -> None:
        """``lr`` is the discriminator's learning rate."""
        super().__init__()
        self.judge, self.maker, self.lr = Judge(discriminator, maker), maker, lr

    @property
    def turns(self) -> tuple[nn.Module, ...]:
        """The discriminator's, then the maker's."""
        return self.judge, self.maker

    def groups(self) -> list[dict[str, Any]]:
        """The weights of both."""
        return [
            {"params": list(self.maker.parameters())},
            {"params": list(self.judge.parameters()), "lr": self.lr},
        ]
