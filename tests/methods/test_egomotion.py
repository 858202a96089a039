"""Ego-motion: the loss by hand, on composed and on real frames."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recorded import panned, pose, write_frames, write_poses
from scipy.special import log_softmax
from trained import Run

from nat.methods.egomotion import Egomotion
from nat.network.model import Trunk
from nat.pretext.motion.composed import CameraMotion, largest
from nat.runtime.errors import UserError
from nat.runtime.settings.params import ModelSettings

MODEL = ModelSettings(preprocessing="sobel", trunk="small", hidden=16, dropout=0.0)


def task(bins: int = 5) -> Egomotion:
    motion = CameraMotion(largest(0.125, 30, 1.25), bins, 1.0)
    return Egomotion(Trunk("small"), 28, MODEL, motion)


def images(count: int = 6) -> torch.Tensor:
    draws = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 1, 28, 28), dtype=torch.uint8, generator=draws)


def test_the_loss_is_the_mean_cross_entropy_of_all_axes() -> None:
    model = task()
    model.eval()  # or batch norm's statistics would be of both frames together
    torch.manual_seed(3)
    loss, measures = model(images(), torch.arange(6))
    torch.manual_seed(3)  # the same motions
    pairs, classes = model.motion(images(), torch.arange(6))
    both = torch.cat([model.trunk(pairs[:, 0]), model.trunk(pairs[:, 1])], 1)
    told = model.top(both).detach().numpy().astype(float).reshape(6, 4, 5)
    logs = log_softmax(told, axis=2)
    wanted = [-logs[row, axis, classes[row, axis]] for row in range(6) for axis in range(4)]
    assert loss.item() == pytest.approx(np.mean(wanted), rel=1e-5)
    right = 100 * (told.argmax(2) == classes.numpy()).mean(0)
    assert measures["accuracy"].item() == pytest.approx(right.mean(), abs=1e-4)
    names = ["accuracy_across", "accuracy_down", "accuracy_turn", "accuracy_zoom"]
    assert [measures[name].item() for name in names] == pytest.approx(right.tolist(), abs=1e-4)


def test_every_layer_learns() -> None:
    model = task()
    model(images(), torch.arange(6))[0].backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.any() or name.endswith("bias"), name  # which batch norm takes away


def test_composed_motion_is_said_to_be(run: Run) -> None:
    trained = run("egomotion", epochs=1)
    own = trained.result["provenance"]["parameters"]["baselines"]["egomotion"]
    assert own["frames"] is None
    assert "frames" not in trained.result["provenance"]


@pytest.fixture
def drive(tmp_path: Path) -> dict[str, str]:
    """Two sequences of frames, and their odometry, as settings."""
    for number in range(2):
        steps = np.random.default_rng(number).integers(0, 4, 30)  # pixels a frame
        walls = panned(120, seed=number)
        write_frames(tmp_path / f"sequences/{number:02d}/image_0", walls[steps.cumsum()])
        places = [pose(0, float(x), 0.0) for x in steps.cumsum()]
        write_poses(tmp_path / f"poses/{number:02d}.txt", places)
    return {"frames": str(tmp_path / "sequences"), "odometry": str(tmp_path / "poses")}


def test_real_motion_is_learnt(run: Run, drive: dict[str, str]) -> None:
    trained = run("egomotion", **drive, epochs=8, bins=2, apart=2)
    assert trained.column("accuracy_sideways")[-1] > trained.column("accuracy_sideways")[0]
    assert trained.column("accuracy_sideways")[-1] > 60
    assert "accuracy_forward" not in trained.result["measured"]  # it never goes ahead
    where = trained.result["provenance"]
    assert where["frames"]["frames"] == 60
    assert len(where["odometry"]["sha256"]) == 64
    before = (trained.folder / "network.safetensors").read_bytes()
    run("egomotion", **drive, epochs=8, bins=2, apart=2)
    assert (trained.folder / "network.safetensors").read_bytes() == before


@pytest.mark.parametrize("changed", ["sequences/00/image_0/000000.png", "poses/01.txt"])
def test_what_was_read_is_part_of_the_key(
    changed: str, run: Run, drive: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted training does not go on with other frames or odometry."""
    import nat.network.session as sessions

    keys: list[Path] = []
    resumable = sessions.ResumableRun

    def noted(folder: Path, *arguments: Any) -> Any:
        keys.append(folder)
        return resumable(folder, *arguments)

    monkeypatch.setattr(sessions, "ResumableRun", noted)
    run("egomotion", **drive, epochs=1)
    run("egomotion", **drive, epochs=1)
    file = tmp_path / changed
    if file.suffix == ".txt":
        file.write_text(file.read_text().rstrip())  # the same poses
    else:
        file.write_bytes(file.with_name("000001.png").read_bytes())
    run("egomotion", **drive, epochs=1)
    assert keys[0] == keys[1] != keys[2]


def test_odometry_of_another_length_is_refused(
    run: Run, drive: dict[str, str], tmp_path: Path
) -> None:
    write_poses(tmp_path / "poses/01.txt", [pose(0, n, 0) for n in range(29)])
    said = r"^baselines\.egomotion\.odometry: .*01\.txt: 29 lines for the 30 frames of .*01/image_0"
    with pytest.raises(UserError, match=said):
        run("egomotion", **drive)


def test_fewer_pairs_than_a_batch_are_refused(run: Run, tmp_path: Path) -> None:
    write_frames(tmp_path / "few", panned(3))
    write_poses(tmp_path / "few.txt", [pose(0, n, 0) for n in range(3)])
    own = {"frames": str(tmp_path / "few"), "odometry": str(tmp_path / "few.txt")}
    with pytest.raises(UserError, match=r"egomotion\.frames: 6 pairs of frames in it, fewer than"):
        run("egomotion", **own)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"frames": "somewhere"}, "baselines.egomotion: frames and odometry belong together"),
        ({"odometry": "poses"}, "baselines.egomotion: frames and odometry belong together"),
        ({"bins": 1}, "baselines.egomotion.bins: .* greater than or equal to 2"),
        ({"zoom": 1.0}, "baselines.egomotion.zoom: .* greater than 1"),
        ({"field": 0.0}, "baselines.egomotion.field: .* greater than 0"),
    ],
)
def test_faulty_settings_are_refused(own: dict[str, Any], said: str, run: Run) -> None:
    with pytest.raises(UserError, match=said):
        run("egomotion", **own)
