import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from nat.pretext import codebooks
from nat.pretext.codebooks import drawn, kmeans, nearest, neural_gas, spherical


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def points() -> torch.Tensor:
    draws = seeded(1)
    middles = 3 * torch.randn(6, 5, generator=draws)
    return middles[torch.arange(120) % 6] + torch.randn(120, 5, generator=draws)


def test_nearest_is_the_closest_whatever_the_parts(
    points: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    centres = drawn(points, 7, seeded()) + 0.1
    distances = torch.cdist(points.double(), centres.double())
    for entries in (2**24, 7 * 13):
        monkeypatch.setattr(codebooks, "ENTRIES", entries)
        labels, squares = nearest(points, centres)
        assert labels.equal(distances.argmin(1))
        assert torch.allclose(squares.double(), distances.min(1).values.square(), atol=1e-4)


def test_kmeans_is_lloyds(points: torch.Tensor) -> None:
    first = drawn(points, 4, seeded()).numpy()
    expected = KMeans(4, init=first, n_init=1, tol=0, algorithm="lloyd").fit(points.numpy())
    centres, labels = kmeans(points, 4, 50, seeded())
    np.testing.assert_allclose(centres.numpy(), expected.cluster_centers_, atol=1e-4)
    assert labels.tolist() == expected.labels_.tolist()


def test_labels_are_those_of_the_centres_they_come_with(points: torch.Tensor) -> None:
    """However few the rounds, when points still change their centres."""
    moving, labels_before = False, torch.cdist(points, drawn(points, 4, seeded())).argmin(1)
    for rounds in (1, 2, 3):
        centres, labels = kmeans(points, 4, rounds, seeded())
        assert labels.equal(torch.cdist(points, centres).argmin(1))
        moving |= not labels.equal(labels_before)
        labels_before = labels
    assert moving


def test_an_empty_cluster_splits_another() -> None:
    """Nine of ten points are the same: most of the first centres are too."""
    points = torch.ones(100, 3)
    points[:10] = torch.randn(10, 3, generator=seeded()) * 10
    k = 8
    assert len(drawn(points, k, seeded()).unique(dim=0)) < 4
    assert len(kmeans(points, k, 30, seeded())[1].unique()) == k


def test_spherical_kmeans_by_hand(points: torch.Tensor) -> None:
    x = (points - points.mean(0)).double().numpy()
    book, shares = spherical(torch.from_numpy(x), 4, 3, seeded())
    d = drawn(torch.from_numpy(x), 4, seeded()).numpy()
    d = d / np.linalg.norm(d, axis=1, keepdims=True)
    for number in range(4):
        s = np.zeros((len(x), 4))
        for i, point in enumerate(x):
            j = np.abs(d @ point).argmax()
            s[i, j] = d[j] @ point
        assert shares[number] == pytest.approx(((x - s @ d) ** 2).sum() / (x**2).sum())
        if number < 3:
            d = s.T @ x + d
            d /= np.linalg.norm(d, axis=1, keepdims=True)
    np.testing.assert_allclose(book.numpy(), d)
    assert shares[-1] < shares[0]


def test_neural_gas_by_hand(points: torch.Tensor) -> None:
    x = points.double().numpy()
    book, shares = neural_gas(points.double(), 6, 4, seeded())
    w = drawn(points.double(), 6, seeded()).numpy()
    for reach in (3, 3 * (0.01 / 3) ** (1 / 3), 3 * (0.01 / 3) ** (2 / 3), 0.01):
        pulls = np.zeros((len(x), 6))
        for i, point in enumerate(x):
            for rank, j in enumerate(((w - point) ** 2).sum(1).argsort()):
                pulls[i, j] = np.exp(-rank / reach)
        w = pulls.T @ x / pulls.sum(0)[:, None]
    np.testing.assert_allclose(book.numpy(), w, atol=1e-6)
    error = ((x[:, None] - w) ** 2).sum(2).min(1).sum() / (x**2).sum()
    assert shares[-1] == pytest.approx(error)
    assert shares[-1] < shares[0]
