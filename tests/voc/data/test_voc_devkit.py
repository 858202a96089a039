from pathlib import Path

import pytest

from nat.voc.data.devkit import Box, Thing, image_set, presence

BOX = Box(1, 1, 2, 2)


@pytest.mark.parametrize(
    ("difficult", "label"), [([], 0), ([False], 1), ([True], -1), ([True, False], 1)]
)
def test_presence(difficult: list[bool], label: int) -> None:
    things = [Thing("cat", BOX, flag, False) for flag in difficult]
    things.append(Thing("dog", BOX, False, False))
    assert presence(things, "cat") == label


def test_class_lists_are_the_kits(kit: Path) -> None:
    assert image_set(kit, "cat_trainval").read_text() == "000001  1\n000002  1\n000003 -1\n"
    assert image_set(kit, "dog_trainval").read_text() == "000001 -1\n000002  0\n000003  1\n"
    assert image_set(kit, "trainval").read_text() == "000001\n000002\n000003\n"
