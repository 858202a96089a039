"""The game of two, and that both methods' turns are what they should be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nat.data.seeds import seed_layers
from nat.methods import TrunkSession, bigan, gan
from nat.network.model import Trunk
from nat.pretext.adversarial import (
    Convolutions,
    Discriminator,
    Game,
    Maker,
    Shown,
    as_real,
    initialise_small,
)
from nat.pretext.training import pretrain_on
from nat.runtime.naming import Name

LR, LR_DISCRIMINATOR, BETA = 0.003, 0.01, 0.5


def images(b: int = 6, c: int = 1) -> torch.Tensor:
    draws = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (b, c, 28, 28), generator=draws, dtype=torch.uint8)


class Scaling(Maker):
    """Makes images of images, without chance."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__(discriminator)
        self.weight = nn.Parameter(torch.linspace(0.5, 1, 28))

    def shown(self, images: torch.Tensor) -> tuple[Shown, Shown]:
        return (images,), (images.float() * self.weight,)

    def forward(self, images: torch.Tensor, rows: torch.Tensor) -> Any:
        loss = as_real(self.judged(*self.shown(images)[1]))
        return loss, {"generator": loss}


class Pixels(nn.Module):
    """No batch norm, which makes noise of the gradients of biases, and Adam steps of the noise."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.float() / 128 - 1


def a_game() -> Game:
    torch.manual_seed(0)
    head = nn.Sequential(nn.Linear(784, 8), nn.Tanh(), nn.Linear(8, 1))
    discriminator = Discriminator(Pixels(), head)
    return Game(discriminator, Scaling(discriminator), LR_DISCRIMINATOR)


def test_turns_are_those_of_two_optimizers(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    """Against a loop written out, with losses as formulas and weights held by detaching."""
    own = {"lr": LR, "lr_discriminator": LR_DISCRIMINATOR, "beta1": BETA, "epochs": 2}
    params = make_params(baselines={"gan": own | {"weight_decay": 0.01}})
    settings = gan.Settings(**params.baselines["gan"])

    def session(name: str) -> TrunkSession:
        out = tmp_path / name
        return TrunkSession(params, Name("gan"), {}, manifest, out, out.with_suffix(".json"))

    with session("fitted") as trained:
        game = a_game()
        pretrain_on(trained, trained.network(2), game, settings)
    with session("by_hand") as by_hand:
        other = a_game()
        loader = by_hand.loader(by_hand.images, settings.batch_size, "x")
        judge, weight = other.judge.discriminator, other.maker.weight
        adams = [
            torch.optim.Adam(each, lr, (BETA, 0.999), weight_decay=0.01)
            for each, lr in (([weight], LR), (judge.parameters(), LR_DISCRIMINATOR))
        ]
        for epoch in range(2):
            seed_layers(0, "layers", epoch, 0)
            for _, x in loader.epoch(epoch):
                for adam, made in zip(adams[::-1], ("detached", ""), strict=True):
                    fake = x.float() * (weight.detach() if made else weight)
                    if made:
                        real = judge(x)
                        loss = -(torch.sigmoid(real).log() + torch.sigmoid(-judge(fake)).log())
                    else:
                        loss = -torch.sigmoid(judge(fake)).log()
                    for each in adams:
                        each.zero_grad()
                    loss.mean().backward()
                    adam.step()
    assert not torch.equal(weight, torch.linspace(0.5, 1, 28))
    assert torch.allclose(game.maker.weight, weight, atol=1e-5)
    for found, expected in zip(
        game.judge.discriminator.parameters(), judge.parameters(), strict=True
    ):
        assert torch.allclose(found, expected, atol=1e-5)


def makers() -> list[tuple[Discriminator, Maker]]:
    trunk = Trunk("small")
    own = Discriminator(trunk, nn.Linear(256, 1))
    convolutions = Convolutions(28, 1)
    pairs = Discriminator(convolutions, nn.Linear(convolutions.features + 5, 1))
    plain = gan.Generating(own, gan.generator(5, 64, 28, 1), 5)
    return [(own, plain), (pairs, bigan.Encoding(pairs, Trunk("small"), 28, 5))]


@pytest.mark.parametrize("index", [0, 1])
def test_a_turn_gives_gradients_to_its_own_weights_alone_and_to_all_of_them(index: int) -> None:
    discriminator, maker = makers()[index]
    game = Game(discriminator, maker, 0.1)
    sides = [set(discriminator.parameters()), set(maker.parameters())]
    assert set(game.parameters()) == sides[0] | sides[1]
    assert not sides[0] & sides[1]
    for turn, mine, others in zip(game.turns, sides, sides[::-1], strict=True):
        game.zero_grad()
        turn(images(), torch.arange(6))[0].backward()
        assert all(weight.grad is not None for weight in mine)
        assert all(weight.grad is None for weight in others)
        assert set(turn.parameters()) == mine  # what several processes average


def test_what_is_judged_is_what_the_discriminator_says_and_passes_gradients_on() -> None:
    discriminator, maker = makers()[0]
    discriminator.eval()
    made = torch.rand(6, 1, 28, 28, requires_grad=True)
    found = maker.judged(made)
    expected = discriminator(made)
    assert found.equal(expected)
    (wanted,) = torch.autograd.grad(expected.sum(), made)
    assert torch.autograd.grad(found.sum(), made)[0].equal(wanted)
    assert wanted.any()


def test_the_trunk_sees_generated_images_as_it_sees_real_ones() -> None:
    trunk, x = Trunk("small", channels=3).eval(), images(c=3)
    scaled = (x.float() / 127.5 - 1).requires_grad_()  # as a generator's are
    features = trunk(scaled)
    assert torch.allclose(features, trunk(x), atol=1e-4)
    (slope,) = torch.autograd.grad(features.square().sum(), scaled)
    # nothing is gained by more brightness or contrast, but by other changes
    size = (slope * scaled).abs().sum()
    assert slope.sum().abs() < 1e-4 * slope.abs().sum()
    assert (slope * scaled).sum().abs() < 1e-4 * size
    assert size > 1


class Bright(Discriminator):
    """Takes bright images for real."""

    def forward(self, images: torch.Tensor, *codes: torch.Tensor) -> torch.Tensor:
        return images.float().mean((1, 2, 3)) / 64 - 2 + 0 * self.head.weight.sum()


def test_losses_and_the_share_told_apart_are_those_by_hand() -> None:
    level = torch.tensor([0.0, 64, 192, 255], dtype=torch.uint8)
    judge = Bright(nn.Identity(), nn.Linear(1, 1))
    maker = Scaling(judge)
    nn.init.constant_(maker.weight, 0.6)
    shown = level[:, None, None, None].expand(4, 1, 28, 28)
    loss, measures = Game(judge, maker, 0.1).judge(shown, torch.arange(4))
    real, made = level.double().numpy() / 64 - 2, level.double().numpy() * 0.6 / 64 - 2
    expected = np.log1p(np.exp(-real)).mean() + np.log1p(np.exp(made)).mean()
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert (
        float(measures["told_apart"]) == 62.5
    )  # two bright real ones and three dark made ones of 8
    fooled = maker(shown, torch.arange(4))[0]
    assert float(fooled.detach()) == pytest.approx(np.log1p(np.exp(-made)).mean(), rel=1e-5)


def test_first_weights_are_dcgans() -> None:
    module = nn.Sequential(nn.Conv2d(20, 50, 4), nn.BatchNorm2d(50), nn.ConvTranspose2d(50, 20, 4))
    module.append(nn.Linear(200, 100))
    initialise_small(module, torch.Generator().manual_seed(0))
    for index in (0, 2, 3):
        weight = module[index].weight
        assert weight.std().item() == pytest.approx(0.02, rel=0.03)
        assert weight.mean().abs() < 0.001
        assert not module[index].bias.any()
    assert module[1].weight.eq(1).all()
    assert not module[1].bias.any()


def test_convolutions_see_standardised_images() -> None:
    module, x = Convolutions(28, 1), images()
    expected = module(x)
    assert torch.allclose(module(x / 127.5 - 1), expected, atol=1e-4)
    assert not torch.allclose(module(x.square()), expected, atol=1e-2)


@pytest.mark.parametrize("size", [8, 27, 28, 224])
def test_convolutions_have_the_features_that_they_tell(size: int) -> None:
    module = Convolutions(size, 3)
    assert module(torch.rand(2, 3, size, size)).flatten(1).shape == (2, module.features)
