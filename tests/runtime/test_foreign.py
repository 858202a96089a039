"""What is told of a file from outside: one line of printable text, whatever is in it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nat.runtime.errors import UserError
from nat.runtime.io.foreign import reading, reason, shortened

REMEDY = "make it again"


@given(text=st.text(), most=st.integers(1, 50))
def test_a_text_from_outside_is_one_short_printable_line(text: str, most: int) -> None:
    found = shortened(text, most)
    assert found.isprintable()
    assert len(found) <= most + len("...")
    if text.isprintable() and len(text) <= most:
        assert found == " ".join(text.split())


def test_every_error_is_told_by_the_file_s_name(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.touch()
    for error, words in (
        (KeyError("name"), "lacks 'name'"),
        (ValueError("a\x1b[31m\nb"), r"a \[31m b"),
        (OSError(5, "Input/output error"), "Input/output error"),
        (RecursionError(), "RecursionError"),
    ):
        with (
            pytest.raises(UserError, match=rf"x: no list \({words}\); make it again"),
            reading(path, "list", REMEDY),
        ):
            raise error


def test_what_is_not_the_file_s_fault_is_not_told_as_such(tmp_path: Path) -> None:
    """Whoever catches a lack of memory names the setting that takes it."""
    path = tmp_path / "x"
    path.touch()
    for error in (MemoryError("too little"), UserError("another file's")):
        with pytest.raises(type(error), match=str(error)), reading(path, "list", REMEDY):
            raise error
    with (
        pytest.raises(UserError, match=r"y: not found; make it again"),
        reading(tmp_path / "y", "list", REMEDY),
    ):
        pytest.fail("was read")


def test_the_first_fault_of_a_model_is_named() -> None:
    from pydantic import BaseModel, ValidationError

    class Model(BaseModel):
        numbers: list[int]

    with pytest.raises(ValidationError) as caught:
        Model.model_validate({"numbers": [1, "x", "y"]})
    assert reason(caught.value).startswith("numbers.1: should be a valid integer")
