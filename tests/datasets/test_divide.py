"""Which images are held out, and that no training sees them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import ALL, settings

from nat.datasets.filling.divide import divide, hold_out
from nat.runtime.errors import UserError
from nat.runtime.settings.params import Images, Params

IMAGES = Params.model_validate(settings(images=ALL)).images


def images(train: int | None, validation: int) -> Images:
    return IMAGES.model_copy(update={"train": train, "validation": validation})


@given(st.lists(st.integers(0, 4), min_size=3, max_size=60), st.data())
def test_no_image_is_in_two_splits(labels: list[int], data: st.DataObject) -> None:
    n = len(labels)
    train = data.draw(st.none() | st.integers(1, n))
    most = n - train if train else n - len(set(labels))
    held = data.draw(st.integers(0, most))
    order = np.array(data.draw(st.permutations(range(n))))
    rows, validation = divide(np.array(labels), order, images(train, held))
    assert len(validation) == held
    assert len(rows) == (train or n - held)
    assert not set(rows) & set(validation)
    assert (np.diff(rows) > 0).all()
    assert (np.diff(validation) > 0).all()
    if train:  # the same ones, whether others are held out or not
        assert set(rows) == set(order[:train])
    else:
        assert set(np.array(labels)[rows]) == set(labels)
    again = divide(np.array(labels), order, images(train, held))
    assert again[1].tolist() == validation.tolist()


def test_validation_images_are_drawn_by_chance() -> None:
    _, found = divide(np.arange(1000) % 10, np.arange(1000), images(500, 100))
    assert found.min() >= 500
    assert abs(found.mean() - 750) < 60  # standard error 14
    assert np.bincount(found % 10, minlength=10).min() > 0


@pytest.mark.parametrize(
    ("train", "held", "said"),
    [
        (11, 0, "images.train: 11 is more than the 10 images there are; use at most 10, or null"),
        (
            8,
            3,
            "images.validation: 3 beside images.train 8 is too many for 10 images; use at most 2",
        ),
        (None, 10, "images.validation: 10 is too many for 10 images; use at most 9"),
        (None, 9, "images.validation: 5 of 10 images can be held out if each class keeps one"),
    ],
)
def test_too_few_images_are_refused(train: int | None, held: int, said: str) -> None:
    with pytest.raises(UserError) as caught:
        divide(np.arange(10) % 5, np.arange(10), images(train, held))
    assert said in str(caught.value)


def test_holding_out_leaves_each_class_one() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2])
    assert hold_out(labels, np.array([3, 4, 5, 0, 1, 2]), 6).tolist() == [0, 1, 4]
