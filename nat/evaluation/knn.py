"""Nearest neighbours by L2 distance: the kNN monitor and probe, and the queries of Figure 3."""

import torch


def nearest(queries: torch.Tensor, bank: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k nearest rows of ``bank`` for each query, from the closest to the farthest.

    Args:
        queries: float (q, d).
        bank: float (n, d).
        k: at most n.

    Returns:
        distances float (q, k) and rows int64 (q, k).
    """
    k = min(k, len(bank))
    squares = bank.square().sum(1)
    distances, rows = [], []
    for chunk in queries.split(1024):
        squared = chunk.square().sum(1, keepdim=True) + squares - 2 * chunk @ bank.T
        best = squared.clamp(min=0).topk(k, largest=False)
        distances.append(best.values.sqrt())
        rows.append(best.indices)
    return torch.cat(distances), torch.cat(rows)


def knn_accuracy(
    train: torch.Tensor,
    train_labels: torch.Tensor,
    test: torch.Tensor,
    val_labels: torch.Tensor,
    k: int,
) -> float:
    """Accuracy in percent of the majority label among the k nearest L2-normalised features.

    Args:
        train: float (n, d), the bank.
        train_labels: int64 (n,).
        test: float (m, d), the queries.
        val_labels: int64 (m,).
        k: neighbours; a tie goes to the smaller label.
    """
    _, rows = nearest(torch.nn.functional.normalize(test), torch.nn.functional.normalize(train), k)
    neighbours = train_labels[rows.cpu()]
    votes = torch.zeros(len(test), int(train_labels.max()) + 1, dtype=torch.int64)
    votes.scatter_add_(1, neighbours, torch.ones_like(neighbours))
    return 100.0 * (votes.argmax(1) == val_labels).double().mean().item()
