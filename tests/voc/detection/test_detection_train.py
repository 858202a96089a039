from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tiny import settings as tiny

from nat.data.seeds import generator
from nat.network.model import Trunk, initialise
from nat.runtime.settings.params import Detect
from nat.voc.data.reader import Ground
from nat.voc.detection.boxes import decode
from nat.voc.detection.model import Detector, Regions
from nat.voc.detection.targets import make_example
from nat.voc.detection.train import (
    Batch,
    TrainingSet,
    draw_batch,
    make_detector,
    make_optimizer,
    multi_task_loss,
    set_learning_rate,
)

CPU = torch.device("cpu")


def settings(**changes: Any) -> Detect:
    return Detect.model_validate(tiny()["detect"] | changes)


@pytest.fixture
def training() -> TrainingSet:
    """Six noisy images with two objects each and regions near them."""
    draws = generator(0)
    images, examples = [], []
    for index in range(6):
        size = (60, 76) if index % 2 else (76, 60)
        images.append(torch.randint(0, 255, size, dtype=torch.uint8, generator=draws))
        objects = torch.tensor([[3.0, 5, 30, 30], [28, 25, 58, 55]])
        near = objects.repeat(20, 1) + torch.randint(-2, 3, (40, 4), generator=draws)
        far = torch.tensor([[1.0, 1, 20, 15], [30, 30, 45, 40]]).repeat(5, 1)
        ground = Ground(objects, torch.tensor([0, 1]), torch.zeros(2, dtype=torch.bool))
        examples.append(make_example(ground, torch.cat([near.clamp(min=1), far])))
    return TrainingSet(images, examples)


@pytest.fixture
def network(training: TrainingSet) -> Detector:
    trunk = Trunk("small")
    initialise(trunk, generator(0, "trunk"))
    return make_detector(trunk, training, 2, 3, settings(), 0, CPU)


def test_start(network: Detector) -> None:
    trained = {name for name, weight in network.named_parameters() if weight.requires_grad}
    layers = {name.rsplit(".", 1)[0] for name in trained}
    assert layers == {
        *(f"trunk.layers.conv{index}" for index in range(2, 6)),
        "hidden.fc6",
        "hidden.fc7",
        "scores",
        "moves",
    }
    assert float(network.scores.weight.detach().std()) == pytest.approx(0.01, rel=0.4)
    assert (network.std > 0).all()
    assert not torch.equal(network.mean, torch.zeros(2, 4))


def test_rescaling_keeps_the_trunks_direction(training: TrainingSet, network: Detector) -> None:
    trunk = Trunk("small")
    initialise(trunk, generator(0, "trunk"))
    images = [training.images[0][None, None].float()]
    with torch.no_grad():
        before = Detector(trunk.eval(), 3, 16, 2, 0.0).conv5(images).flatten()
        after = network.conv5(images).flatten()
    assert float(F.cosine_similarity(before, after, dim=0)) == pytest.approx(1, abs=1e-4)


def test_loss_by_hand(network: Detector) -> None:
    network.mean.fill_(0.1)
    network.std.fill_(0.5)
    logits = torch.tensor([[2.0, 0, 0], [0, 1, 0], [0, 0, 3]])
    moves = torch.zeros(3, 2, 4)
    moves[1, 0] = torch.tensor([0.0, 1, 0, 0])  # class 0 is right
    moves[1, 1] = 50.0  # the other class's move does not count
    moves[0] = 50.0  # neither does background's
    batch = Batch(
        Regions([], torch.zeros(3, 5)),
        torch.tensor([0, 1, 2]),
        torch.tensor([[0.0] * 4, [0.1, 0.1, 0.1, 0.35], [0.1, 0.1, 0.1, 2.1]]),
    )
    scores = -logits.log_softmax(1)[torch.arange(3), batch.labels].mean()
    # standardised goals: 0 0 0 0.5, and 0 0 0 4; smooth L1 is d^2 / 2 up to 1, then d - 1/2
    distance = (1 - 0.5 + 0.5**2 / 2 + 4 - 0.5) / 3
    assert float(multi_task_loss(network, logits, moves, batch)) == pytest.approx(
        float(scores) + distance
    )


def test_loss_without_foreground(network: Detector) -> None:
    batch = Batch(Regions([], torch.zeros(2, 5)), torch.zeros(2).long(), torch.zeros(2, 4))
    loss = multi_task_loss(network, torch.zeros(2, 3), torch.ones(2, 2, 4), batch)
    assert float(loss) == pytest.approx(float(torch.tensor(3.0).log()))


def test_learning_rates(network: Detector) -> None:
    chosen = settings(lr=0.1, lr_drop_at=[10, 20], weight_decay=0.3)
    optimizer = make_optimizer(network, chosen)
    weights, biases = optimizer.param_groups
    assert (weights["weight_decay"], biases["weight_decay"]) == (0.3, 0)
    assert all(p.dim() == 1 for p in biases["params"])
    assert all(p.dim() > 1 for p in weights["params"])
    for iteration, expected in ((0, 0.1), (9, 0.1), (10, 0.01), (19, 0.01), (20, 0.001)):
        set_learning_rate(optimizer, chosen, iteration)
        assert weights["lr"] == pytest.approx(expected)
        assert biases["lr"] == pytest.approx(2 * expected)


def test_batch_shows_the_pixels_of_its_regions(training: TrainingSet) -> None:
    """At twice the size; flipped images and their regions show the same, mirrored."""
    chosen = settings(images=2, regions=32, short_sides=[120], long_side=200)
    batch = draw_batch(training, [(1, False), (1, True)], chosen, generator(0), CPU)
    plain, flipped = batch.regions.images
    assert plain.shape == (1, 1, 120, 152)
    torch.testing.assert_close(flipped.flip(-1), plain)
    boxes = training.examples[1].boxes
    for slot, *box in batch.regions.boxes.tolist():
        xmin, ymin, xmax, ymax = (v / 2 + 1 for v in box)
        if slot:
            xmin, xmax = 77 - xmax, 77 - xmin
        assert (boxes == torch.tensor([xmin, ymin, xmax, ymax])).all(1).any()
    assert batch.regions.boxes[:, 0].tolist() == sorted(batch.regions.boxes[:, 0].tolist())


def test_moves_of_a_batch_reach_the_objects(training: TrainingSet) -> None:
    chosen = settings(images=2, regions=32, short_sides=[60], long_side=100)
    batch = draw_batch(training, [(1, False), (3, True)], chosen, generator(0), CPU)
    objects = training.examples[1].objects
    for (slot, *box), label, move in zip(
        batch.regions.boxes.tolist(), batch.labels.tolist(), batch.moves, strict=True
    ):
        if label:
            xmin, ymin, xmax, ymax = decode(torch.tensor(box) + 1, move).tolist()
            if slot:
                xmin, xmax = 77 - xmax, 77 - xmin
            torch.testing.assert_close(
                torch.tensor([xmin, ymin, xmax, ymax]), objects[label - 1], atol=1e-3, rtol=0
            )
        else:
            assert not move.any()


def test_several_scales_are_all_used(training: TrainingSet) -> None:
    chosen = settings(short_sides=[48, 60, 80], long_side=200)
    draws = generator(0)
    seen = {
        min(image.shape[2:])
        for _ in range(20)
        for image in draw_batch(training, [(0, False)], chosen, draws, CPU).regions.images
    }
    assert seen == {48, 60, 80}
