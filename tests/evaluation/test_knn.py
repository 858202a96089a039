import torch
from allocations import Allocations

from nat.evaluation.knn import knn_accuracy


def test_votes_take_a_number_a_query_and_class() -> None:
    """Not one a neighbour too: for ImageNet's 1000 classes and 50 neighbours 8 GB."""
    draws = torch.Generator().manual_seed(0)
    train, val = (torch.randn(n, 4, generator=draws) for n in (300, 200))
    labels = [torch.randint(500, (len(x),), generator=draws) for x in (train, val)]
    with Allocations() as allocations:
        knn_accuracy(train, labels[0], val, labels[1], k=50)
    assert max(allocations.sizes) <= 200 * 500


def test_a_tie_goes_to_the_smaller_label() -> None:
    train = torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.0]])
    labels = torch.tensor([2, 1, 0])
    for label, expected in ((1, 100.0), (2, 0.0)):
        query, truth = torch.tensor([[1.0, 0.0]]), torch.tensor([label])
        assert knn_accuracy(train, labels, query, truth, k=2) == expected
