from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import settings as tiny

from nat.data.seeds import generator
from nat.runtime.settings.params import Detect
from nat.voc.detection.sampling import image_batches, sample_regions, usable
from nat.voc.detection.targets import Example


def settings(**changes: Any) -> Detect:
    return Detect.model_validate(tiny()["detect"] | changes)


def example(overlaps: list[float]) -> Example:
    """Regions that overlap, in turn, an object of class 4 and one of class 1."""
    count = len(overlaps)
    boxes = torch.ones(count, 4)
    nearest = torch.arange(count) % 2
    return Example(boxes, torch.tensor(overlaps), nearest, boxes[:2], torch.tensor([4, 1]))


@given(st.lists(st.sampled_from([0.0, 0.09, 0.1, 0.3, 0.49, 0.5, 0.9, 1.0]), min_size=2))
def test_a_images_regions(overlaps: list[float]) -> None:
    found, chosen = example(overlaps), settings(images=2, regions=32)
    rows, labels = sample_regions(found, chosen, generator(0))
    assert len(set(rows.tolist())) == len(rows) == len(labels) <= 16
    shows = labels > 0
    overlap = found.overlap[rows]
    assert (overlap[shows] >= 0.5).all()
    assert ((overlap[~shows] >= 0.1) & (overlap[~shows] < 0.5)).all()
    assert labels[shows].tolist() == [[5, 2][row % 2] for row in rows[shows].tolist()]
    assert not shows[int(shows.sum()) :].any()  # foreground first
    available = sum(v >= 0.5 for v in overlaps), sum(0.1 <= v < 0.5 for v in overlaps)
    assert int(shows.sum()) == min(available[0], 4)
    assert int((~shows).sum()) == min(available[1], 16 - int(shows.sum()))


def test_every_region_is_drawn_sometimes() -> None:
    found, chosen = example([0.6] * 8 + [0.2] * 8), settings(images=2, regions=8)
    draws = generator(0)
    seen = {row for _ in range(100) for row in sample_regions(found, chosen, draws)[0].tolist()}
    assert seen == set(range(16))


def test_images_without_anything_to_learn_from() -> None:
    images = [example([0.0, 0.05]), example([0.2, 0.0]), example([1.0, 0.0])]
    assert usable(images, settings()) == [1, 2]


@pytest.mark.parametrize(("rows", "size"), [([3, 5, 8], 2), ([3, 5, 8], 4), ([1], 2), ([0, 7], 1)])
def test_a_pass_shows_every_image_both_ways(rows: list[int], size: int) -> None:
    a_pass = 2 * len(rows) // size
    batches = list(image_batches(rows, size, range(3 * a_pass), 0))
    assert all(len(batch) == size for batch in batches)
    everything = {(row, flip) for row in rows for flip in (False, True)}
    for first in range(0, 3 * a_pass, a_pass):
        seen = [entry for batch in batches[first : first + a_pass] for entry in batch]
        assert len(seen) == len(set(seen)) == a_pass * size
        assert set(seen) <= everything
        if 2 * len(rows) % size == 0:
            assert set(seen) == everything


def test_passes_differ_and_an_iterations_images_follow_from_its_number() -> None:
    rows = list(range(20))
    batches = list(image_batches(rows, 4, range(30), 0))
    assert batches[:10] != batches[10:20]
    assert list(image_batches(rows, 4, range(13, 25), 0)) == batches[13:25]
    assert list(image_batches(rows, 4, range(30), 1)) != batches
