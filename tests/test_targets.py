import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from allocations import Allocations
from hypothesis import given, settings
from hypothesis import strategies as st

from nat import targets as package
from nat.illustrate.features import load_assignment
from nat.runtime.errors import UserError
from nat.runtime.settings.families import members
from nat.runtime.settings.params import TargetGroups
from nat.targets import Targets, load_targets, sample_targets, save_targets

KINDS = members("targets")


def settings_of(
    dimension: int = 6,
    k: int = 5,
    spread: float = 0.5,
    precision: Literal["float32", "float16"] = "float32",
) -> TargetGroups:
    return TargetGroups(dimension=dimension, k=k, precision=precision, mixture={"spread": spread})


def test_every_file_of_the_folder_is_a_target_type() -> None:
    assert KINDS == ["lowdiscrepancy", "mixture", "onehot", "sphere"]


@pytest.mark.parametrize("kind", ["sphere", "lowdiscrepancy"])
def test_points_are_uniform_on_the_sphere(kind: str) -> None:
    n, d = 200_000, 5
    points = sample_targets(kind, n, settings_of(d), seed=1).array.double()
    assert torch.allclose(points.norm(dim=1), torch.ones(n, dtype=torch.float64), atol=1e-6)
    # moments of the uniform distribution: mean 0, second moment 1/d, fourth 3 / (d (d + 2))
    tolerance = 5 / n**0.5
    assert points.mean(0).abs().max() < tolerance
    assert (points.T @ points / n - torch.eye(d) / d).abs().max() < tolerance
    assert (points.pow(4).mean(0) - 3 / (d * (d + 2))).abs().max() < tolerance


def test_a_low_discrepancy_set_is_more_even_than_noise() -> None:
    """The mean of a low-discrepancy set is closer to the sphere's, which is zero."""
    errors = {
        kind: [
            sample_targets(kind, 1024, settings_of(4), seed).array.mean(0).norm().item()
            for seed in range(5)
        ]
        for kind in ("sphere", "lowdiscrepancy")
    }
    assert max(errors["lowdiscrepancy"]) < min(errors["sphere"])


def test_a_low_discrepancy_set_goes_on_beyond_one_piece() -> None:
    points = sample_targets("lowdiscrepancy", 2**14 + 3, settings_of(2), seed=0).array
    assert len(points.unique(dim=0)) == 2**14 + 3


def test_a_mixture_lies_around_its_centres() -> None:
    n, k, spread = 3000, 3, 0.2
    points = sample_targets("mixture", n, settings_of(64, k, spread), seed=0).array
    centres = sample_targets("mixture", n, settings_of(64, k, 0.0), seed=0).array
    assert len(centres.unique(dim=0)) == k
    assert (centres[:k].repeat(n // k, 1) == centres).all()  # n/k targets each
    # |m + s u|^2 = 1 + s^2 + 2 s m.u, and m.u is small in 64 dimensions
    cosines = (points * centres).sum(1)
    assert cosines.mean().item() == pytest.approx((1 + spread**2) ** -0.5, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_fixes_the_targets(kind: str) -> None:
    def rows(seed: int) -> torch.Tensor:
        return sample_targets(kind, 40, settings_of(), seed).array

    assert torch.equal(rows(5), rows(5))
    assert not torch.equal(rows(5), rows(6))


@settings(deadline=None)
@given(n=st.integers(2, 300), share=st.floats(0, 1), seed=st.integers(0, 100))
def test_onehot_is_balanced(n: int, share: float, seed: int) -> None:
    k = max(2, int(share * n))
    classes = sample_targets("onehot", n, settings_of(k=k), seed).array
    counts = torch.bincount(classes, minlength=k)
    assert len(counts) == k
    assert counts.sum() == n
    assert counts.min() >= n // k
    assert counts.max() <= -(-n // k)


@pytest.mark.parametrize("kind", ["onehot", "mixture"])
def test_every_class_needs_an_image(kind: str) -> None:
    with pytest.raises(UserError, match=r"targets\.k: 11 is larger than the 10"):
        sample_targets(kind, 10, settings_of(k=11), 0)


@pytest.mark.parametrize("kind", ["sphere", "mixture"])
def test_no_second_array_is_as_large_as_the_targets(kind: str) -> None:
    """For ImageNet one is 10 GB."""
    module, own = package.settings_for(kind, settings_of(64))
    with Allocations() as allocations:
        module.sample(2000, own, torch.Generator().manual_seed(0))
    assert sum(size >= 2000 * 64 for size in allocations.sizes) == 1


def test_onehot_never_builds_the_matrix() -> None:
    targets = sample_targets("onehot", 2_000_000, settings_of(2, 1_000_000), seed=0)
    assert targets.array.shape == (2_000_000,)
    assert targets.vectors(torch.tensor([3])).shape == (1, 1_000_000)


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_have_unit_length_and_survive_the_file(kind: str, tmp_path: Path) -> None:
    targets = sample_targets(kind, 20, settings_of(), seed=2)
    save_targets(targets, tmp_path / "t.npy")
    again = load_targets(tmp_path / "t.npy")
    rows = torch.tensor([4, 0, 19])
    assert (len(again), again.dimension) == (20, 5 if kind == "onehot" else 6)
    assert torch.equal(again.vectors(rows), targets.vectors(rows))
    assert torch.allclose(again.vectors(rows).norm(dim=1), torch.ones(3))


@pytest.mark.parametrize("kind", KINDS)
def test_half_precision_halves_the_file_and_moves_a_target_by_its_rounding(
    kind: str, tmp_path: Path
) -> None:
    whole = sample_targets(kind, 300, settings_of(256), seed=2)
    half = sample_targets(kind, 300, settings_of(256, precision="float16"), seed=2)
    for targets, name in ((whole, "whole.npy"), (half, "half.npy")):
        save_targets(targets, tmp_path / name)
    rows = torch.arange(300)
    found = load_targets(tmp_path / "half.npy").vectors(rows)
    assert found.dtype == torch.float32
    wrong = (found - whole.vectors(rows)).norm(dim=1)
    assert wrong.max() <= 2**-11  # each number by 2^-11 of itself at most
    sizes = [(tmp_path / name).stat().st_size for name in ("half.npy", "whole.npy")]
    if kind == "onehot":
        assert sizes[0] == sizes[1]  # a number a row already
    else:
        assert wrong.min() > 0
        assert sizes[0] - 128 == (sizes[1] - 128) / 2  # the header has 128 bytes


def test_without_a_gpu_targets_stay_where_they_are() -> None:
    targets = sample_targets("sphere", 10, settings_of(), seed=0)
    assert targets.cached_on(torch.device("cpu")) is targets


@pytest.mark.parametrize("kind", KINDS)
def test_targets_that_fit_are_the_same_in_the_device_s_memory(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = sample_targets(kind, 10, settings_of(precision="float16"), seed=0)
    asked = []
    monkeypatch.setattr(package, "fits", lambda *words: not asked.append(words))
    near = targets.cached_on(torch.device("meta"))
    assert asked == [(targets.array.nbytes, torch.device("meta"))]
    assert (near.array.device.type, near.array.dtype) == ("meta", targets.array.dtype)
    assert (len(near), near.dimension) == (10, targets.dimension)
    assert near.vectors(torch.arange(3)).shape == (3, targets.dimension)
    assert targets.array.device.type == "cpu"
    same = targets.cached_on(torch.device("cpu"))
    rows = torch.tensor([9, 0, 4])
    assert same is not targets
    assert torch.equal(same.vectors(rows), targets.vectors(rows))


def test_a_foreign_file_is_refused_and_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="no target array"):
        load_targets(tmp_path / "t.npy")


UNIT = np.eye(6, 4, dtype=np.float32)
UNIT[4:] = UNIT[:2]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (UNIT.astype(np.float64), "float64 (6, 4) instead of float32 (n, d)"),
        (UNIT * 2, "its rows are not of unit length"),
        (np.where(UNIT == 1, np.nan, UNIT), "its rows are not of unit length"),
        (UNIT[:0], "it is empty"),
        (np.array([0, 1, 2, 3, 3]), "its rows leave the 3 classes"),
        (np.array([0, -1, 2, 1, 3]), "its rows leave the 3 classes"),
        (np.array([0, 1, 0, 1, 10**15]), f"it is of {10**15} classes, for 4 rows"),
        (np.array([0, 0, 0, 1]), "it is of 1 classes"),
        (np.array([2]), "it is of 2 classes, for 0 rows"),
        (np.zeros((2, 2), np.int64), "int64 (2, 2) instead of"),
        (np.zeros(3, np.int32), "int32 (3) instead of"),
    ],
)
def test_what_are_no_targets_is_refused(array: np.ndarray, said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", array)
    with pytest.raises(UserError, match=r"t\.npy: no target array") as caught:
        load_targets(tmp_path / "t.npy")
    assert said in str(caught.value)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.npy").touch()
    with pytest.raises(UserError, match=r"t\.npy: no target array \(it is empty\)"):
        load_targets(tmp_path / "t.npy")


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.arange(5), r"5 images, but 6 images and 6 targets"),
        (np.array([0, 1, 2, 3, 4, 4]), "it is no permutation"),
        (np.array([0, 1, 2, 3, 4, 6]), "it is no permutation"),
        (np.array([0, 1, 2, 3, 4, -1]), "it is no permutation"),
        (np.arange(6.0), r"float64 \(6\) instead of int64"),
        (np.array([{}] * 6), "it holds objects"),
    ],
)
def test_what_is_no_assignment_is_refused(array: np.ndarray, said: str, tmp_path: Path) -> None:
    path, targets = tmp_path / "a.npy", Targets(torch.from_numpy(UNIT))
    np.save(path, np.arange(6)[::-1])
    assert load_assignment(path, 6, targets).tolist() == [5, 4, 3, 2, 1, 0]
    np.save(path, array)
    with pytest.raises(UserError, match=rf"a\.npy: .*{said}"):
        load_assignment(path, 6, targets)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("torch.ones(n, settings.dimension)", "rows of unit length"),
        ("torch.ones(n - 1, 1)", "gave 9 rows, not n = 10"),
    ],
)
def test_a_faulty_type_of_ones_own_is_refused(
    body: str, complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom nat.targets import Targets\n"
        f"def sample(n, settings, draws):\n    return Targets({body})\n"
    )
    monkeypatch.setattr(package, "__path__", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "nat.targets.mine", raising=False)
    with pytest.raises(UserError, match=rf"mine\.py: sample .*{complaint}"):
        sample_targets("mine", 10, settings_of(), 0)


def test_len_is_the_number_of_rows() -> None:
    assert len(Targets(torch.zeros(7, 2))) == 7
