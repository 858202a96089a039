import pytest

from nat.network.schedule import constant_then_decay, permutes_in


def test_schedule_is_section_3_3() -> None:
    steps = [constant_then_decay(0.5, decay=0.1, hold=3, t=t) for t in range(6)]
    assert steps == pytest.approx([0.5, 0.5, 0.5, 0.5, 0.5 / 1.1, 0.5 / 1.2])


def test_permuting_epochs() -> None:
    assert [permutes_in(epoch, 3) for epoch in range(5)] == [True, False, False, True, False]
    assert all(permutes_in(epoch, 1) for epoch in range(5))
    assert not any(permutes_in(epoch, "never") for epoch in range(5))
