"""The three adversarial methods."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nat.methods import bigan, find_method, settings_of
from nat.methods.context_encoder_adversarial import Completing
from nat.methods.gan import Generating
from nat.network.model import Trunk
from nat.pretext.adversarial import Convolutions, Discriminator, Game
from nat.pretext.decoders import generator
from nat.pretext.distance import kernel_distance
from nat.pretext.inpainting import Inpainting
from nat.runtime.errors import UserError


def images() -> torch.Tensor:
    draws = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (6, 1, 28, 28), generator=draws, dtype=torch.uint8)


def entropy(odds: torch.Tensor, real: bool) -> float:
    """Cross entropy by hand."""
    return float(np.log1p(np.exp((-1 if real else 1) * odds.detach().double().numpy())).mean())


def own(codes: int = 0) -> Discriminator:
    convolutions = Convolutions(28, 1)
    return Discriminator(convolutions, nn.Linear(convolutions.features + codes, 1))


def test_the_generator_wants_its_images_taken_for_real() -> None:
    discriminator = own()
    task = Generating(discriminator, generator(5, 64, 28, 1), 5)
    torch.manual_seed(1)
    loss, measures = task(images(), torch.arange(6))
    torch.manual_seed(1)
    made = torch.tanh(task.generator(2 * torch.rand(6, 5) - 1))
    assert float(loss.detach()) == pytest.approx(entropy(discriminator(made), True), rel=1e-5)
    assert measures["distance"] == pytest.approx(float(kernel_distance(images(), made)), rel=1e-4)


def test_encoder_and_generator_want_pairs_taken_for_each_other() -> None:
    discriminator = own(5)
    task = bigan.Encoding(discriminator, Trunk("small"), 28, 5)
    torch.manual_seed(1)
    loss, measures = task(images(), torch.arange(6))
    torch.manual_seed(1)
    drawn = 2 * torch.rand(6, 5) - 1
    made, codes = torch.tanh(task.generator(drawn)), task.head(task.trunk(images()).flatten(1))
    expected = entropy(discriminator(images(), codes), False)
    expected += entropy(discriminator(made, drawn), True)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    assert measures["distance"] == pytest.approx(float(kernel_distance(images(), made)), rel=1e-4)
    x, y = (
        z.detach().double().numpy().reshape(6, -1)
        for z in (images(), torch.tanh(task.generator(codes)))
    )
    x, y = ((z - z.mean(1, keepdims=True)) / z.std(1, keepdims=True) for z in (x, y))
    assert float(measures["inversion"]) == pytest.approx(((x - y) ** 2).mean(), rel=1e-4)


def test_the_context_encoders_losses_are_weighted() -> None:
    discriminator = own()
    task = Completing(discriminator, Inpainting(Trunk("small"), 28), 0.25)
    torch.manual_seed(1)
    loss, _ = task(images(), torch.arange(6))
    torch.manual_seed(1)
    made, error = task.inpainting.complete(images())
    expected = 0.75 * float(error.detach()) + 0.25 * entropy(discriminator(made), True)
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-5)
    torch.manual_seed(1)
    (real,), (told,) = task.shown(images())
    assert torch.equal(real, images())
    assert torch.equal(told, made)


class Told(Exception):
    """What a training would be of."""


@pytest.mark.parametrize("method", ["bigan", "context_encoder_adversarial", "gan"])
def test_the_discriminator_has_its_own_learning_rate(
    method: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tell(session: Any, network: Any, game: Game, settings: Any, **_: Any) -> None:
        raise Told(*(group.get("lr", settings.lr) for group in game.groups()))

    monkeypatch.setattr(f"nat.methods.{method}.pretrain_on", tell)
    with pytest.raises(Told) as told:
        run(method, lr=0.25, lr_discriminator=0.5)
    assert told.value.args == (0.25, 0.5)  # the maker's, then its own


@pytest.mark.parametrize(
    ("method", "setting", "value"),
    [
        ("context_encoder_adversarial", "adversarial", 1.0),
        ("context_encoder_adversarial", "adversarial", 0.0),
        ("gan", "lr_discriminator", 0.0),
        ("gan", "code", 0),
        ("bigan", "hidden", 0),
    ],
)
def test_a_bad_setting_is_named(method: str, setting: str, value: Any, make_params: Any) -> None:
    params = make_params(baselines={method: {setting: value}})
    with pytest.raises(UserError, match=rf"^params\.yaml: baselines\.{method}\.{setting}: .*than"):
        settings_of(find_method(method), method, params)


@pytest.mark.parametrize("method", ["bigan", "context_encoder_adversarial", "gan"])
def test_an_interrupted_game_ends_in_the_same_bytes(
    method: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(method, epochs=2)
    file = whole.folder / "network.safetensors"
    expected = file.read_bytes()
    file.unlink()
    calls, step = iter(range(100)), torch.optim.Adam.step

    def interrupted(*args: Any) -> Any:
        if next(calls) == 15:  # between the turns of a batch of the second epoch
            raise KeyboardInterrupt
        return step(*args)

    monkeypatch.setattr(torch.optim.Adam, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(method, epochs=2)
    assert not file.exists()
    resumed = run(method, epochs=2)
    assert file.read_bytes() == expected
    assert next(calls) - 16 == 2 * 6  # the second epoch alone, from its start
    for row, other in zip(whole.result["history"], resumed.result["history"], strict=True):
        assert row == other
