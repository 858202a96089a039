"""Tracked patches: the triplet loss by hand, on composed and on real frames."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from recorded import moving_square, panned, write_frames
from torch import nn
from trained import Run

from nat.methods import TrunkSession
from nat.methods.tracking import Settings, Triplets, triplet_loss
from nat.network.model import Trunk
from nat.pretext.motion.composed import MovingObject, largest
from nat.pretext.motion.tracks import tracked
from nat.runtime.errors import UserError
from nat.runtime.naming import Name
from nat.runtime.settings.params import Params


def cosines(count: int, seed: int = 0) -> torch.Tensor:
    return 2 * torch.rand(count, count, generator=torch.Generator().manual_seed(seed)) - 1


def losses(matrix: np.ndarray, margin: float) -> list[list[float]]:
    """Each track's loss with each other one, by hand."""
    count = len(matrix)
    return [
        [max(0, (1 - matrix[i, i]) - (1 - matrix[i, j]) + margin) for j in range(count) if j != i]
        for i in range(count)
    ]


@given(count=st.integers(2, 9), negatives=st.integers(1, 12), seed=st.integers(0, 99))
def test_the_hardest_negatives_are_those_with_the_largest_loss(
    count: int, negatives: int, seed: int
) -> None:
    matrix = cosines(count, seed)
    loss, ordered = triplet_loss(matrix, 0.5, negatives, hard=True)
    by_hand = losses(matrix.double().numpy(), 0.5)
    wanted = np.mean([sorted(each)[::-1][:negatives] for each in by_hand])
    assert loss.item() == pytest.approx(wanted, abs=1e-5)
    own = matrix.diagonal()
    right = [own[i] > matrix[i, j] for i in range(count) for j in range(count) if i != j]
    assert ordered.item() == pytest.approx(100 * np.mean(right), abs=1e-3)


def test_random_negatives_are_any_but_the_track_itself() -> None:
    count = 6
    matrix = torch.eye(count) * 2  # with itself, a track's loss would be the margin
    torch.manual_seed(0)
    assert triplet_loss(matrix, 0.5, 4, hard=False)[0] == 0
    everything = torch.tensor(losses(cosines(count).numpy(), 0.5)).mean().item()
    assert triplet_loss(cosines(count), 0.5, 5, hard=False)[0] == pytest.approx(everything)
    drawn = [triplet_loss(cosines(count), 0.5, 1, hard=False)[0].item() for _ in range(400)]
    assert len(set(drawn)) > 50
    assert np.mean(drawn) == pytest.approx(everything, abs=0.03)


def settings(params: Params, **own: Any) -> Settings:
    return Settings.model_validate(params.baselines["tracking"] | own)


def test_every_layer_learns_and_negatives_become_hard(make_params: Any) -> None:
    own = settings(make_params(), random_epochs=2)
    motion = MovingObject(largest(own.shift, own.turn, own.zoom), own.travel)
    task = Triplets(Trunk("small"), 28, 16, own, motion)
    images = torch.randint(0, 256, (8, 1, 28, 28), dtype=torch.uint8)
    found = []
    for epoch in range(4):
        task.begin(epoch)
        torch.manual_seed(0)
        found.append(task(images, torch.arange(8))[0].item())
    assert found[0] == found[1] < found[2] == found[3]
    task(images, torch.arange(8))[0].backward()
    for name, weight in task.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any() or name.endswith("bias"), name  # which batch norm takes away


def test_closeness_is_the_cosine_of_a_first_and_a_last_patch(make_params: Any) -> None:
    task = Triplets(Trunk("small"), 28, 16, settings(make_params(), margin=0.5, negatives=5), None)
    pairs = torch.randint(0, 256, (6, 2, 1, 28, 28), dtype=torch.uint8)
    for layer in task.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            layer.momentum = 1.0
    task(pairs, torch.arange(6))  # by first statistics all patches are almost the same
    task.eval()
    first, last = (task.top(task.trunk(pairs[:, which])).detach().numpy() for which in (0, 1))
    lengths = [np.linalg.norm(each, axis=1) for each in (first, last)]
    matrix = first @ last.T / np.outer(*lengths)
    loss, _ = task(pairs, torch.arange(6))  # all other tracks, in whatever order
    assert loss.item() == pytest.approx(np.mean(losses(matrix, 0.5)), rel=1e-4)


def test_pairs_are_told_apart_from_each_other(make_params: Any) -> None:
    """The first patch is compared with last ones: of two that are the same, none is closer."""
    task = Triplets(Trunk("small"), 28, 16, settings(make_params()), None)
    task.eval()
    pair = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8)
    first, last = task.top(task.trunk(pair))
    cosine = torch.nn.functional.cosine_similarity(first, last, dim=0).item()
    own, same = pair[None], pair[[0, 0]][None]
    loss, measures = task(torch.cat([own, same]), torch.arange(2))
    wanted = [max(0, -cosine + 1 + 0.5), max(0, cosine - 1 + 0.5)]  # tracks to each other's last
    assert loss.item() == pytest.approx(np.mean(wanted), abs=1e-4)
    assert measures["ordered"] == 50


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """Twenty sequences of a moving square each."""
    for seed in range(20):
        images, _ = moving_square(10, 48, speed=2, seed=2 * seed)
        write_frames(tmp_path / f"videos/{seed:02d}", images)
    return tmp_path / "videos"


def test_real_tracks_are_learnt(run: Run, videos: Path) -> None:
    own = {"frames": str(videos), "span": 8, "patch": 0.5, "epochs": 6}
    trained = run("tracking", **own)
    ordered = trained.column("ordered")
    assert ordered[-1] > max(ordered[0], 60)
    where = trained.result["provenance"]
    assert where["frames"]["frames"] == 200
    assert where["frames"]["tracks"] >= 16
    assert where["parameters"]["baselines"]["tracking"]["frames"] == str(videos)
    before = (trained.folder / "network.safetensors").read_bytes()
    run("tracking", **own)
    assert (trained.folder / "network.safetensors").read_bytes() == before


def test_a_pair_is_the_same_thing_in_two_frames(
    make_params: Any, manifest: Path, tmp_path: Path
) -> None:
    """Which has moved by half a patch in between."""
    images, places = moving_square(9, 56, speed=2)
    write_frames(tmp_path / "videos/1", images)
    with TrunkSession(
        make_params(), Name("tracking"), {}, manifest, tmp_path / "network", tmp_path / "t.json"
    ) as session:
        (pair,) = tracked(session, str(tmp_path / "videos"), 8, 0.5).patches
    first, last = (patch[0].astype(float) for patch in pair)
    assert np.corrcoef(first.ravel(), last.ravel())[0, 1] > 0.5
    assert abs(places[8][0] - places[0][0]) > 10


def test_frames_in_which_nothing_moves_are_refused(run: Run, tmp_path: Path) -> None:
    write_frames(tmp_path / "still", panned(1).repeat(12, 0))
    said = r"^baselines\.tracking\.frames: 0 pairs of frames in it, fewer than a batch of 16"
    with pytest.raises(UserError, match=said):
        run("tracking", frames=str(tmp_path / "still"), span=4)


def test_composed_motion_is_said_to_be(run: Run) -> None:
    trained = run("tracking", epochs=1)
    own = trained.result["provenance"]["parameters"]["baselines"]["tracking"]
    assert own["frames"] is None


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"patch": 0.0}, "baselines.tracking.patch: .* greater than 0"),
        ({"margin": -0.5}, "baselines.tracking.margin: .* greater than 0"),
        ({"negatives": 0}, "baselines.tracking.negatives: .* greater than 0"),
        ({"zoom": 0.9}, "baselines.tracking.zoom: .* greater than or equal to 1"),
    ],
)
def test_faulty_settings_are_refused(own: dict[str, Any], said: str, run: Run) -> None:
    with pytest.raises(UserError, match=said):
        run("tracking", **own)
