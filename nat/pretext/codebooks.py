"""Codebooks: k vectors that stand for many, by k-means, spherical k-means or neural gas.

Each learner takes points, float (n, d), on any device, and draws its first codebook from them.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F

ENTRIES = 2**24  # of the table of points against vectors that is in memory at once
SPREAD = 1e-4  # relative, of the two vectors that a split cluster is given
LAST_REACH = 0.01  # of neural gas, in ranks: all but the closest vector stay where they are


def drawn(points: torch.Tensor, k: int, draws: torch.Generator) -> torch.Tensor:
    """Some of the points, (k, d); one comes twice only if there are fewer than k.

    Args:
        points: (n, d).
        k: how many.
        draws: a CPU generator.
    """
    rows = torch.randperm(len(points), generator=draws)
    return points[rows.repeat(-(-k // len(rows)))[:k].to(points.device)]


def pieces(points: torch.Tensor, k: int) -> Iterator[torch.Tensor]:
    """The points in parts whose tables against k vectors fit in memory."""
    yield from points.split(max(ENTRIES // k, 1))


def nearest(points: torch.Tensor, centres: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The closest centre of each point, int64 (n,), and the squared distance to it, (n,)."""
    lengths = centres.square().sum(1)
    found = [(lengths - 2 * part @ centres.T).min(1) for part in pieces(points, len(centres))]
    distances = torch.cat([values for values, _ in found]) + points.square().sum(1)
    return torch.cat([labels for _, labels in found]), distances.clamp(min=0)


def sums(points: torch.Tensor, labels: torch.Tensor, k: int) -> torch.Tensor:
    """The points of each label added up: (k, d)."""
    return points.new_zeros(k, points.shape[1]).index_add_(0, labels, points)


def kmeans(
    points: torch.Tensor, k: int, rounds: int, draws: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Lloyd's algorithm (1982). A cluster that is left empty splits another (Caron et al., 2018).

    Args:
        points: float (n, d).
        k: clusters.
        rounds: of assigning points and averaging them.
        draws: a CPU generator: of the points that are the first centres, of the clusters to split.

    Returns:
        centres, float (k, d), each the mean of those nearest to it a round before; and the closest
        one of each point, int64 (n,).
    """
    centres = drawn(points, k, draws)
    for _ in range(rounds):
        labels, _ = nearest(points, centres)
        sizes = torch.bincount(labels, minlength=k)
        centres = sums(points, labels, k) / sizes.clamp(min=1)[:, None]
        empty = (sizes == 0).nonzero()[:, 0]
        if len(empty):
            filled = drawn(sizes.nonzero(), len(empty), draws)[:, 0]
            apart = SPREAD * torch.randn(len(empty), points.shape[1], generator=draws)
            centres[empty] = centres[filled] * (1 + apart.to(points.device))
    return centres, nearest(points, centres)[0]


def spherical(
    points: torch.Tensor, k: int, rounds: int, draws: torch.Generator
) -> tuple[torch.Tensor, list[float]]:
    """Spherical k-means as Coates & Ng (2012) have it, where a vector stands for its opposite too.

    Each point is coded by one unit vector, that of the largest inner product in absolute value, and
    by that product. Then D <- normalise(X S' + D), S being the codes.

    Args:
        points: float (n, d).
        k: vectors.
        rounds: of coding and averaging.
        draws: a CPU generator, of the points that are the first vectors.

    Returns:
        unit vectors, float (k, d), and the share of the points' squared lengths that the codes
        leave out, of the first vectors and after each round.
    """
    vectors = F.normalize(drawn(points, k, draws))
    total = float(points.square().sum())
    shares = []
    for _ in range(rounds + 1):
        coded, kept = torch.zeros_like(vectors), points.new_zeros(())
        for part in pieces(points, k):
            products = part @ vectors.T
            labels = products.abs().argmax(1)
            codes = products.gather(1, labels[:, None])
            coded += sums(codes * part, labels, k)
            kept += codes.square().sum()
        shares.append(1 - float(kept) / total)
        last, vectors = vectors, F.normalize(coded + vectors)
    return last, shares


def neural_gas(
    points: torch.Tensor, k: int, rounds: int, draws: torch.Generator
) -> tuple[torch.Tensor, list[float]]:
    """Neural gas (Martinetz & Schulten, 1991), all points at once (Cottrell et al., 2006).

    A point draws the vector that is the r-th closest to it, counted from 0, with weight
    exp(-r / reach); each vector becomes the mean of the points, so weighted. The reach falls from
    k / 2 to almost nothing, where this is k-means, by the same factor in each round.

    Args:
        points: float (n, d).
        k: vectors.
        rounds: see above.
        draws: a CPU generator, of the points that are the first vectors.

    Returns:
        vectors, float (k, d), and the mean squared distance of a point to the closest, as a share
        of its squared length, of the first vectors and after each round.
    """
    vectors = drawn(points, k, draws)
    total = float(points.square().sum())
    shares = [float(nearest(points, vectors)[1].sum()) / total]
    for number in range(rounds):
        reach = k / 2 * (LAST_REACH / (k / 2)) ** (number / max(rounds - 1, 1))
        drawn_to, weight = torch.zeros_like(vectors), points.new_zeros(k)
        for part in pieces(points, k):
            ranks = torch.cdist(part, vectors).argsort(1).argsort(1)
            pull = torch.exp(-ranks.to(points.dtype) / reach)
            drawn_to += pull.T @ part
            weight += pull.sum(0)
        moved = weight > 0
        vectors = torch.where(moved[:, None], drawn_to / weight.clamp(min=1e-30)[:, None], vectors)
        shares.append(float(nearest(points, vectors)[1].sum()) / total)
    return vectors, shares
