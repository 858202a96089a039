import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from nat.voc.classification.average_precision import average_precision, mean_average_precision


def by_hand(scores: np.ndarray, labels: np.ndarray) -> float:
    """The mean, over positives, of the precision among all images scored at least as high."""
    kept = labels != -1
    scores, labels = scores[kept], labels[kept]
    return float(np.mean([labels[scores >= s].mean() for s in scores[labels == 1]]))


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([1, 1, 0, 0], 1),
        ([1, 0, 1, 0], (1 + 2 / 3) / 2),
        ([0, 0, 0, 1], 1 / 4),
        ([-1, -1, 1, 0], 1),  # difficult ones are left out, not counted as wrong
        ([0, -1, 1, -1], 1 / 2),
        ([1, 1, 1, 1], 1),
    ],
)
def test_known_orders(labels: list[int], expected: float) -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.1])
    assert average_precision(scores, np.array(labels)) == pytest.approx(expected)


@pytest.mark.parametrize("labels", [[0, 0], [-1, 0], [-1, -1]])
def test_class_without_positives(labels: list[int]) -> None:
    assert average_precision(np.array([0.2, 0.1]), np.array(labels)) is None


def test_ties_are_one_step() -> None:
    assert average_precision(np.zeros(4), np.array([1, 0, 0, 0])) == pytest.approx(1 / 4)


@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from([-1, 0, 1])), min_size=1))
def test_against_the_definition(rows: list[tuple[int, int]]) -> None:
    scores, labels = (np.array(column) for column in zip(*rows, strict=True))
    found = average_precision(scores.astype(float), labels)
    if (labels == 1).any():
        assert found == pytest.approx(by_hand(scores, labels))
    else:
        assert found is None


def test_mean_leaves_out_classes_without_positives() -> None:
    draws = np.random.default_rng(0)
    scores, labels = draws.normal(size=(50, 3)), draws.integers(-1, 2, (50, 3))
    labels[:, 1] = draws.integers(-1, 1, 50)
    mean, each = mean_average_precision(scores, labels)
    expected = []
    for column in (0, 2):
        kept = labels[:, column] >= 0
        expected.append(average_precision_score(labels[kept, column], scores[kept, column]))
    assert each[1] is None
    assert [each[0], each[2]] == pytest.approx(expected)
    assert mean == pytest.approx(np.mean(expected))


def test_no_class_has_a_positive() -> None:
    with pytest.raises(ValueError, match="no average precision"):
        mean_average_precision(np.zeros((3, 2)), np.zeros((3, 2), int))
