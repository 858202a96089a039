"""Composed motion: what is said to have moved has, by as much as is said."""

import math

import numpy as np
import pytest
import scipy.ndimage
import torch

from nat.pretext.motion.composed import (
    CameraMotion,
    MovingObject,
    largest,
    look,
    transformations,
)

SIDE = 24


def scene(count: int = 3, channels: int = 1) -> torch.Tensor:
    """Smooth images, in which what lies between pixels is known well: float (b, c, h, w)."""
    rough = np.random.default_rng(0).uniform(0, 255, (count, channels, SIDE, SIDE))
    return torch.tensor(scipy.ndimage.gaussian_filter(rough, (0, 0, 2, 2)), dtype=torch.float32)


def by_hand(image: np.ndarray, across: float, down: float, turn: float, zoom: float) -> np.ndarray:
    """What a moved camera sees, by SciPy: the shift in pixels, the turn in degrees, a factor."""
    cosine, sine = math.cos(math.radians(turn)) / zoom, math.sin(math.radians(turn)) / zoom
    matrix = np.array([[cosine, sine], [-sine, cosine]])  # of (down, across)
    middle = (SIDE - 1) / 2
    offset = middle + np.array([down, across]) - matrix @ np.array([middle, middle])
    return scipy.ndimage.affine_transform(image, matrix, offset, order=1, mode="grid-mirror")


@pytest.mark.parametrize(
    "motion", [(3, 0, 0, 1), (0, -2, 0, 1), (0, 0, 90, 1), (0, 0, 0, 1.3), (1.5, -2.5, 20, 0.8)]
)
def test_a_moved_camera_sees_what_scipy_says(motion: tuple[float, ...]) -> None:
    images = scene()
    across, down, turn, zoom = motion
    moved = [2 * across / SIDE, 2 * down / SIDE, math.radians(turn), math.log(zoom)]
    seen = look(images, transformations(torch.tensor([moved] * 3)))
    for image, made in zip(images.numpy(), seen.numpy(), strict=True):
        assert np.allclose(made[0], by_hand(image[0], *motion), atol=0.05)


def test_a_camera_that_does_not_move_sees_the_image() -> None:
    camera = CameraMotion(largest(0.1, 30, 1.2), 7, 1.0)
    images = scene(channels=3)
    pairs = camera.frames(images, torch.zeros(3, 4))
    assert torch.allclose(pairs, images[:, None].expand_as(pairs), atol=1e-3)


def test_the_second_frame_is_the_first_one_moved() -> None:
    """In the first frame's coordinates: read off images that show where each of their pixels is."""
    side = (torch.arange(SIDE) + 0.5) * 2 / SIDE - 1
    where = torch.stack(torch.meshgrid(side, side, indexing="xy"))[None]
    motion = [0.2, -0.3, 0.4, 0.2]  # half and less of a side is in the field, so nothing is beyond
    pairs = CameraMotion(torch.ones(4), 7, 0.4).frames(where, torch.tensor([motion]))[0]
    points = np.concatenate([where[0].flatten(1), np.ones((1, SIDE * SIDE))]).T
    maps = []
    for frame in pairs:
        solved = np.linalg.lstsq(points, frame.flatten(1).T.double().numpy(), rcond=None)[0]
        maps.append(np.vstack([solved.T, [0, 0, 1]]))
    field = np.diag([0.4, 0.4, 1])
    first, second = (each @ np.linalg.inv(field) for each in maps)
    scale, turn = math.exp(-0.2), 0.4
    moved = [
        [scale * math.cos(turn), -scale * math.sin(turn), 0.2],
        [scale * math.sin(turn), scale * math.cos(turn), -0.3],
        [0, 0, 1],
    ]
    assert np.allclose(np.linalg.inv(first) @ second, moved, atol=1e-4)
    assert np.linalg.det(first) == pytest.approx(1 / np.linalg.det(second), abs=1e-4)  # zooms
    assert first[:2, 2] == pytest.approx([-0.1, 0.15], abs=1e-4)


def test_classes_are_bins_of_one_width() -> None:
    torch.manual_seed(0)
    most = largest(0.125, 30, 1.25)
    assert most.tolist() == pytest.approx([0.25, 0.25, math.pi / 6, math.log(1.25)])
    camera = CameraMotion(most, 5, 1.0)
    seen: list[torch.Tensor] = []
    camera.frames = lambda images, motions: seen.append(motions) or images  # type: ignore
    _, classes = camera(torch.zeros(4000, 1, 1, 1, dtype=torch.uint8), torch.arange(4000))
    (motions,) = seen
    for axis, end in enumerate(most.tolist()):
        edges = np.linspace(-end, end, 6)[1:-1]
        assert (np.digitize(motions[:, axis], edges) == classes[:, axis].numpy()).mean() > 0.999
        counts = np.bincount(classes[:, axis], minlength=5)
        assert len(counts) == 5
        assert abs(counts / 4000 - 0.2).max() < 0.03  # 4 standard deviations
    assert abs(np.corrcoef(classes.T.numpy())[~np.eye(4, dtype=bool)]).max() < 0.06


def test_a_smaller_field_shows_nothing_beyond_the_image() -> None:
    ramp = torch.arange(SIDE).float().expand(1, 1, SIDE, SIDE)
    camera = CameraMotion(largest(0.1, 0, 1.001), 7, 0.7)
    pairs = camera.frames(ramp, torch.tensor([[0.2, 0.0, 0.0, 0.0]]))
    steps = pairs.diff(dim=-1)  # of a mirrored edge some go down
    assert torch.allclose(steps, torch.full_like(steps, 0.7), atol=1e-4)
    away = (pairs.mean((0, 2, 3, 4)) - ramp.mean()).tolist()  # as far as each other
    assert away == pytest.approx([-0.05 * SIDE, 0.05 * SIDE], abs=1e-3)


def test_an_object_hides_the_image_before_it_and_nothing_else() -> None:
    images = torch.zeros(4, 1, SIDE, SIDE, dtype=torch.uint8)
    for index in range(4):
        images[index] = 50 * index + 50
    torch.manual_seed(0)
    pairs = MovingObject(largest(0.1, 20, 1.2), 0.5)(images)
    assert pairs.shape == (4, 2, 1, SIDE, SIDE)
    for index, before in enumerate((3, 0, 1, 2)):
        own, other = 50 * index + 50, 50 * before + 50
        found = pairs[index]
        assert torch.isclose(found[..., SIDE // 2, SIDE // 2], torch.tensor(float(own))).all()
        corners = found[..., [0, 0, -1, -1], [0, -1, 0, -1]]
        assert torch.isclose(corners, torch.tensor(float(other))).all()
        assert found.min() >= min(own, other) - 0.01
        assert found.max() <= max(own, other) + 0.01
    assert not pairs[:, 0].equal(pairs[:, 1])


def test_an_object_stays_in_its_patch_while_the_background_moves() -> None:
    images = scene(8).to(torch.uint8)
    torch.manual_seed(1)
    pairs = MovingObject(torch.zeros(4), 0.5)(images)
    inner = slice(SIDE // 2 - 4, SIDE // 2 + 4)
    same = images[:, None].expand_as(pairs).float()
    assert torch.allclose(pairs[..., inner, inner], same[..., inner, inner], atol=1e-3)
    assert (pairs[:, 0] - pairs[:, 1])[..., 0, 0].abs().min() > 0


def test_the_same_seed_gives_the_same_frames() -> None:
    images = torch.randint(0, 256, (4, 1, SIDE, SIDE), dtype=torch.uint8)
    camera, mover = (
        CameraMotion(largest(0.1, 30, 1.2), 7, 1.0),
        MovingObject(torch.ones(4) / 9, 0.5),
    )
    made = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        made.append((camera(images, torch.arange(4))[0], mover(images)))
    for one, same, other in zip(*made, strict=True):
        assert one.equal(same)
        assert not one.equal(other)
