from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nat.errors import UserError
from nat.targets import Targets, load_targets, onehot, sample, save_targets, sphere


def test_sphere_is_uniform() -> None:
    n, d = 200_000, 5
    points = sphere(n, d, seed=1).double()
    assert torch.allclose(points.norm(dim=1), torch.ones(n, dtype=torch.float64), atol=1e-6)
    # moments of the uniform distribution: mean 0, second moment 1/d, fourth 3 / (d (d + 2))
    tolerance = 5 / n**0.5
    assert points.mean(0).abs().max() < tolerance
    assert (points.T @ points / n - torch.eye(d) / d).abs().max() < tolerance
    assert (points.pow(4).mean(0) - 3 / (d * (d + 2))).abs().max() < tolerance


def test_seed_fixes_the_sphere() -> None:
    assert torch.equal(sphere(10, 3, 5), sphere(10, 3, 5))
    assert not torch.equal(sphere(10, 3, 5), sphere(10, 3, 6))


@given(n=st.integers(2, 300), share=st.floats(0, 1), seed=st.integers(0, 100))
def test_onehot_is_balanced(n: int, share: float, seed: int) -> None:
    k = max(2, int(share * n))
    counts = torch.bincount(onehot(n, k, seed), minlength=k)
    assert len(counts) == k
    assert counts.sum() == n
    assert counts.min() >= n // k
    assert counts.max() <= -(-n // k)


def test_onehot_needs_an_image_for_each_class() -> None:
    with pytest.raises(UserError, match=r"targets\.k: 11 is larger than the 10"):
        onehot(10, 11, 0)


def test_onehot_never_builds_the_matrix() -> None:
    targets = sample("onehot", n=2_000_000, dimension=2, k=1_000_000, seed=0)
    assert targets.array.shape == (2_000_000,)
    assert targets.vectors(torch.tensor([3])).shape == (1, 1_000_000)


@pytest.mark.parametrize("kind", ["sphere", "onehot"])
def test_vectors_have_unit_length_and_survive_the_file(kind: str, tmp_path: Path) -> None:
    targets = sample(kind, n=20, dimension=6, k=5, seed=2)
    save_targets(targets, tmp_path / "t.npy")
    again = load_targets(tmp_path / "t.npy")
    rows = torch.tensor([4, 0, 19])
    assert (len(again), again.dimension) == (20, 6 if kind == "sphere" else 5)
    assert torch.equal(again.vectors(rows), targets.vectors(rows))
    assert torch.allclose(again.vectors(rows).norm(dim=1), torch.ones(3))


def test_a_foreign_file_is_refused_and_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="no target array"):
        load_targets(tmp_path / "t.npy")


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(UserError, match="known: sphere, onehot"):
        sample("cube", 4, 2, 2, 0)


def test_len_is_the_number_of_rows() -> None:
    assert len(Targets(torch.zeros(7, 2), 2)) == 7
