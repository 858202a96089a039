import torch

from nat.voc.data.reader import Ground
from nat.voc.detection.boxes import encode, mirrored
from nat.voc.detection.targets import Example, make_example, move_statistics

OBJECTS = torch.tensor([[1.0, 1, 10, 10], [21, 1, 30, 10], [1, 21, 10, 30]])
PROPOSALS = torch.tensor(
    [[1.0, 1, 10, 5], [21, 1, 30, 10], [1, 21, 10, 30], [41, 41, 50, 50], [1, 1, 30, 10]]
)


def example(*difficult: bool) -> Example:
    labels = torch.tensor([2, 0, 1])
    return make_example(Ground(OBJECTS, labels, torch.tensor(difficult)), PROPOSALS)


def test_objects_join_the_regions() -> None:
    found = example(False, False, False)
    assert torch.equal(found.boxes, torch.cat([OBJECTS, PROPOSALS]))
    third = 10 / 30
    torch.testing.assert_close(
        found.overlap, torch.tensor([1, 1, 1, 0.5, 1, 1, 0, third]), atol=1e-6, rtol=0
    )
    assert found.nearest[:6].tolist() == [0, 1, 2, 0, 1, 2]


def test_difficult_objects_are_nobodys_goal() -> None:
    found = example(False, False, True)
    assert torch.equal(found.objects, OBJECTS[:2])
    assert found.labels.tolist() == [2, 0]
    assert len(found.boxes) == 2 + len(PROPOSALS)
    on_the_difficult_one = 2 + 2
    assert float(found.overlap[on_the_difficult_one]) == 0


def test_image_of_difficult_objects_only() -> None:
    found = example(True, True, True)
    assert torch.equal(found.boxes, PROPOSALS)
    assert float(found.overlap.max()) == 0


def test_statistics_are_those_of_the_set_and_its_mirror_image() -> None:
    draws = torch.Generator().manual_seed(0)
    labels = torch.tensor([0, 2])
    examples, moves = [], {0: [], 2: []}
    for _ in range(30):
        objects = torch.tensor([[5.0, 5, 24, 24], [40, 8, 79, 27]])
        near = objects.repeat(4, 1) + torch.randint(-2, 3, (8, 4), generator=draws)
        ground = Ground(objects, labels, torch.zeros(2, dtype=torch.bool))
        examples.append(make_example(ground, near))
        for box, goal, label in [
            *zip(objects, objects, [0, 2], strict=True),
            *zip(near, objects.repeat(4, 1), [0, 2] * 4, strict=True),
        ]:
            moves[label] += [encode(box, goal), encode(mirrored(box, 90), mirrored(goal, 90))]
    mean, std = move_statistics(examples, 3, 0.5)
    for label, own in moves.items():
        torch.testing.assert_close(mean[label], torch.stack(own).mean(0), atol=1e-5, rtol=0)
        torch.testing.assert_close(std[label], torch.stack(own).std(0, correction=0))
        assert abs(float(mean[label, 0])) < 1e-6
    assert mean[1].tolist() == [0] * 4
    assert std[1].tolist() == [1] * 4


def test_statistics_of_objects_alone_do_not_divide_by_zero() -> None:
    ground = Ground(OBJECTS, torch.tensor([0, 0, 0]), torch.zeros(3, dtype=torch.bool))
    mean, std = move_statistics([make_example(ground, torch.zeros(0, 4))], 1, 0.5)
    assert mean.tolist() == [[0] * 4]
    assert std.tolist() == [[1] * 4]
